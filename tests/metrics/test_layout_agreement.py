"""Agreement of layouts, against a second implementation."""

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from t2igan.metrics.bootstrap import resampled_counts
from t2igan.metrics.layout_agreement import LayoutAgreement

LABELS = 7


def maps(seed, *shape, void=0.0):
    generator = np.random.default_rng(seed)
    values = generator.integers(LABELS, size=shape)
    return torch.from_numpy(np.where(generator.random(shape) < void, 255, values).astype(np.uint8))


def test_equal_maps_agree_wholly():
    metric = LayoutAgreement(LABELS)
    metric.update(maps(0, 2, 9, 9), maps(0, 2, 9, 9), torch.arange(2))
    assert {name: float(value) for name, value in metric.compute().items()} == {"pixel_accuracy": 1, "mean_iou": 1}


def test_agrees_with_torchmetrics_where_nothing_is_void():
    said, gold = maps(1, 3, 16, 16), maps(2, 3, 16, 16)
    metric = LayoutAgreement(LABELS)
    for one, other, index in zip(said.split(2), gold.split(2), torch.arange(3).split(2)):
        metric.update(one, other, index)
    expected = MulticlassJaccardIndex(LABELS, average="macro")(said.long(), gold.long())
    values = metric.compute()
    assert float(values["mean_iou"]) == pytest.approx(float(expected), abs=1e-6)
    assert float(values["pixel_accuracy"]) == pytest.approx(float((said == gold).double().mean()))


def test_void_of_the_gold_map_counts_nowhere_and_other_void_is_wrong():
    gold = torch.tensor([[[0, 0, 1, 255]]], dtype=torch.uint8)
    said = torch.tensor([[[0, 255, 1, 1]]], dtype=torch.uint8)
    metric = LayoutAgreement(LABELS)
    metric.update(said, gold, torch.arange(1))
    values = metric.compute()
    assert float(values["pixel_accuracy"]) == pytest.approx(2 / 3)
    assert float(values["mean_iou"]) == pytest.approx((1 / 2 + 1) / 2)


def test_labels_that_gold_maps_never_show_are_not_in_the_mean():
    metric = LayoutAgreement(LABELS)
    metric.update(
        torch.tensor([[[0, 3]]], dtype=torch.uint8), torch.tensor([[[0, 0]]], dtype=torch.uint8), torch.arange(1)
    )
    assert float(metric.compute()["mean_iou"]) == pytest.approx(1 / 2)


def test_replicates_draw_whole_images():
    said, gold = maps(1, 5, 16, 16), maps(2, 5, 16, 16, void=0.2)
    metric = LayoutAgreement(LABELS)
    metric.update(said.flip(0), gold.flip(0), torch.arange(5).flip(0))
    found = metric.estimates(3, seed=4)
    for number, counts in enumerate(resampled_counts(5, 3, seed=4)):
        drawn = torch.arange(5).repeat_interleave(counts.long())
        alone = LayoutAgreement(LABELS)
        alone.update(said[drawn], gold[drawn], torch.arange(5))
        for name, value in alone.compute().items():
            assert found[name].replicates[number].item() == pytest.approx(value.item())
    assert found["mean_iou"].value == metric.compute()["mean_iou"] and found["mean_iou"].count == 5
    assert found["mean_iou"].replicates.std() > 0
    assert metric.estimates()["mean_iou"].replicates is None
