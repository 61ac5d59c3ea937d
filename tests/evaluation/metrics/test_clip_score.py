"""CLIP's score and R-precision, whose network most machines lack."""

from dataclasses import replace

import pytest
import torch
from clip_fixture import write_clip
from evaluation_fixtures import evaluate

from t2igan.errors import UserError
from t2igan.evaluation.features.networks import NetworkOptions
from t2igan.evaluation.images.generate import generate_images
from t2igan.evaluation.metrics.clip_score import CLIPScore
from t2igan.evaluation.metrics.r_precision import CLIPRPrecision
from t2igan.evaluation.plan import plan_images
from t2igan.evaluation.subjects.folder import ImageFolder
from t2igan.metrics.clip import ClipEncoder

CPU = torch.device("cpu")


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
