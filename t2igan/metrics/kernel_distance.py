"""Kernel distance (KID) between two sets of feature vectors (Binkowski et al. 2018, section 4).

Squared maximum mean discrepancy with the kernel (x . y / D + 1)^3, unbiased: it needs no correction for the number
of samples, and is negative about as often as positive where both sets come from one distribution. Only with
Inception features is the value called KID.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from t2igan.errors import UserError
from t2igan.metrics.bootstrap import resampled_counts
from t2igan.metrics.estimate import Estimate
from t2igan.metrics.feature_sets import FeatureSetMetric, row_blocks


def _kernel(x: Tensor, y: Tensor, degree: int) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** degree


def _weighted_sum(x: Tensor, y: Tensor, x_weights: Tensor, y_weights: Tensor, degree: int) -> Tensor:
    """sum_ij u_ri v_rj k(x_i, y_j) for each replicate r, weights (R, N) and (R, M)."""
    parts = ((x_weights[:, rows] * (y_weights @ _kernel(y, x[rows], degree))).sum(1) for rows in row_blocks(len(x)))
    return sum(parts, torch.zeros(()))


def _own_pairs(x: Tensor, weights: Tensor, degree: int) -> Tensor:
    """Weighted mean of the kernel over pairs of different samples, (R,)."""
    diagonal = (x.square().sum(1) / x.shape[1] + 1) ** degree
    total = _weighted_sum(x, x, weights, weights, degree) - weights.square() @ diagonal
    return total / (weights.sum(1).square() - weights.square().sum(1))


def kernel_distances(
    real: Tensor, generated: Tensor, real_weights: Tensor, generated_weights: Tensor, degree: int = 3
) -> Tensor:
    """Unbiased kernel distances of weighted real and generated samples, in one pass over all pairs.

    Args:
        real: (N, D), N at least 2.
        generated: (M, D), M at least 2.
        real_weights: (R, N), weight of each real sample; pairs of a sample with itself are excluded.
        generated_weights: (R, M), likewise.
        degree: degree of the kernel.

    Returns:
        float64 (R,).

    Raises:
        UserError: fewer than two samples on a side.
    """
    if min(len(real), len(generated)) < 2:
        raise UserError(f"kernel distance: {len(real)} and {len(generated)} samples: at least 2 a side are needed")
    real, generated = real.double(), generated.double()
    real_weights, generated_weights = real_weights.to(real), generated_weights.to(real)
    both = _weighted_sum(real, generated, real_weights, generated_weights, degree)
    across = both / (real_weights.sum(1) * generated_weights.sum(1))
    own = _own_pairs(real, real_weights, degree) + _own_pairs(generated, generated_weights, degree)
    return own - 2 * across


def _once(count: int, rows: int = 1) -> Tensor:
    return torch.ones(rows, count, dtype=torch.float64)


def subset_weights(counts: tuple[int, int], subsets: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Membership of real and generated samples in random subsets.

    Args:
        counts: sizes of the two sets.
        subsets: S.
        size: samples of each side in a subset, drawn without replacement.
        seed: subset s depends on (seed, s) alone.

    Returns:
        float64 (S, N) and (S, M), 0 and 1.

    Raises:
        UserError: a side has fewer samples than a subset.
    """
    if min(counts) < size:
        raise UserError(f"kernel distance: {min(counts)} samples for subsets of {size}: lower `subset_size`")
    weights = torch.zeros(subsets, counts[0]).double(), torch.zeros(subsets, counts[1]).double()
    for subset in range(subsets):
        generator = np.random.default_rng([seed, subset])
        for side, count in zip(weights, counts):
            side[subset, torch.from_numpy(generator.permutation(count)[:size])] = 1
    return weights


@dataclass(frozen=True)
class KernelDistances:
    """Kernel distances over all pairs, over subsets, and on bootstrap resamples.

    Attributes:
        full: float64 scalar.
        subsets: float64 (S,).
        replicates: float64 (R,).
    """

    full: Tensor
    subsets: Tensor
    replicates: Tensor


def all_kernel_distances(
    real: Tensor,
    generated: Tensor,
    subsets: int = 100,
    size: int = 1000,
    degree: int = 3,
    seed: int = 0,
    replicates: int = 0,
    replicates_seed: int = 0,
) -> KernelDistances:
    """All kernel distances, computing the kernel of each pair only once.

    Args:
        real: (N, D).
        generated: (M, D).
        subsets: number of subsets S, over which the paper reports mean and spread.
        size: samples of each side in a subset.
        degree: degree of the kernel.
        seed: seed of the subsets.
        replicates: number of bootstrap replicates R.
        replicates_seed: seed of the resampling.

    Raises:
        UserError: a side has fewer samples than a subset, or than two.
    """
    real_sets, generated_sets = subset_weights((len(real), len(generated)), subsets, size, seed)
    resampled = resampled_counts(len(generated), replicates, replicates_seed) if replicates else real.new_zeros(0)
    resampled = resampled.reshape(replicates, len(generated)).cpu().double()
    real_weights = torch.cat([_once(len(real), 1 + replicates), real_sets])
    generated_weights = torch.cat([_once(len(generated)), resampled, generated_sets])
    found = kernel_distances(real, generated, real_weights, generated_weights, degree)
    return KernelDistances(found[0], found[1 + replicates :], found[1 : 1 + replicates])


class KernelDistance(FeatureSetMetric):
    """Kernel distance over seeded subsets and over all pairs.

    Args:
        feature_dim: width D of the features.
        subsets: number of subsets.
        subset_size: samples of each side in a subset.
        degree: degree of the kernel.
        seed: seed of the subsets.
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
        options = self.subsets, self.subset_size, self.degree, self.seed
        found = all_kernel_distances(*self.sets(), *options)
        return {"mean": found.subsets.mean(), "std": found.subsets.std(correction=0), "full": found.full}

    def estimates(self, replicates: int = 0, seed: int = 0) -> dict[str, Estimate]:
        """``kid`` over the subsets and ``kid-full`` over all pairs, see :class:`IndexedMetric`.

        The subsets' mean averages the same pairs, so its sampling error is that of the whole set.
        """
        real, generated = self.sets()
        options = self.subsets, self.subset_size, self.degree, self.seed
        found = all_kernel_distances(real, generated, *options, replicates, seed)
        resampled = found.replicates if replicates else None
        mean, spread = found.subsets.mean(), found.subsets.std(correction=0)
        return {
            "kid": Estimate(mean, len(generated), spread, "subsets", resampled),
            "kid-full": Estimate(found.full, len(generated), replicates=resampled),
        }
