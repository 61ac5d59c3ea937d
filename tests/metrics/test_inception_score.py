import math

import numpy as np
import pytest
import torch

from t2igan.errors import UserError
from t2igan.metrics.bootstrap import resampled_counts
from t2igan.metrics.inception_score import InceptionScore, calibrated, inception_score


def probabilities(count, classes, seed=0, sharpness=3.0):
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(count, classes, generator=generator)).softmax(1)


def score(rows, batch=64, order=None, **options):
    metric = InceptionScore(**options)
    order = torch.arange(len(rows)) if order is None else order
    for index in order.split(batch):
        metric.update(rows[index], index)
    mean, std = metric.compute()
    return mean.item(), std.item()


def textbook(rows):
    rows = rows.double().numpy()
    marginal = rows.mean(0)
    return math.exp(np.mean([(row * np.log(row / marginal)).sum() for row in rows]))


def test_certain_and_uniform_predictions():
    one_hot = torch.eye(5).repeat(4, 1)
    assert inception_score(one_hot).item() == pytest.approx(5, rel=1e-12)
    assert inception_score(torch.full((7, 5), 0.2)).item() == pytest.approx(1, rel=1e-6)
    assert inception_score(torch.eye(5)[:1].repeat(4, 1)).item() == pytest.approx(1, rel=1e-12)


def test_splits_follow_the_index_when_there_is_no_seed():
    rows = probabilities(103, 6)
    parts = [rows[k * 103 // 10 : (k + 1) * 103 // 10] for k in range(10)]
    values = [textbook(part) for part in parts]
    expected = (np.mean(values), np.std(values))
    assert score(rows, seed=None) == pytest.approx(expected, rel=1e-9)


def test_drop_remainder_leaves_the_last_samples_out():
    rows = probabilities(103, 6)
    values = [textbook(part) for part in rows[:100].split(10)]
    expected = (np.mean(values), np.std(values))
    assert score(rows, seed=None, drop_remainder=True) == pytest.approx(expected, rel=1e-9)


def test_batches_and_their_order_leave_no_trace():
    rows = probabilities(130, 8)
    expected = score(rows)
    assert score(rows, batch=1) == expected
    assert score(rows, batch=7, order=torch.randperm(130)) == expected


def test_the_seed_alone_decides_the_splits():
    rows = probabilities(130, 8)
    torch.manual_seed(1)
    first = score(rows, seed=3)
    torch.manual_seed(2)
    assert score(rows, seed=3) == first
    assert score(rows, seed=4) != first
    assert score(rows, seed=None) != first
    assert score(rows, splits=1, seed=3)[0] == pytest.approx(textbook(rows), rel=1e-9)


def test_batches_of_64_lose_their_remainder():
    """2,928 images in batches of 64: 2,880 are scored, the last 48 of the shuffled order are not."""
    rows = probabilities(2928, 5)
    order = np.random.default_rng(3).permutation(2928)
    values = [textbook(part) for part in rows[torch.from_numpy(order[:2880])].split(288)]
    expected = (np.mean(values), np.std(values))
    assert score(rows, seed=3, loader_batch=64) == pytest.approx(expected, rel=1e-9)
    assert score(rows, seed=3) != pytest.approx(expected, rel=1e-9)
    metric = InceptionScore(loader_batch=64)
    metric.update(rows[:63], torch.arange(63))
    with pytest.raises(UserError, match="0 samples for 10 splits"):
        metric.compute()


def test_a_temperature_divides_the_logits():
    logits = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    found = inception_score(calibrated(logits, 0.5980541706085205)).item()
    assert found == pytest.approx(textbook((logits / 0.5980541706085205).softmax(1)), rel=1e-6)
    assert found > inception_score(calibrated(logits)).item()
    assert torch.equal(calibrated(logits), logits.softmax(1))


def test_replicates_are_of_each_split():
    rows = probabilities(300, 4)
    metric = InceptionScore(splits=3, seed=None)
    metric.update(rows, torch.arange(300))
    found = metric.replicates(40, seed=7)
    parts = []
    for number, part in enumerate(rows.split(100)):
        counts = resampled_counts(100, 40, 7 + number)[11].long()
        parts.append(textbook(part.repeat_interleave(counts, dim=0)))
    assert found[11].item() == pytest.approx(np.mean(parts), rel=1e-9)
    assert 0 < found.std() < 0.1 * found.mean()


def test_repeated_sample_is_refused():
    metric = InceptionScore(splits=2)
    rows = probabilities(6, 3)
    metric.update(rows, torch.tensor([0, 1, 2, 3, 4, 2]))
    with pytest.raises(UserError, match=r"sample 2 was given .* more than once"):
        metric.compute()


def test_bad_input_is_refused():
    metric = InceptionScore(splits=5)
    with pytest.raises(UserError, match="softmax"):
        metric.update(torch.randn(4, 3), torch.arange(4))
    with pytest.raises(UserError, match="NaN"):
        metric.update(torch.full((1, 3), torch.nan), torch.arange(1))
    with pytest.raises(ValueError, match="as many indices"):
        metric.update(probabilities(4, 3), torch.arange(3))
    with pytest.raises(UserError, match="no sample"):
        metric.compute()
    metric.reset()
    metric.update(probabilities(4, 3), torch.arange(4))
    with pytest.raises(UserError, match="4 samples for 5 splits"):
        metric.compute()
