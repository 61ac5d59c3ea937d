import time

import numpy as np
import pytest
import scipy.linalg
import torch

from t2igan.errors import UserError
from t2igan.metrics.frechet import FrechetDistance, frechet_distance, moments


def features(count, dim, seed, mix_seed=7, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dim, dim, generator=torch.Generator().manual_seed(mix_seed), dtype=torch.float64)
    return torch.randn(count, dim, generator=generator, dtype=torch.float64) @ mixing + shift


def statistics(x):
    return x.mean(0), torch.cov(x.T)


def score(real, generated, batch=64):
    metric = FrechetDistance(real.shape[1])
    for part in real.split(batch):
        metric.update(part, real=True)
    for part in generated.split(batch):
        metric.update(part, real=False)
    return metric.compute().item()


def scipy_distance(real, generated):
    (mean1, cov1), (mean2, cov2) = ((m.numpy(), c.numpy()) for m, c in (statistics(real), statistics(generated)))
    return ((mean1 - mean2) ** 2).sum() + np.trace(cov1 + cov2 - 2 * scipy.linalg.sqrtm(cov1 @ cov2).real)


def test_agrees_with_scipy_at_full_rank():
    real, generated = features(500, 24, 0), features(400, 24, 1, mix_seed=8, shift=0.5)
    assert score(real, generated) == pytest.approx(scipy_distance(real, generated), rel=1e-9)


def test_one_dimension_has_a_closed_form():
    # |m1 - m2|^2 + (s1 - s2)^2
    first, second = torch.tensor(1.0), torch.tensor(-2.0)
    value = frechet_distance(first[None], torch.tensor([[9.0]]), second[None], torch.tensor([[25.0]]))
    assert value.item() == pytest.approx(9 + 4, rel=1e-12)
    assert value.dtype == torch.float64


def test_diagonal_covariances_have_a_closed_form():
    a, b = torch.rand(50).double(), torch.rand(50).double()
    mean = torch.zeros(50)
    value = frechet_distance(mean, torch.diag(a), mean, torch.diag(b))
    assert value.item() == pytest.approx((a.sqrt() - b.sqrt()).square().sum().item(), rel=1e-10)


def test_shift_alone_gives_its_squared_length():
    x = features(300, 16, 3)
    assert score(x, x + 0.25) == pytest.approx(16 * 0.0625, rel=1e-6)


@pytest.mark.parametrize("count", [10, 40])
def test_fewer_samples_than_features(count):
    # Rotations of a subspace: the value must be what the full-rank formula gives inside the subspace.
    inside = [features(count, 8, seed) for seed in (0, 1)]
    basis = torch.linalg.qr(features(64, 64, 2))[0][:8]
    outside = [x @ basis for x in inside]
    assert score(*outside) == pytest.approx(scipy_distance(*inside), rel=1e-9)


def test_disjoint_subspaces_have_no_overlap():
    x = torch.zeros(30, 40, dtype=torch.float64)
    y = x.clone()
    x[:, :20], y[:, 20:] = features(30, 20, 0), features(30, 20, 1)
    (mean1, cov1), (mean2, cov2) = statistics(x), statistics(y)
    expected = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace()
    assert score(x, y) == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize("count", [5, 500])
def test_equal_sets_are_at_distance_zero_and_never_below(count):
    x = features(count, 32, 4)
    scale = statistics(x)[1].trace().item()
    assert 0 <= score(x, x) < 1e-10 * scale


def test_large_values_stay_precise():
    real, generated = features(200, 8, 0) * 1e6 + 1e7, features(200, 8, 1) * 1e6 + 1e7
    assert score(real, generated) == pytest.approx(scipy_distance(real, generated), rel=1e-6)


def test_batch_size_leaves_no_trace():
    real, generated = features(130, 48, 0).float(), features(90, 48, 1, shift=0.1).float()
    values = [score(real, generated, batch) for batch in (1, 7, 64)]
    assert values == pytest.approx([values[0]] * 3, rel=1e-9)


