from dataclasses import replace

import pytest
import torch
from clip_fixture import write_clip
from evaluation_fixtures import OFFLINE, evaluate, score
from segment_fixture import train_on_scenes

from t2igan.errors import UserError
from t2igan.evaluation.features.networks import (
    JointSource,
    NetworkOptions,
    SegmenterSource,
    Supply,
    load_classifier,
    load_damsms,
)
from t2igan.evaluation.metrics.frechet import FID
from t2igan.evaluation.subjects.generated import load_checkpoint_subject
from t2igan.models.digest import seal
from t2igan.models.joint_encoder import SegmentEncoder
from t2igan.models.segmenter import Segmenter


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


def test_wrong_checkpoints_are_refused(checkpoints, store):
    with pytest.raises(UserError, match="holds EvaluationClassifier, not a DAMSM"):
        load_damsms([checkpoints.classifier], store)
    with pytest.raises(UserError, match="holds DAMSM, not an EvaluationClassifier"):
        load_classifier(checkpoints.damsm, store)
    with pytest.raises(UserError, match="holds DAMSM, which generates no images"):
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


@pytest.mark.parametrize(
    ("source", "option", "module"),
    [
        (SegmenterSource(), "segmenter", Segmenter(16, channels=2)),
        (JointSource(), "encoder", SegmentEncoder(dim=4, channels=4, width=8)),
    ],
)
def test_the_folder_of_a_run_stands_for_its_checkpoint(source, option, module, tmp_path):
    path = train_on_scenes(module, 1, tmp_path)
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    last.parent.mkdir(parents=True)
    path.rename(last)

    def sha256(given):
        supply = Supply([], None, NetworkOptions(**{option: given}), torch.device("cpu"))
        return supply.embedders(source)[0].sha256

    assert sha256(tmp_path / "run") == sha256(last)
    (tmp_path / "nothing" / "checkpoints").mkdir(parents=True)
    with pytest.raises(UserError, match="nothing holds no checkpoint"):
        sha256(tmp_path / "nothing")


def test_the_folder_of_a_clip_is_no_run(tmp_path):
    supply = Supply([], None, NetworkOptions(encoder=write_clip(tmp_path / "clip")), torch.device("cpu"))
    assert len(supply.embedders(JointSource())[0].sha256) == 64
