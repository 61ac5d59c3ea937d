import numpy as np
import pytest
import scipy.linalg
import torch

from t2igan.errors import UserError
from t2igan.metrics.frechet import FrechetToReal, frechet_distance
from t2igan.metrics.frechet_sampling import FrechetInfinity, frechet_infinity, infinity_replicates


def features(count, dim=6, seed=0, shift=0.0, spread=1.0):
    drawn = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn * torch.linspace(0.5, spread + 0.5, dim, dtype=torch.float64) + shift


def statistics(x):
    return x.mean(0), x.T.cov()


@pytest.mark.parametrize("count", [300, 20])
def test_the_quick_distance_is_the_distance(count):
    # With 20 samples of 40 dimensions the covariance has no full rank.
    dim = 40
    real, generated = features(500, dim), features(count, dim, seed=1, shift=0.2, spread=2.0)
    expected = frechet_distance(*statistics(real), *statistics(generated)).item()
    to_real = FrechetToReal(*statistics(real))
    assert to_real.distance(generated).item() == pytest.approx(expected, rel=1e-9)
    assert to_real.distance(generated, to_real.project(generated)).item() == pytest.approx(expected, rel=1e-9)
    if count > dim:
        (m1, c1), (m2, c2) = statistics(real), statistics(generated)
        root = scipy.linalg.sqrtm((c1 @ c2).numpy()).real.trace()
        scipys = ((m1 - m2).square().sum() + c1.trace() + c2.trace()).item() - 2 * root
        assert expected == pytest.approx(scipys, rel=1e-6)


def test_influence_is_the_derivative_in_the_weight_of_a_sample():
    real, generated = features(400), features(150, seed=1, shift=0.3, spread=2.0)
    influence = FrechetToReal(*statistics(real)).influence(generated)
    step = 1e-5

    def distance(weights):
        weights = weights / weights.sum()
        mean = weights @ generated
        centred = generated - mean
        return frechet_distance(*statistics(real), mean, (centred.T * weights) @ centred)

    for sample in (0, 17, 149):
        weights = torch.ones(150, dtype=torch.float64)
        up, down = weights.clone(), weights.clone()
        up[sample] += 150 * step
        down[sample] -= 150 * step
        slope = (distance(up) - distance(down)) / (2 * step)
        # The metric's covariance has the divisor N - 1, this one N.
        assert influence[sample].item() == pytest.approx(slope.item(), rel=0.02, abs=0.01)
    assert abs(influence.mean()) < 1e-12


def test_the_limits_replicates_spread_as_the_limit_does_over_fresh_samples():
    real = features(20_000, 12)
    to_real, options = FrechetToReal(*statistics(real)), (15, 100, 0)
    limits, told, fitted = [], [], []
    for seed in range(1, 101):
        generated = features(600, 12, seed=seed, shift=0.2, spread=1.3)
        limit, error = frechet_infinity(real, generated, *options, to_real)
        limits.append(limit.item())
        fitted.append(error.item())
        told.append(infinity_replicates(to_real, generated, 100, 0, *options).std().item())
    true = np.std(limits, ddof=1)  # known to 7 %
    assert np.mean(told) == pytest.approx(true, rel=0.2)
    assert np.mean(fitted) < 0.7 * true  # what was told before


def test_the_limits_replicates_are_deviations_and_seeded():
    real, generated = features(400), features(300, seed=1, shift=0.3)
    to_real = FrechetToReal(*statistics(real))
    first, again, other = (infinity_replicates(to_real, generated, 500, seed, 5, 50) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert abs(first.mean()) < 4 * first.std() / 500**0.5


def test_the_line_finds_the_limit():
    # Both sides from one distribution: the distance at infinity to a large reference is nearly nothing.
    real, generated = features(20_000, 10), features(2000, 10, seed=1)
    found, error = frechet_infinity(real, generated, points=10, smallest=100)
    finite = frechet_distance(*statistics(real), *statistics(generated[:200])).item()
    assert abs(found.item()) < 0.1 * finite
    assert 0 < error.item() < 0.1 * finite


def test_the_line_is_least_squares():
    real, generated = features(300), features(200, seed=1, shift=0.5)
    found, _ = frechet_infinity(real, generated, points=4, smallest=50, seed=3)
    sizes, values = [50, 100, 150, 200], []
    for point, size in enumerate(sizes):
        picked = np.random.default_rng([3, point]).permutation(200)[:size]
        values.append(frechet_distance(*statistics(real), *statistics(generated[picked])).item())
    assert found.item() == pytest.approx(np.polyfit(1 / np.array(sizes), values, 1)[1], rel=1e-9)


def test_batches_leave_no_trace_and_few_samples_are_refused():
    real, generated = features(60).float(), features(50, seed=1).float()
    results = []
    for batch in (1, 7, 64):
        metric = FrechetInfinity(6, points=3, smallest=20)
        for rows, side in ((real, True), (generated, False)):
            for index in torch.randperm(len(rows)).split(batch):
                metric.update(rows[index], index, real=side)
        results.append(metric.compute())
    assert results[0] == results[1] == results[2]
    with pytest.raises(UserError, match="50 samples for 15 subsets from 5000 on: lower `smallest`"):
        frechet_infinity(real, generated)