def test_moments_are_unbiased():
    x = features(9, 5, 0)
    mean, covariance = moments(x.sum(0), x.T @ x, 9)
    torch.testing.assert_close(mean, x.mean(0))
    torch.testing.assert_close(covariance, torch.from_numpy(np.cov(x.numpy(), rowvar=False)))


@pytest.mark.parametrize("counts", [(1, 5), (5, 0)])
def test_too_few_samples(counts):
    metric = FrechetDistance(4)
    for count, real in zip(counts, (True, False)):
        if count:
            metric.update(torch.randn(count, 4), real=real)
    with pytest.raises(UserError, match="at least 2"):
        metric.compute()


def test_bad_input_is_refused():
    metric = FrechetDistance(4)
    with pytest.raises(ValueError, match=r"\(B, 4\)"):
        metric.update(torch.randn(3, 5), real=True)
    zero, identity = torch.zeros(2), torch.eye(2)
    with pytest.raises(UserError, match="not finite"):
        frechet_distance(zero, identity, zero * torch.nan, identity)
    with pytest.raises(UserError, match="negative eigenvalue"):
        frechet_distance(zero, identity, zero, torch.diag(torch.tensor([1.0, -0.1])))


def test_a_metric_that_was_reset_in_inference_mode_goes_on():
    """As a validation epoch of Lightning leaves it."""
    real, generated = features(20, 3, 0), features(20, 3, 1)
    metric = FrechetDistance(3)
    with torch.inference_mode():
        metric.update(real, real=True)
        metric.reset()
    metric.update(real, real=True)
    with torch.inference_mode():
        metric.update(generated, real=False)
    assert metric.compute().item() == score(real, generated)


def test_taking_in_leaves_the_default_alone():
    metric = FrechetDistance(3)
    metric.update(features(20, 3, 0), real=True)
    metric.reset()
    assert metric.real_count == 0 and (metric.real_outer == 0).all() and (metric.real_sum == 0).all()


@pytest.mark.parametrize("power", [1.0, 3.0, 6.0])
@pytest.mark.parametrize("count", [100, 300, 2000])
def test_cholesky_gives_what_eigenvalues_give(power, count, monkeypatch):
    """Over spectra from even to nearly singular, as features of networks have them."""
    scale = torch.arange(1, 129).double() ** (-power / 2)
    real, generated = (features(count, 128, seed) * scale for seed in (0, 1))
    found = frechet_distance(*statistics(real), *statistics(generated))
    monkeypatch.setattr("t2igan.metrics.frechet.SMALLEST_PIVOT", torch.inf)
    by_eigenvalues = frechet_distance(*statistics(real), *statistics(generated))
    assert found.item() == pytest.approx(by_eigenvalues.item(), rel=1e-11)


def test_taking_in_is_faster_than_adding_new_matrices():
    """The way before, interleaved: a new matrix for each product and each sum."""
    rows, dim = torch.randn(64, 1024), 1024
    metric, outer, seconds = FrechetDistance(dim), torch.zeros(dim, dim, dtype=torch.float64), ([], [])
    for _ in range(12):
        start = time.process_time()
        metric.update(rows, real=True)
        middle = time.process_time()
        outer = outer + rows.double().T @ rows.double()
        for own, value in zip(seconds, (middle - start, time.process_time() - middle)):
            own.append(value)
    torch.testing.assert_close(metric.real_outer.tril(), outer.tril(), rtol=1e-14, atol=1e-10)
    assert np.median(seconds[0]) < np.median(seconds[1])


def test_reset_forgets():
    metric = FrechetDistance(3)
    metric.update(torch.randn(50, 3) + 5, real=True)
    metric.reset()
    real, generated = features(20, 3, 0), features(20, 3, 1)
    metric.update(real, real=True)
    metric.update(generated, real=False)
    assert metric.compute().item() == pytest.approx(score(real, generated), rel=1e-12)
