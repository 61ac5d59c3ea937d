from dataclasses import replace

import pytest
import torch
from evaluation_fixtures import OFFLINE, evaluate, score

from t2igan.errors import UserError
from t2igan.evaluation.features.networks import load_damsms
from t2igan.evaluation.metrics.r_precision import DAMSMRPrecision
from t2igan.evaluation.protocol import load_protocol
from t2igan.evaluation.record import ResultRecord
from t2igan.evaluation.subjects.generated import load_checkpoint_subject
from t2igan.evaluation.subjects.real import RealImages
from t2igan.models.digest import seal


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


@pytest.mark.parametrize("name", ["cub/dmgan", "coco/dmgan", "cub/tise", "cub/attngan", "cub/mirrorgan"])
def test_papers_that_aligned_corners_have_it_in_their_protocols(name):
    (spec,) = (spec for spec in load_protocol(name).metrics if isinstance(spec, DAMSMRPrecision))
    assert spec.resize == "align-corners"


def test_what_does_not_fit_is_refused(checkpoints, store, protocol):
    for change, part in (
        ({"dataset": "cub"}, "holds 'drawn-birds', protocol p is for 'cub'"),
        ({"image_size": 128}, "prepare it with --image_size 128"),
        ({"image_size": 64}, "generates 32 px, but protocol p is for 64 px"),
    ):
        with pytest.raises(UserError, match=part) as error:
            score(checkpoints, store, replace(protocol, **change))
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="--device: cuda:99 is not available"):
        score(checkpoints, store, protocol, options=replace(OFFLINE, device="cuda:99"))
