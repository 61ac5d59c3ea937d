from dataclasses import replace

import pytest
import torch
from evaluation_fixtures import score

from t2igan.data.datasets import resize_images
from t2igan.evaluation.features.networks import load_classifier
from t2igan.evaluation.subjects.real import RealImages
from t2igan.metrics.frechet import frechet_distance


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
