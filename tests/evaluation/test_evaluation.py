from dataclasses import replace
from pathlib import Path

import pytest
import torch
from evaluation_fixtures import evaluate, write_protocol
from torch.nn import functional

from t2igan.data.datasets import resize_images
from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.evaluation.features.embedders import DamsmEmbedder
from t2igan.evaluation.features.networks import NetworkOptions, load_classifier, load_damsms
from t2igan.evaluation.images.generate import NumberedImages
from t2igan.evaluation.metrics.frechet import FID
from t2igan.evaluation.metrics.r_precision import DAMSMRPrecision
from t2igan.evaluation.protocol import load_protocol
from t2igan.evaluation.record import ResultRecord
from t2igan.evaluation.subjects.generated import build_untrained_subject, load_checkpoint_subject
from t2igan.evaluation.subjects.real import RealImages
from t2igan.metrics.frechet import frechet_distance
from t2igan.models.damsm import InceptionImageEncoder
from t2igan.models.digest import seal
from t2igan.nn.images import to_signed

OFFLINE = NetworkOptions(weights_folder=Path("no-such-folder"), download=False)


@pytest.fixture(scope="module")
def store(drawn_birds_store):
    return open_store(drawn_birds_store)


@pytest.fixture
def protocol(tmp_path):
    return load_protocol(str(write_protocol(tmp_path / "p.yaml")))


def score(checkpoints, store, protocol, subject=None, options=OFFLINE, with_damsms=True):
    damsms = load_damsms([checkpoints.damsm, checkpoints.other_damsm], store) if with_damsms else ()
    classifier = load_classifier(checkpoints.classifier, store)
    subject = subject or load_checkpoint_subject(checkpoints.generator, protocol.weights)
    return evaluate(subject, protocol, store, damsms, classifier, options)


def assert_same_numbers(found: ResultRecord, wanted: ResultRecord):
    assert found.metrics.keys() == wanted.metrics.keys()
    for name, value in wanted.metrics.items():
        assert found.metrics[name].value == pytest.approx(value.value, rel=1e-6), name
        assert found.metrics[name].n == value.n
    assert (found.protocol_hash, found.n_real, found.n_generated) == (
        wanted.protocol_hash,
        wanted.n_real,
        wanted.n_generated,
    )


def test_the_record_does_not_depend_on_the_batch_size(checkpoints, store, protocol):
    records = [
        score(checkpoints, store, protocol, options=replace(OFFLINE, batch_size=size)) for size in (1, 7, 64)
    ]
    assert list(records[0].metrics) == [
        "fd-classifier",
        "is-classifier",
        "r-precision@first",
        "r-precision-shuffled@first",
        "r-precision@second",
        "r-precision-shuffled@second",
    ]
    assert records[0].metrics["fd-classifier"].value > 0
    assert_same_numbers(records[0], records[2])
    assert_same_numbers(records[1], records[2])


def test_a_checkpoint_is_known_by_its_content(checkpoints, store, tmp_path):
    """The file of a run that was interrupted has other bytes than that of one that was not."""
    other = torch.load(checkpoints.damsm, weights_only=False) | {"callbacks": {"best": 1.0}}
    seal(other)
    torch.save(other, tmp_path / "again.ckpt")
    with pytest.raises(UserError, match="is given twice"):
        load_damsms([checkpoints.damsm, tmp_path / "again.ckpt"], store)
    next(value for value in other["state_dict"].values() if value.ndim)[0] += 1
    seal(other)
    torch.save(other, tmp_path / "again.ckpt")
    assert len(load_damsms([checkpoints.damsm, tmp_path / "again.ckpt"], store)) == 2


def test_an_imported_damsm_is_known_by_its_files(checkpoints, store, protocol, tmp_path):
    checkpoint = torch.load(checkpoints.damsm, weights_only=True)
    part = {"kind": "damsm-text-encoder", "file": "text_encoder200.pth", "sha256": "ab" * 32}
    checkpoint["t2igan"]["imported"] = {"text_encoder": part}
    seal(checkpoint)
    torch.save(checkpoint, tmp_path / "released.ckpt")
    damsms = load_damsms([checkpoints.other_damsm, tmp_path / "released.ckpt"], store)
    only = replace(protocol, metrics=(DAMSMRPrecision(candidates=10),))
    record = evaluate(load_checkpoint_subject(checkpoints.generator, "ema"), only, store, damsms)
    assert record.damsm_origin == {"released": "text_encoder200.pth (abababababab)"}
    assert list(record.damsm) == ["second", "released"]


