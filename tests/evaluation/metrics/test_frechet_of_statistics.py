"""FID against statistics of a reference."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation_fixtures import evaluate
from golden_fill import fill_module
from released_weights import publish

from t2igan.errors import UserError
from t2igan.evaluation.features.networks import NetworkOptions
from t2igan.evaluation.images.generate import generate_images
from t2igan.evaluation.metrics.frechet import FID
from t2igan.evaluation.plan import plan_images
from t2igan.metrics.backbones import InceptionBackbone
from t2igan.metrics.inception import inception_v3
from t2igan.metrics.weights import file_sha256

CPU = torch.device("cpu")


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
    np.savez(inception_folder / "birds.npz", mu=other.mean(0), sigma=other.T.cov())
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
