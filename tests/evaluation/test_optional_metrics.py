"""Metrics whose networks most machines lack: CLIP, LPIPS, Inception with statistics of a reference."""

from dataclasses import replace
from importlib.util import find_spec
from itertools import combinations

import numpy as np
import pytest
import torch
from clip_fixture import write_clip
from evaluation_fixtures import evaluate, write_protocol
from golden_fill import fill_module
from torchvision.models import alexnet

from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.evaluation.features.networks import NetworkOptions
from t2igan.evaluation.images.generate import generate_images
from t2igan.evaluation.metrics.clip_score import CLIPScore
from t2igan.evaluation.metrics.frechet import FID, FDClassifier
from t2igan.evaluation.metrics.lpips_diversity import LPIPSDiversity
from t2igan.evaluation.metrics.r_precision import CLIPRPrecision
from t2igan.evaluation.plan import ImagePlan, plan_images
from t2igan.evaluation.protocol import load_protocol
from t2igan.evaluation.subjects.folder import ImageFolder
from t2igan.evaluation.subjects.generated import load_checkpoint_subject
from t2igan.evaluation.subjects.real import RealImages
from t2igan.metrics import weights
from t2igan.metrics.backbones import InceptionBackbone
from t2igan.metrics.clip import ClipEncoder
from t2igan.metrics.inception import inception_v3
from t2igan.metrics.lpips import LpipsNetwork
from t2igan.metrics.statistics import write_statistics
from t2igan.metrics.weights import PublishedWeights, file_sha256
from t2igan.nn.images import to_signed

CPU = torch.device("cpu")
needs_transformers = pytest.mark.skipif(find_spec("transformers") is None, reason="transformers is not installed")


@pytest.fixture(scope="module")
def store(drawn_birds_store):
    return open_store(drawn_birds_store)


@pytest.fixture
def protocol(tmp_path):
    protocol = load_protocol(str(write_protocol(tmp_path / "p.yaml", reference="whole")))
    return replace(protocol, images=12, bootstrap=20)


@pytest.fixture
def subject(checkpoints):
    return load_checkpoint_subject(checkpoints.generator, "ema")


def publish(monkeypatch, name, path):
    """Let a made-up file pass as the published one."""
    entry = PublishedWeights((path.name,), "https://nowhere", file_sha256(path)[:8])
    monkeypatch.setitem(weights.PUBLISHED, name, entry)


@pytest.fixture
def alexnet_folder(tmp_path, monkeypatch):
    torch.manual_seed(0)
    state = {name: value for name, value in alexnet().state_dict().items() if name.startswith("features.")}
    torch.save(state, tmp_path / "alexnet.pth")
    publish(monkeypatch, "alexnet-torchvision", tmp_path / "alexnet.pth")
    return tmp_path


def test_diversity_is_of_the_samples_of_a_caption(store, protocol, subject, alexnet_folder):
    spec = LPIPSDiversity(captions=3, samples=4)
    protocol = replace(protocol, metrics=(spec,))
    results = [
        evaluate(subject, protocol, store, options=NetworkOptions(size, weights_folder=alexnet_folder))
        for size in (64, 5)
    ]
    found = results[0].metrics["lpips-diversity"]
    assert found.value == pytest.approx(results[1].metrics["lpips-diversity"].value, rel=1e-3)
    split, network = store.split("test"), LpipsNetwork(folder=alexnet_folder)
    captions = plan_images(split, 3).captions
    values = []
    for caption in captions:
        plan = ImagePlan(np.full(4, caption), np.arange(4))
        (generated,) = generate_images(subject.module, split, plan, protocol, range(4), 4, CPU)
        images = to_signed(generated.images)
        pairs = [network(images[i][None], images[j][None]).item() for i, j in combinations(range(4), 2)]
        values.append(np.mean(pairs))
    assert found.value == pytest.approx(np.mean(values), rel=1e-3)
    assert found.spread == pytest.approx(np.std(values), rel=1e-2)
    assert found.low < found.value < found.high
    assert (found.n, found.network_sha256) == (12, network.sha256)
    assert results[0].backbones["lpips"] == network.sha256


def test_only_a_generator_has_diversity(store, protocol, alexnet_folder):
    protocol = replace(protocol, metrics=(LPIPSDiversity(), FDClassifier()), reference="halves")
    with pytest.raises(UserError, match="lpips-diversity: it needs several images of one caption"):
        evaluate(
            RealImages(), protocol, store, options=NetworkOptions(skip_missing=True, weights_folder=alexnet_folder)
        )