def test_equal_images_have_equal_numbers_whatever_the_batch_size(checkpoints, store, protocol):
    """Without a rounding of generated pixels there is only the networks' own round-off."""
    records = [
        score(checkpoints, store, protocol, RealImages(), replace(OFFLINE, batch_size=size)) for size in (1, 7, 64)
    ]
    for record in records[:2]:
        for name, value in records[2].metrics.items():
            if "precision" in name:
                assert record.metrics[name] == value, name
            else:
                assert record.metrics[name].value == pytest.approx(value.value, rel=1e-6), name


def test_the_record_carries_its_provenance(checkpoints, store, protocol):
    record = score(checkpoints, store, protocol)
    assert record.subject.kind == "checkpoint"
    assert record.subject.name == "ssagan"
    assert len(record.subject.sha256) == 64
    assert record.subject.module == "t2igan.models.ssagan.SSAGAN"
    assert (record.protocol, record.protocol_hash) == (protocol.name, protocol.hash)
    assert (record.dataset, record.fingerprint) == ("drawn-birds", store.fingerprint)
    assert (record.n_real, record.n_generated, record.seed) == (8, 100, 100)
    assert list(record.damsm) == ["first", "second"]
    assert record.metrics["r-precision@second"].network_sha256 == record.damsm["second"]
    assert record.metrics["fd-classifier"].network_sha256 == record.backbones["classifier"]
    # Of 9 mismatching captions now and then two are one.
    assert record.metrics["r-precision@first"].chance == pytest.approx(0.1, abs=0.005)
    assert record.seconds > 0
    assert record.protocol_content["metrics"][2] == {
        **{"name": "r-precision", "candidates": 10, "folds": 5, "fold_mode": "exact"},
        **{"negatives": "other-class", "seed": 0, "source": "uint8", "resize": "damsm"},
    }
    assert record.protocol_content["quantisation"] == "round"  # a default, said all the same
    assert record.environment["threads"] == torch.get_num_threads()
    training = record.subject.training
    assert (training.steps, training.images_seen, training.global_batch) == (2, 16, 8)
    assert training.fingerprint == store.fingerprint and training.config is None
    assert ResultRecord.from_json(record.to_json()) == record


def test_the_real_row_knows_captions_and_the_control_is_at_chance(checkpoints, store, protocol):
    # On the training images, which the tiny DAMSMs know by heart.
    record = score(checkpoints, store, replace(protocol, split="train"), RealImages())
    for label in ("first", "second"):
        assert record.metrics[f"r-precision@{label}"].value > 0.4
        # 100 trials of chance 0.1: standard deviation 0.03. How exactly it is chance: test_control.py.
        assert record.metrics[f"r-precision-shuffled@{label}"].value < 0.22
    assert (record.n_real, record.n_generated) == (12, 100)
    assert record.metrics["fd-classifier"].n == 12


