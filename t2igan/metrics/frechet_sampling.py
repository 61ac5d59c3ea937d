"""Frechet distance extrapolated to infinitely many generated samples, and its sampling error."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from t2igan.errors import UserError
from t2igan.metrics.bootstrap import mean_replicates
from t2igan.metrics.estimate import Estimate
from t2igan.metrics.feature_sets import FeatureSetMetric
from t2igan.metrics.frechet import FrechetToReal


def frechet_infinity(
    real: Tensor,
    generated: Tensor,
    points: int = 15,
    smallest: int = 5000,
    seed: int = 0,
    to_real: FrechetToReal | None = None,
) -> tuple[Tensor, Tensor]:
    """Extrapolate the distance to infinitely many generated samples (Chong and Forsyth 2020, section 3.2).

    The bias of the distance is proportional to 1 / N, so a line is fitted to subset distances over 1 / N and read
    at 0.

    Args:
        real: (M, D).
        generated: (N, D).
        points: number of subsets, with sizes evenly spaced from ``smallest`` to N.
        smallest: samples of the smallest subset.
        seed: subset p depends on (seed, p) alone.
        to_real: distance to the real set, if already computed.

    Returns:
        Intercept of the line and its standard error (0 with two points), float64 scalars. The latter tells how
        straight the line is; how much the limit would move with other samples is told by
        :func:`infinity_replicates`.

    Raises:
        UserError: no more samples than the smallest subset has.
    """
    count = len(generated)
    if not 2 <= smallest < count or points < 2:
        raise UserError(
            f"Frechet distance at infinity: {count} samples for {points} subsets from {smallest} on: "
            "lower `smallest` or score more images"
        )
    distances = []
    if to_real is None:
        to_real = FrechetToReal(real.double().mean(0), real.double().T.cov())
    projected = to_real.project(generated)
    subsets = _subsets(count, points, smallest, seed)
    for subset in subsets:
        picked = subset.to(generated.device)
        distances.append(to_real.distance(generated[picked], projected[picked]))
    return _intercept(_reciprocals(subsets), torch.stack(distances).cpu())


def infinity_replicates(
    to_real: FrechetToReal,
    generated: Tensor,
    replicates: int,
    bootstrap_seed: int,
    points: int = 15,
    smallest: int = 5000,
    seed: int = 0,
) -> Tensor:
    """The limit of :func:`frechet_infinity` with resampled generated samples, to first order.

    The subsets share samples, so the errors of their distances are correlated, and the standard error of the fitted
    line is far too small. The limit is a weighted sum of the subsets' distances, so a sample's influence on it is
    its influence on the distance times its weight in that sum.

    Args:
        to_real: distances to the real set.
        generated: (N, D).
        replicates: R.
        bootstrap_seed: seed of the resampling.
        points: number of subsets, as in :func:`frechet_infinity`.
        smallest: samples of the smallest subset.
        seed: seed of the subsets.

    Returns:
        float64 (R,), deviations from the limit of the whole set.
    """
    subsets = _subsets(len(generated), points, smallest, seed)
    shares = torch.zeros(len(generated), dtype=torch.float64)
    for weight, subset in zip(_weights(_reciprocals(subsets)), subsets):
        shares[subset] += weight / len(subset)
    influence = to_real.influence(generated)
    moved = len(generated) * shares.to(influence.device) * influence
    return mean_replicates(moved - moved.mean(), replicates, bootstrap_seed)


def _subsets(count: int, points: int, smallest: int, seed: int) -> list[Tensor]:
    """Sample indices of each subset."""
    sizes = np.linspace(smallest, count, points).round().astype(int)
    orders = (np.random.default_rng([seed, point]).permutation(count) for point in range(points))
    return [torch.from_numpy(order[:size]) for order, size in zip(orders, sizes)]


def _reciprocals(subsets: Sequence[Tensor]) -> Tensor:
    return torch.tensor([1 / len(subset) for subset in subsets], dtype=torch.float64)


def _weights(x: Tensor) -> Tensor:
    """Weight of each value in the least-squares line's intercept; they sum to 1."""
    return 1 / len(x) - x.mean() * (x - x.mean()) / (x - x.mean()).square().sum()


def _intercept(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Intercept of the least-squares line, and its standard error."""
    spread = (x - x.mean()).square().sum()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / spread
    intercept = _weights(x) @ y
    residual = (y - intercept - slope * x).square().sum() / max(len(x) - 2, 1)
    return intercept, (residual * (1 / len(x) + x.mean().square() / spread)).sqrt()


class FrechetInfinity(FeatureSetMetric):
    """Frechet distance extrapolated to infinitely many generated samples.

    Args:
        feature_dim: width D of the features.
        points: number of subsets.
        smallest: size of the smallest subset.
        seed: seed of the subsets.
        kwargs: options of :class:`torchmetrics.Metric`.
    """

    higher_is_better = False

    def __init__(
        self, feature_dim: int, points: int = 15, smallest: int = 5000, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(feature_dim, **kwargs)
        self.points, self.smallest, self.seed = points, smallest, seed

    def compute(self) -> tuple[Tensor, Tensor]:
        """The extrapolated distance and the standard error of the fit, float64 scalars.

        Raises:
            UserError: too few samples, or one given twice.
        """
        return frechet_infinity(*self.sets(), self.points, self.smallest, self.seed)

    def estimates(self, replicates: int = 0, seed: int = 0) -> dict[str, Estimate]:
        """The limit, see :class:`IndexedMetric`; its spread is over the bootstrap, where there is one."""
        real, generated = self.sets()
        options = self.points, self.smallest, self.seed
        to_real = FrechetToReal(real.double().mean(0), real.double().T.cov())
        limit, _ = frechet_infinity(real, generated, *options, to_real)
        if not replicates:
            return {"": Estimate(limit, len(generated))}
        moved = infinity_replicates(to_real, generated, replicates, seed, *options)
        return {"": Estimate(limit, len(generated), moved.std(), "bootstrap", moved)}