@needs_transformers
def test_clip_scores_images_with_their_captions(store, protocol, subject, tmp_path):
    folder = write_clip(tmp_path / "clip")
    metrics = CLIPScore(), CLIPRPrecision(candidates=5, folds=3, negatives="other-image")
    protocol = replace(protocol, metrics=metrics, images=30)
    records = [evaluate(subject, protocol, store, options=NetworkOptions(size, clip=folder)) for size in (64, 7)]
    assert set(records[0].metrics) == {"clip-score", "clip-r-precision", "clip-r-precision-shuffled"}
    split, encoder = store.split("test"), ClipEncoder(folder)
    plan = plan_images(split, 30)
    cosines = []
    for generated in generate_images(subject.module, split, plan, protocol, range(30), 30, CPU):
        texts = [split.caption_text(int(caption)) for caption in plan.captions[generated.numbers.numpy()]]
        cosines.append((encoder.image_vectors(generated.images) * encoder.caption_vectors(texts)).sum(1))
    found = records[0].metrics["clip-score"]
    assert found.value == pytest.approx(100 * torch.cat(cosines).clamp(min=0).mean().item(), rel=1e-3)
    assert (found.n, found.network_sha256) == (30, encoder.sha256)
    for name, value in records[0].metrics.items():
        assert records[1].metrics[name].value == pytest.approx(value.value, rel=1e-6), name
    # Few captions: of 4 mismatching ones now and then two are one.
    assert records[0].metrics["clip-r-precision"].chance == pytest.approx(0.2, abs=0.02)


def test_without_a_clip_there_is_one_line(store, protocol, subject, tmp_path):
    protocol = replace(protocol, metrics=(CLIPScore(), CLIPRPrecision()))
    message = "clip-score, clip-r-precision: no CLIP: give the folder of one with --clip"
    with pytest.raises(UserError, match=message) as error:
        evaluate(subject, protocol, store, options=NetworkOptions())
    assert "\n" not in str(error.value)


def test_clip_needs_to_know_the_captions(store, protocol, subject, tmp_path):
    from PIL import Image

    split = store.split("test")
    for key in split.keys:
        path = tmp_path / "generated" / f"{key}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32)).save(path)
    protocol = replace(protocol, metrics=(CLIPScore(), CLIPRPrecision()))
    with pytest.raises(UserError, match="clip-score, clip-r-precision: the file names do not tell the captions"):
        evaluate(ImageFolder(tmp_path / "generated", split), protocol, store, options=NetworkOptions(clip=tmp_path))


@pytest.fixture
def inception_folder(tmp_path, monkeypatch):
    torch.save(fill_module(inception_v3(1000, False), gain=1.7).state_dict(), tmp_path / "inception.pth")
    publish(monkeypatch, "inception-torchvision", tmp_path / "inception.pth")
    return tmp_path


def small_frechet_distance(x, y):
    """Of fewer samples than features: the overlap is the nuclear norm of the samples' products."""
    centred = [(side - side.mean(0)) / (len(side) - 1) ** 0.5 for side in (x, y)]
    traces = sum(side.square().sum() for side in centred)
    overlap = torch.linalg.svdvals(centred[0] @ centred[1].T).sum()
    return ((x.mean(0) - y.mean(0)).square().sum() + traces - 2 * overlap).item()


@pytest.mark.slow
def test_a_precomputed_reference_as_dfgan_has_it(store, protocol, subject, inception_folder):
    """Images as generated, resized as tensors, against mu and sigma of a file."""
    spec = FID(flavour="dfgan", source="float", statistics="birds.npz")
    protocol = replace(protocol, metrics=(spec,), truncation=2.0, noise_scale=0.88, bootstrap=0)
    options = NetworkOptions(weights_folder=inception_folder, download=False)
    with pytest.raises(UserError, match=r"birds\.npz: no such file of statistics"):
        evaluate(subject, protocol, store, options=options)
    generator = torch.Generator().manual_seed(0)
    other = torch.randn(9, 2048, generator=generator).double()
    write_statistics(inception_folder / "birds.npz", other.mean(0), other.T.cov())
    record = evaluate(subject, protocol, store, options=options)
    plan = plan_images(store.split("test"), 12)
    parts = generate_images(subject.module, store.split("test"), plan, protocol, range(12), 12, CPU)
    generated = torch.cat([part.generated for part in parts])
    features = InceptionBackbone("dfgan", folder=inception_folder)(generated)[0].double()
    assert record.metrics["fid"].value == pytest.approx(small_frechet_distance(other, features), rel=1e-4)
    assert record.n_real == 0
    assert record.backbones["statistics of the reference"] == file_sha256(inception_folder / "birds.npz")
    (inception_folder / "birds.npz").write_bytes(b"torn")
    with pytest.raises(UserError, match=r"fid: .*birds\.npz: not an \.npz with the arrays mu and sigma"):
        evaluate(subject, protocol, store, options=options)