def test_the_real_row_is_held_against_the_other_half(checkpoints, store, protocol):
    record = score(checkpoints, store, protocol, RealImages())
    backbone = load_classifier(checkpoints.classifier, store)
    split = store.split("test")
    crops = torch.stack(
        [
            torch.from_numpy(split.crop(image, (height - 64) // 2, (width - 64) // 2, 64))
            for image, (height, width) in enumerate(map(split.shape, range(len(split))))
        ]
    )
    features = backbone(resize_images(crops, 32))[0].double()
    even, odd = features[0::2], features[1::2]
    wanted = frechet_distance(even.mean(0), even.T.cov(), odd.mean(0), odd.T.cov()).item()
    assert record.metrics["fd-classifier"].value == pytest.approx(wanted, rel=1e-4)


def test_a_real_row_without_a_second_half_has_no_distance(checkpoints, store, protocol):
    record = score(checkpoints, store, replace(protocol, reference="whole"), RealImages())
    assert "these very images" in record.not_computed["fd-classifier"]
    assert "fd-classifier" not in record.metrics
    assert record.metrics["is-classifier"].n == 16


def test_untrained_is_the_same_config_built_anew(checkpoints, store, protocol):
    damsm = load_damsms([checkpoints.damsm], store)[0].module
    first, again, other = (build_untrained_subject(checkpoints.generator, seed, damsm) for seed in (0, 0, 1))
    trained = load_checkpoint_subject(checkpoints.generator, "raw").module
    weights = [subject.module.generator.fc.weight for subject in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert weights[0].shape == trained.generator.fc.weight.shape
    assert not torch.equal(weights[0], trained.generator.fc.weight)
    assert torch.equal(first.module.text_encoder.embedding.weight, damsm.text_encoder.embedding.weight)
    record = score(checkpoints, store, protocol, first)
    assert (record.subject.kind, record.subject.seed) == ("untrained", 0)
    assert record.metrics["fd-classifier"].value > 0


def test_building_untrained_leaves_the_global_generator_alone(checkpoints):
    torch.manual_seed(7)
    wanted = torch.rand(3)
    torch.manual_seed(7)
    build_untrained_subject(checkpoints.generator, seed=1)
    assert torch.equal(torch.rand(3), wanted)


def test_float_images_reach_the_damsm_unquantised(checkpoints, store, protocol, monkeypatch):
    options = DAMSMRPrecision(candidates=10, folds=5, source="float")
    damsms = load_damsms([checkpoints.damsm], store)
    encoder, seen = damsms[0].module.image_encoder, []
    encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    subject = load_checkpoint_subject(checkpoints.generator, "ema")
    for spec in (options, replace(options, source="uint8")):
        evaluate(subject, replace(protocol, metrics=(spec,)), store, damsms, options=OFFLINE)
    generated, stored = torch.cat(seen[: len(seen) // 2]), torch.cat(seen[len(seen) // 2 :])
    assert torch.equal(stored, to_signed(((generated + 1) * 127.5).round().to(torch.uint8)))
    assert not torch.equal(generated, stored)
    with pytest.raises(UserError, match="before quantisation, which these have not"):
        evaluate(RealImages(), replace(protocol, metrics=(options,)), store, damsms, options=OFFLINE)


def test_all_that_is_missing_is_named_at_once(checkpoints, store, protocol):
    subject = load_checkpoint_subject(checkpoints.generator, "ema")
    wanting = replace(protocol, metrics=(FID(), *protocol.metrics))
    with pytest.raises(UserError) as error:
        evaluate(subject, wanting, store, options=OFFLINE)
    line = str(error.value)
    assert "\n" not in line
    for part in ("inception_v3_google", "https://", "--classifier", "--damsm", "--skip_missing"):
        assert part in line


def test_missing_metrics_can_be_left_out_and_are_said(checkpoints, store, protocol):
    wanting = replace(protocol, metrics=(FID(), *protocol.metrics))
    record = score(checkpoints, store, wanting, options=replace(OFFLINE, skip_missing=True), with_damsms=False)
    assert set(record.metrics) == {"fd-classifier", "is-classifier"}
    assert "inception_v3_google" in record.not_computed["fid"]
    assert "--damsm" in record.not_computed["r-precision"]


def test_a_small_split_and_a_collapsed_encoder_are_in_the_record(checkpoints, store, protocol):
    many = replace(protocol, metrics=(DAMSMRPrecision(candidates=100, folds=5),))
    damsms = load_damsms([checkpoints.damsm], store)
    record = evaluate(RealImages(), replace(many, split="train"), store, damsms, options=OFFLINE)
    value, control = (record.metrics[f"{name}@first"] for name in ("r-precision", "r-precision-shuffled"))
    # Some 80 different mismatching captions for 99 draws: guessing gives more than 1 %.
    assert value.chance > 0.012 and control.chance > 0.012
    (note,) = (note for note in record.notes if note.startswith("r-precision@first: a trial has"))
    assert "different mismatching captions on average, not 99: the split is small" in note
    for parameter in damsms[0].module.text_encoder.parameters():
        parameter.data.zero_()
    record = evaluate(RealImages(), many, store, damsms, options=OFFLINE)
    assert record.metrics["r-precision@first"].value == pytest.approx(0.01, abs=1e-6)
    assert "r-precision@first: all captions have the same vector: the text encoder has collapsed" in record.notes


class Bright(InceptionImageEncoder):
    """Reads the images themselves, at Inception's size."""

    def forward(self, images):
        size = (self.INPUT_SIZE, self.INPUT_SIZE)
        seen = functional.interpolate(images, size=size, mode="bilinear", align_corners=self.align_corners)
        return seen, seen[:, :, :40, :40].flatten(1)[:, : self.dim]


@pytest.mark.parametrize("own", [True, False])
def test_the_protocol_decides_how_a_damsm_resizes(checkpoints, store, protocol, own):
    """Whatever its checkpoint says: files of released DAMSMs do not tell how they were run."""
    damsm = load_damsms([checkpoints.damsm], store)[0]
    damsm.module.image_encoder = Bright(32, "random", align_corners=own)
    device = torch.device("cpu")
    images = NumberedImages(torch.arange(2), torch.randint(0, 256, (2, 3, 32, 32)).byte())
    rows = {
        resize: DamsmEmbedder(damsm, "uint8", device, resize)(images)[0]
        for resize in ("damsm", "align-corners", "half-pixel")
    }
    assert not torch.equal(rows["align-corners"], rows["half-pixel"])
    assert torch.equal(rows["damsm"], rows["align-corners" if own else "half-pixel"])
    assert damsm.module.image_encoder.align_corners is own
    identities = {tuple(DamsmEmbedder(damsm, "uint8", device, resize).identity) for resize in rows}
    assert len(identities) == 3


def test_a_pinned_resize_needs_an_inception(checkpoints, store, protocol):
    pinned = replace(protocol, metrics=(DAMSMRPrecision(candidates=10, folds=5, resize="align-corners"),))
    with pytest.raises(UserError, match=r"wants align-corners .* DAMSM first has a SmallImageEncoder"):
        evaluate(RealImages(), pinned, store, load_damsms([checkpoints.damsm], store), options=OFFLINE)


@pytest.mark.parametrize("name", ["cub/dmgan", "coco/dmgan", "cub/tise", "cub/attngan", "cub/mirrorgan"])
def test_papers_that_aligned_corners_have_it_in_their_protocols(name):
    (spec,) = (spec for spec in load_protocol(name).metrics if isinstance(spec, DAMSMRPrecision))
    assert spec.resize == "align-corners"


def test_what_does_not_fit_is_refused(checkpoints, store, protocol):
    for change, part in (
        ({"dataset": "cub"}, "holds 'drawn-birds', protocol p is for 'cub'"),
        ({"image_size": 128}, "prepare it with --image_size 128"),
        ({"image_size": 64}, "draws 32 px, protocol p is for 64 px"),
    ):
        with pytest.raises(UserError, match=part) as error:
            score(checkpoints, store, replace(protocol, **change))
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="--device: cuda:99 is not there"):
        score(checkpoints, store, protocol, options=replace(OFFLINE, device="cuda:99"))


def test_wrong_checkpoints_are_refused(checkpoints, store):
    with pytest.raises(UserError, match="holds EvaluationClassifier, not a DAMSM"):
        load_damsms([checkpoints.classifier], store)
    with pytest.raises(UserError, match="holds DAMSM, not an EvaluationClassifier"):
        load_classifier(checkpoints.damsm, store)
    with pytest.raises(UserError, match="holds DAMSM, which draws nothing"):
        load_checkpoint_subject(checkpoints.damsm, "ema")
    with pytest.raises(UserError, match="is given twice"):
        load_damsms([checkpoints.damsm, checkpoints.damsm], store)


@pytest.mark.parametrize("which", ["damsm", "classifier", "generator"])
def test_another_vocabulary_is_refused(checkpoints, store, protocol, tmp_path, which):
    checkpoint = torch.load(getattr(checkpoints, which), weights_only=True)
    words = checkpoint["t2igan"]["vocabulary"]
    words[1], words[2] = words[2], words[1]
    seal(checkpoint)
    torch.save(checkpoint, tmp_path / "other.ckpt")
    changed = replace(checkpoints, **{which: tmp_path / "other.ckpt"})
    with pytest.raises(UserError, match=r"other\.ckpt was trained with vocabulary") as error:
        score(changed, store, protocol)
    assert "\n" not in str(error.value)
