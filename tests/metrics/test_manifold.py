import numpy as np
import pytest
import torch

from t2igan.errors import UserError
from t2igan.metrics.manifold import (
    NAMES,
    Manifold,
    bootstrap_manifold,
    manifold_replicates,
    manifold_values,
    neighbour_radii,
)


def features(count, dim=6, seed=0, shift=0.0):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def literal(real, generated, k):
    """The definitions of the papers, sample by sample."""
    real, generated = real.numpy(), generated.numpy()

    def radii(rows):
        return [
            sorted(np.linalg.norm(x - y) for j, y in enumerate(rows) if j != i)[k - 1] for i, x in enumerate(rows)
        ]

    real_radii, generated_radii = radii(real), radii(generated)
    inside = np.array([[np.linalg.norm(x - y) <= r for y in generated] for x, r in zip(real, real_radii)])
    recalled = [any(np.linalg.norm(x - y) <= r for y, r in zip(generated, generated_radii)) for x in real]
    return {
        "precision": inside.any(0).mean(),
        "recall": np.mean(recalled),
        "density": inside.sum() / (k * len(generated)),
        "coverage": inside.any(1).mean(),
    }


@pytest.mark.parametrize(("k", "dim"), [(1, 6), (3, 6), (5, 100)])
def test_agrees_with_the_definitions(k, dim):
    real, generated = features(40, dim), features(33, dim, seed=1, shift=0.4)
    found = manifold_values(real, generated, k)
    assert {name: value.item() for name, value in found.items()} == pytest.approx(literal(real, generated, k))
    assert set(found) == set(NAMES)


def test_equal_sets_are_perfect_and_distant_ones_have_nothing_in_common():
    x = features(30)
    same = manifold_values(x, x.clone())
    # Each ball holds its centre and its k neighbours, the last of them on its surface.
    assert {name: value.item() for name, value in same.items()} == pytest.approx(
        {"precision": 1, "recall": 1, "density": 6 / 5, "coverage": 1}
    )
    apart = manifold_values(x, x + 1000)
    assert all(value == 0 for value in apart.values())


def test_a_collapsed_generator_is_precise_without_recall():
    real = features(200)
    generated = real[:1] + 1e-3 * features(100, seed=3)
    found = manifold_values(real, generated)
    assert found["precision"] == 1
    assert found["recall"] < 0.02 and found["coverage"] < 0.1


def test_doubles_are_neighbours():
    x = features(10)
    radii = neighbour_radii(torch.cat([x, x]), 1)
    assert torch.allclose(radii, torch.zeros(20, dtype=torch.float64), atol=1e-12)


def test_blocks_of_rows_leave_no_trace(monkeypatch):
    real, generated = features(40), features(33, seed=1, shift=0.4)
    expected = manifold_values(real, generated)
    monkeypatch.setattr("t2igan.metrics.feature_sets.BLOCK_ROWS", 7)
    assert manifold_values(real, generated) == expected


def test_weights_say_which_samples_are_there():
    real, generated = features(40), features(33, seed=1, shift=0.4)
    whole = manifold_values(real, generated, 3)
    counts = torch.ones(2, 33)
    counts[1] = 0
    counts[1, 7] = 33
    found = manifold_replicates(real, generated, 3, counts)
    radius = neighbour_radii(real, 3)
    near = ((real - generated[7]).square().sum(1) <= radius).double()
    for name in NAMES:
        assert found[name][0] == whole[name]
    assert found["coverage"][1] == near.mean()
    assert found["precision"][1] == near.max()
    assert found["density"][1].item() == pytest.approx(near.sum().item() / 3)


def test_replicates_are_seeded_and_follow_the_value():
    real, generated = features(100), features(80, seed=1, shift=0.4)
    found = bootstrap_manifold(real, generated, 5, 50, seed=3)
    whole = manifold_values(real, generated)
    for name, row in found.items():
        assert row.shape == (51,)
        assert row[0] == whole[name]
        assert row[1:].std() > 0
        assert torch.equal(row, bootstrap_manifold(real, generated, 5, 50, seed=3)[name])
    assert abs(found["precision"][1:].mean() - whole["precision"]) < 0.03
    assert len(bootstrap_manifold(real, generated, 5, 0, seed=3)["recall"]) == 1


def test_batches_and_their_order_leave_no_trace():
    real, generated = features(40).float(), features(33, seed=1, shift=0.4).float()
    results = []
    for batch in (1, 7, 64):
        metric = Manifold(6, neighbours=3)
        for rows, side in ((real, True), (generated, False)):
            for index in torch.randperm(len(rows)).split(batch):
                metric.update(rows[index], index, real=side)
        results.append(metric.compute())
    assert results[0] == results[1] == results[2]


def test_too_few_samples_are_refused():
    with pytest.raises(UserError, match="5 real and 9 generated samples have no 5 neighbours"):
        manifold_values(features(5), features(9))
