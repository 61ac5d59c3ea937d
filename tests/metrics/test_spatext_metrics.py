import math

import pytest
import torch
from torch.nn.functional import normalize

from t2igan.errors import UserError
from t2igan.metrics.bootstrap import resampled_counts
from t2igan.metrics.spatext import GlobalDistance, LocalDistance, LocalIoU, local_ious, segment_numbers


def test_the_global_distance_is_one_minus_the_cosine():
    images, captions = normalize(torch.randn(6, 4), dim=1), normalize(torch.randn(6, 4), dim=1)
    metric = GlobalDistance()
    metric.update(images[3:], captions[3:], torch.arange(3, 6))
    metric.update(images[:3], captions[:3], torch.arange(3))
    expected = (1 - torch.nn.functional.cosine_similarity(images, captions)).double()
    assert metric.compute() == pytest.approx(expected.mean())
    [estimate] = metric.estimates(replicates=20).values()
    assert estimate.count == 6 and len(estimate.replicates) == 20
    metric.update(images[:1], captions[:1], torch.tensor([2]))
    with pytest.raises(UserError, match="more than once"):
        metric.compute()


def test_segments_are_averaged_over_segments_and_over_images():
    metric = LocalDistance()
    numbers = segment_numbers(torch.tensor([0, 0, 5, 5]), torch.tensor([0, 1, 0, 1]))
    metric.update(torch.tensor([0.1, 0.2, 0.6, math.nan]), numbers)
    found = metric.compute()
    assert found[""] == pytest.approx(0.3) and found["images"] == pytest.approx((0.15 + 0.6) / 2)
    assert found["skipped"] == 1
    assert metric.estimates()[""].count == 3


def test_the_iou_of_the_masks_themselves_is_one_and_of_others_less():
    masks = torch.zeros(3, 8, 8, dtype=torch.bool)
    masks[0, :4], masks[1, 4:], masks[2, :, :4] = True, True, True
    images, labels = torch.tensor([0, 0, 1]), torch.tensor([7, 9, 7])
    found = torch.full((2, 8, 8), 255)
    found[0, :4], found[0, 4:], found[1, :, :4] = 7, 9, 7
    assert local_ious(found, images, masks, labels).tolist() == [1, 1, 1]
    wrong = local_ious(found.flip(0), images, masks, labels)
    assert wrong.tolist() == pytest.approx([16 / 48, 0, 16 / 48])


def test_segments_of_one_label_are_one():
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[0, 0], masks[1, 3] = True, True
    found = torch.zeros(1, 4, 4, dtype=torch.int64)
    found[0, 0] = found[0, 3] = 5
    same = local_ious(found, torch.tensor([0, 0]), masks, torch.tensor([5, 5]))
    assert same.tolist() == [1, 1]


def test_a_mask_without_a_pixel_is_skipped():
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[1, 0] = True
    values = local_ious(torch.zeros(1, 4, 4), torch.tensor([0, 0]), masks, torch.tensor([1, 0]))
    assert values[0].isnan() and values[1] == 0.25
    metric = LocalIoU()
    metric.update(values, torch.tensor([0, 1]))
    assert metric.compute()[""] == 0.25 and metric.compute()["skipped"] == 1


def test_replicates_draw_images_with_all_their_segments():
    """Two segments of an image are no two samples: the interval would be too narrow."""
    values = torch.tensor([1.0, 0.9, 0.2, 0.1, torch.nan, 0.5])
    images = torch.tensor([0, 0, 3, 3, 5, 7])
    metric = LocalDistance()
    metric.update(values, segment_numbers(images, torch.tensor([0, 1, 0, 1, 0, 0])))
    found = metric.estimates(5, seed=2)[""]
    of_images = [[1.0, 0.9], [0.2, 0.1], [0.5]]
    for replicate, counts in zip(found.replicates, resampled_counts(3, 5, seed=2)):
        drawn = [value for own, times in zip(of_images, counts.long().tolist()) for value in own * times]
        assert replicate.item() == pytest.approx(sum(drawn) / len(drawn))
    assert (found.count, found.over) == (5, "segments") and found.value.item() == pytest.approx(0.54)
