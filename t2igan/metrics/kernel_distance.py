"""Kernel distance (KID) between two sets of feature vectors (Binkowski et al. 2018, section 4).

Squared maximum mean discrepancy with the kernel (x . y / D + 1)^3, unbiased: it needs no correction for the number
of samples, and is negative about as often as positive where both sets come from one distribution. Only with
Inception features is the value called KID.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from t2igan.errors import UserError
from t2igan.metrics.bootstrap import resampled_counts
from t2igan.metrics.feature_sets import FeatureSetMetric, row_blocks


def _kernel(x: Tensor, y: Tensor, degree: int) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** degree


def _weighted_sum(x: Tensor, y: Tensor, x_weights: Tensor, y_weights: Tensor, degree: int) -> Tensor:
    """sum_ij u_ri v_rj k(x_i, y_j) for each replicate r, weights (R, N) and (R, M)."""
    return sum(
        (x_weights[:, rows] * (y_weights @ _kernel(y, x[rows], degree))).sum(1) for rows in row_blocks(len(x))
    )


def _own_pairs(x: Tensor, weights: Tensor, degree: int) -> Tensor:
    """Weighted mean of the kernel over pairs of different samples, (R,)."""
    diagonal = (x.square().sum(1) / x.shape[1] + 1) ** degree
    total = _weighted_sum(x, x, weights, weights, degree) - weights.square() @ diagonal
    return total / (weights.sum(1).square() - weights.square().sum(1))


def kernel_distances(real: Tensor, generated: Tensor, weights: Tensor, degree: int = 3) -> Tensor:
    """Unbiased kernel distance of the real set to weighted sets of generated samples.

    Args:
        real: (N, D), N at least 2.
        generated: (M, D), M at least 2.
        weights: (R, M), how often each generated sample is taken; a pair of a sample with itself never counts.
        degree: of the kernel.

    Returns:
        float64 (R,).

    Raises:
        UserError: fewer than two samples on a side.
    """
    if min(len(real), len(generated)) < 2:
        raise UserError(f"kernel distance: {len(real)} and {len(generated)} samples: at least 2 a side are needed")
    real, generated, weights = real.double(), generated.double(), weights.double()
    once = torch.ones(1, len(real), dtype=torch.float64, device=real.device)
    both = _weighted_sum(real, generated, once.expand(len(weights), -1), weights, degree)
    across = both / (len(real) * weights.sum(1))
    return _own_pairs(real, once, degree) + _own_pairs(generated, weights, degree) - 2 * across


def kernel_distance(real: Tensor, generated: Tensor, degree: int = 3) -> Tensor:
    """Unbiased kernel distance over all pairs, float64 scalar.

    Args:
        real: (N, D).
        generated: (M, D).
        degree: of the kernel.

    Raises:
        UserError: fewer than two samples on a side.
    """
    weights = torch.ones(1, len(generated), dtype=torch.float64, device=generated.device)
    return kernel_distances(real, generated, weights, degree)[0]


def subset_kernel_distances(
    real: Tensor, generated: Tensor, subsets: int = 100, size: int = 1000, degree: int = 3, seed: int = 0
) -> Tensor:
    """Kernel distances of random subsets, as the paper reports them by mean and spread.

    Args:
        real: (N, D).
        generated: (M, D).
        subsets: S.
        size: samples of each side in a subset, drawn without replacement.
        degree: of the kernel.
        seed: subset s depends on (seed, s) alone.

    Returns:
        float64 (S,).

    Raises:
        UserError: a side has fewer samples than a subset.
    """
    smaller = min(len(real), len(generated))
    if smaller < size:
        raise UserError(f"kernel distance: {smaller} samples for subsets of {size}: lower `subset_size`")
    found = []
    for subset in range(subsets):
        generator = np.random.default_rng([seed, subset])
        picked = [torch.from_numpy(generator.permutation(len(side))[:size]) for side in (real, generated)]
        found.append(kernel_distance(real[picked[0]], generated[picked[1]], degree))
    return torch.stack(found)


def kernel_distance_replicates(
    real: Tensor, generated: Tensor, replicates: int, seed: int, degree: int = 3
) -> Tensor:
    """The distance with resampled generated samples, float64 (R,)."""
    counts = resampled_counts(len(generated), replicates, seed).to(generated.device)
    return kernel_distances(real, generated, counts, degree)


class KernelDistance(FeatureSetMetric):
    """Kernel distance over seeded subsets and over all pairs.

    Args:
        feature_dim: D.
        subsets: how many.
        subset_size: samples of each side in a subset.
        degree: of the kernel.
        seed: of the subsets.
        kwargs: options of :class:`torchmetrics.Metric`.
    """

    higher_is_better = False

    def __init__(
        self,
        feature_dim: int,
        subsets: int = 100,
        subset_size: int = 1000,
        degree: int = 3,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(feature_dim, **kwargs)
        self.subsets, self.subset_size, self.degree, self.seed = subsets, subset_size, degree, seed

    def compute(self) -> dict[str, Tensor]:
        """``mean`` and ``std`` (population) over the subsets, and ``full`` over all pairs; float64 scalars.

        Raises:
            UserError: too few samples on a side, or one given twice.
        """
        real, generated = self.sets()
        values = subset_kernel_distances(real, generated, self.subsets, self.subset_size, self.degree, self.seed)
        full = kernel_distance(real, generated, self.degree)
        return {"mean": values.mean(), "std": values.std(correction=0), "full": full}
