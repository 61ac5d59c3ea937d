import pytest
import torch
from test_frechet_sampling import features, statistics

from t2igan.errors import UserError
from t2igan.metrics.bootstrap import interval, mean_replicates, resampled_counts
from t2igan.metrics.frechet import FrechetToReal, frechet_distance, frechet_replicates


def test_replicates_spread_as_a_whole_bootstrap_does():
    real, generated = features(400), features(300, seed=1, shift=0.3, spread=2.0)
    quick = frechet_replicates(FrechetToReal(*statistics(real)), generated, 300, seed=4)
    counts = resampled_counts(300, 300, seed=4)
    slow = torch.stack(
        [
            frechet_distance(*statistics(real), *statistics(generated.repeat_interleave(row.long(), dim=0)))
            for row in counts
        ]
    )
    assert torch.corrcoef(torch.stack([quick, slow]))[0, 1] > 0.99
    assert quick.std().item() == pytest.approx(slow.std().item(), rel=0.1)


def test_intervals_hold_the_value_of_many_samples():
    held = 0
    for seed in range(60):
        values = features(200, 1, seed=seed)[:, 0]
        low, high = interval(values.mean().item(), mean_replicates(values, 200, seed), confidence=0.9)
        held += low <= 0 <= high
    assert 46 <= held <= 60  # 54 expected, standard deviation 2.3


def test_an_interval_is_about_its_value_and_seeded():
    replicates = mean_replicates(torch.arange(50), 400, seed=1) + 7.0
    low, high = interval(3.0, replicates, 0.95)
    assert low < 3 < high
    assert torch.equal(mean_replicates(torch.arange(50), 400, seed=1) + 7.0, replicates)
    assert not torch.equal(mean_replicates(torch.arange(50), 400, seed=2) + 7.0, replicates)
    assert (resampled_counts(30, 5, 0).sum(1) == 30).all()
    for wrong in ((replicates[:1], 0.95), (replicates, 1.5)):
        with pytest.raises(UserError, match="at least 2, between 0 and 1"):
            interval(0.0, *wrong)
