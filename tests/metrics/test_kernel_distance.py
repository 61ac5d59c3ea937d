import numpy as np
import pytest
import torch

from t2igan.errors import UserError
from t2igan.metrics.bootstrap import resampled_counts
from t2igan.metrics.kernel_distance import (
    KernelDistance,
    all_kernel_distances,
    kernel_distances,
)


def features(count, dim=12, seed=0, shift=0.0):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def literal(real, generated, degree=3):
    """The estimator of the paper, pair by pair."""
    real, generated = real.numpy(), generated.numpy()

    def kernel(x, y):
        return (x @ y / len(x) + 1) ** degree

    def own(rows):
        pairs = [kernel(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j]
        return sum(pairs) / (len(rows) * (len(rows) - 1))

    across = sum(kernel(x, y) for x in real for y in generated) / (len(real) * len(generated))
    return own(real) + own(generated) - 2 * across


def kernel_distance(real, generated, degree=3):
    """Over all pairs, each sample once."""
    return kernel_distances(real, generated, torch.ones(1, len(real)), torch.ones(1, len(generated)), degree)[0]


def score(real, generated, batch=64, **options):
    metric = KernelDistance(real.shape[1], **{"subsets": 4, "subset_size": 20, **options})
    for rows, side in ((real, True), (generated, False)):
        for index in torch.randperm(len(rows)).split(batch):
            metric.update(rows[index], index, real=side)
    return {name: value.item() for name, value in metric.compute().items()}


@pytest.mark.parametrize(("degree", "dim"), [(3, 12), (3, 90), (1, 12), (2, 5)])
def test_agrees_with_a_double_loop(degree, dim):
    # With 90 dimensions there are fewer samples than dimensions.
    real, generated = features(30, dim), features(41, dim, seed=1, shift=0.3)
    found = kernel_distance(real, generated, degree)
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(literal(real, generated, degree), rel=1e-9)


def test_blocks_of_rows_leave_no_trace(monkeypatch):
    real, generated = features(30), features(41, seed=1, shift=0.3)
    expected = kernel_distance(real, generated)
    monkeypatch.setattr("t2igan.metrics.feature_sets.BLOCK_ROWS", 7)
    assert kernel_distance(real, generated).item() == pytest.approx(expected.item(), rel=1e-12)


def test_it_is_unbiased():
    values = torch.stack(
        [kernel_distance(features(20, seed=2 * s), features(20, seed=2 * s + 1)) for s in range(200)]
    )
    assert abs(values.mean()) < 4 * values.std() / len(values) ** 0.5
    assert (values < 0).sum() > 50


def test_subsets_are_seeded_and_drawn_without_replacement():
    real, generated = features(50), features(60, seed=1, shift=0.3)
    values = all_kernel_distances(real, generated, subsets=3, size=10, seed=5).subsets
    for subset, value in enumerate(values):
        generator = np.random.default_rng([5, subset])
        rows = [generator.permutation(len(side))[:10] for side in (real, generated)]
        assert value.item() == pytest.approx(literal(real[rows[0]], generated[rows[1]]), rel=1e-9)
    assert not torch.equal(values, all_kernel_distances(real, generated, 3, 10, seed=6).subsets)
    # A subset of everything is everything, in another order.
    whole = all_kernel_distances(real, real + 1, 1, size=50).subsets
    assert whole[0].item() == pytest.approx(kernel_distance(real, real + 1).item(), rel=1e-9)


def test_weights_are_repetitions_that_never_meet_themselves():
    real, generated = features(15), features(4, seed=1)
    weights = torch.tensor([[1.0, 1, 1, 1], [2, 0, 1, 1]])
    found = kernel_distances(real, generated, torch.ones(2, 15), weights)
    assert found[0].item() == pytest.approx(kernel_distance(real, generated).item(), rel=1e-12)
    kernel = (generated @ generated.T / 12 + 1) ** 3
    pairs = {(0, 2): 2, (0, 3): 2, (2, 3): 1}
    own = sum(times * kernel[pair].item() for pair, times in pairs.items()) / sum(pairs.values())
    across = ((real @ generated.T / 12 + 1) ** 3 * torch.tensor([2.0, 0, 1, 1])).sum().item() / (15 * 4)
    once = (real @ real.T / 12 + 1) ** 3
    reals = (once.sum() - once.diagonal().sum()).item() / (15 * 14)
    assert found[1].item() == pytest.approx(reals + own - 2 * across, rel=1e-9)


def test_replicates_spread_as_fresh_samples_do():
    real = features(200)
    fresh = torch.stack([kernel_distance(real, features(80, seed=s, shift=0.4)) for s in range(1, 80)])
    generated = features(80, seed=99, shift=0.4)
    found = all_kernel_distances(real, generated, 2, 20, replicates=200, replicates_seed=4)
    drawn = found.replicates
    # Asked for together with all else, each is what it is by itself.
    alone = kernel_distances(real, generated, torch.ones(200, 200), resampled_counts(80, 200, seed=4))
    torch.testing.assert_close(drawn, alone, rtol=1e-9, atol=1e-12)
    assert found.full.item() == pytest.approx(kernel_distance(real, generated).item(), rel=1e-12)
    assert 0.6 < drawn.std() / fresh.std() < 1.6


def test_batches_and_their_order_leave_no_trace():
    real, generated = features(50).float(), features(61, seed=1, shift=0.3).float()
    expected = score(real, generated)
    assert set(expected) == {"mean", "std", "full"}
    for batch in (1, 7):
        assert score(real, generated, batch) == expected


def test_bad_input_is_refused():
    metric = KernelDistance(12, subset_size=20)
    with pytest.raises(ValueError, match=r"\(B, 12\)"):
        metric.update(features(3, 5), torch.arange(3), real=True)
    with pytest.raises(UserError, match="not finite"):
        metric.update(features(3) * torch.nan, torch.arange(3), real=True)
    metric.update(features(5), torch.arange(5), real=True)
    metric.update(features(5), torch.arange(5), real=False)
    with pytest.raises(UserError, match="5 samples for subsets of 20: lower `subset_size`"):
        metric.compute()
    with pytest.raises(UserError, match="at least 2 a side"):
        kernel_distance(features(5), features(1))
    metric.reset()
    metric.update(features(3), torch.tensor([0, 3, 3]), real=True)
    with pytest.raises(UserError, match=r"reference sample 3 was given .* more than once"):
        metric.compute()
