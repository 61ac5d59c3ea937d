"""Precision, recall, density and coverage of two sets of feature vectors, by nearest neighbours.

Precision and recall: Kynkaanniemi et al. 2019, section 3. Density and coverage: Naeem et al. 2020, section 3.
"""

from typing import Any

import torch
from torch import Tensor

from t2igan.errors import UserError
from t2igan.metrics.bootstrap import resampled_counts
from t2igan.metrics.estimate import Estimate
from t2igan.metrics.feature_sets import FeatureSetMetric, row_blocks

NAMES = ("precision", "recall", "density", "coverage")


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """(N, M) of float64 rows (N, D) and (M, D); round-off below zero is cut off."""
    return (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T).clamp(min=0)


def neighbour_radii(x: Tensor, neighbours: int) -> Tensor:
    """Squared distance of each sample (N, D) to its k-th nearest other one, (N,)."""
    radii = []
    for rows in row_blocks(len(x)):
        distances = squared_distances(x[rows], x)
        # The sample itself is excluded by its index, not by its distance of zero: it may have duplicates.
        places = torch.arange(rows.start, rows.stop, device=x.device)
        distances[torch.arange(len(places), device=x.device), places] = torch.inf
        radii.append(distances.kthvalue(neighbours, dim=1).values)
    return torch.cat(radii)


def manifold_replicates(real: Tensor, generated: Tensor, neighbours: int, counts: Tensor) -> dict[str, Tensor]:
    """Precision, recall, density and coverage of weighted generated samples.

    The balls have the k-th nearest neighbour distances of the whole sets as radii; the weights are the
    multiplicities of generated samples and their balls.

    Args:
        real: (N, D).
        generated: (M, D).
        neighbours: k, less than N and than M.
        counts: (R, M), multiplicity of each generated sample; each row has at least one sample.

    Returns:
        float64 (R,) by name.

    Raises:
        UserError: a side has not more than k samples.
    """
    if min(len(real), len(generated)) <= neighbours:
        raise UserError(
            f"precision, recall, density, coverage: {len(real)} real and {len(generated)} generated samples "
            f"have no {neighbours} neighbours each: lower `neighbours` or score more images"
        )
    real, generated, counts = real.double(), generated.double(), counts.double().to(real.device)
    real_radii, generated_radii = neighbour_radii(real, neighbours), neighbour_radii(generated, neighbours)
    around = torch.zeros(len(generated), dtype=torch.float64, device=real.device)
    recalled, covered = torch.zeros(2, len(counts), dtype=torch.float64, device=real.device)
    for rows in row_blocks(len(real)):
        distances = squared_distances(real[rows], generated)
        in_real_ball = (distances <= real_radii[rows, None]).double()
        in_generated_ball = (distances <= generated_radii).double()
        around += in_real_ball.sum(0)
        covered += (counts @ in_real_ball.T > 0).double().sum(1)
        recalled += (counts @ in_generated_ball.T > 0).double().sum(1)
    total = counts.sum(1)
    return {
        "precision": counts @ (around > 0).double() / total,
        "recall": recalled / len(real),
        "density": counts @ around / (neighbours * total),
        "coverage": covered / len(real),
    }


def manifold_values(real: Tensor, generated: Tensor, neighbours: int = 5) -> dict[str, Tensor]:
    """Precision, recall, density and coverage.

    A sample on the surface of a ball counts as inside (as outside in the code of Naeem et al.).

    Args:
        real: (N, D).
        generated: (M, D).
        neighbours: k.

    Returns:
        float64 scalars by name; density may exceed 1.

    Raises:
        UserError: a side has not more than k samples.
    """
    once = torch.ones(1, len(generated), dtype=torch.float64)
    return {name: row[0] for name, row in manifold_replicates(real, generated, neighbours, once).items()}


class Manifold(FeatureSetMetric):
    """Precision, recall, density and coverage.

    Args:
        feature_dim: width D of the features.
        neighbours: k.
        kwargs: options of :class:`torchmetrics.Metric`.
    """

    higher_is_better = True

    def __init__(self, feature_dim: int, neighbours: int = 5, **kwargs: Any) -> None:
        super().__init__(feature_dim, **kwargs)
        self.neighbours = neighbours

    def compute(self) -> dict[str, Tensor]:
        """float64 scalars by name.

        Raises:
            UserError: too few samples on a side, or one given twice.
        """
        return manifold_values(*self.sets(), self.neighbours)

    def estimates(self, replicates: int = 0, seed: int = 0) -> dict[str, Estimate]:
        """The four values, see :class:`IndexedMetric`."""
        real, generated = self.sets()
        found = bootstrap_manifold(real, generated, self.neighbours, replicates, seed)
        resampled = slice(1, None) if replicates else None
        return {
            name: Estimate(row[0], len(generated), replicates=None if resampled is None else row[resampled])
            for name, row in found.items()
        }


def bootstrap_manifold(
    real: Tensor, generated: Tensor, neighbours: int, replicates: int, seed: int
) -> dict[str, Tensor]:
    """The value of the whole set, then those of resampled generated samples: float64 (1 + R,) by name."""
    once = torch.ones(1, len(generated), dtype=torch.float64)
    counts = resampled_counts(len(generated), replicates, seed) if replicates else once[:0]
    return manifold_replicates(real, generated, neighbours, torch.cat([once, counts]))
