"""Frechet distance between two sets of feature vectors (Heusel et al. 2017, section 4).

The features may come from any backbone; only with Inception features is the value called FID.
"""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from t2igan.errors import UserError

# Relative size of errors that float64 leaves after a square root: sqrt(2.2e-16).
ROUND_OFF = 1.5e-8
# Cholesky's factor is as good as an eigendecomposition's, and 20 times faster, where no pivot is near round-off.
SMALLEST_PIVOT = 1e-10
STRIP_ROWS = 256


def moments(total: Tensor, outer: Tensor, count: Tensor | int) -> tuple[Tensor, Tensor]:
    """Mean and unbiased covariance from sums.

    Args:
        total: float64 (D,), sum of the feature vectors.
        outer: float64 (D, D), sum of their outer products.
        count: number of vectors, at least 2.

    Returns:
        Mean (D,) and covariance (D, D) with the divisor ``count - 1``.

    Raises:
        UserError: fewer than two vectors.
    """
    count = int(count)
    if count < 2:
        raise UserError(f"Frechet distance: {count} samples on one side, at least 2 are needed: score more images")
    mean = total / count
    return mean, (outer - count * torch.outer(mean, mean)) / (count - 1)


def square_root_factor(covariance: Tensor, side: str) -> Tensor:
    """A (D, r) with A A^T = covariance, r its numerical rank.

    Args:
        covariance: float64 (D, D), symmetric positive semi-definite.
        side: names the set in errors.

    Raises:
        UserError: an eigenvalue is negative beyond round-off.
    """
    factor, failed = torch.linalg.cholesky_ex(covariance)
    pivots = factor.diagonal().square()
    if not failed and pivots.min() > SMALLEST_PIVOT * pivots.max():
        return factor
    values, vectors = torch.linalg.eigh(covariance)
    largest = values[-1].clamp(min=0)
    if values[0] < -ROUND_OFF * largest:
        raise UserError(
            f"the covariance of the {side} set has a negative eigenvalue ({values[0].item():.3g}): "
            "give the covariance of real features"
        )
    # Eigenvalues this small are noise. Left in, the root would blow them up from 1e-16 to 1e-8 each, which is
    # what makes other implementations drift when there are fewer samples than features.
    kept = values > len(values) * torch.finfo(values.dtype).eps * largest
    return vectors[:, kept] * values[kept].sqrt()


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """|mean1 - mean2|^2 + tr(cov1 + cov2 - 2 (cov1 cov2)^(1/2)), precise for rank-deficient input too.

    The trace of (cov1 cov2)^(1/2) is the sum of the singular values of A1^T A2, where Ai Ai^T = cov_i comes from
    Cholesky's decomposition or, near singular, a symmetric eigendecomposition: no complex numbers, no jitter on the
    diagonal, no root of a rounded zero.

    Args:
        mean1: (D,).
        cov1: (D, D), symmetric positive semi-definite.
        mean2: (D,).
        cov2: (D, D), likewise.

    Returns:
        float64 scalar. Where the terms cancel to a negative number within round-off (1.5e-8 of the traces),
        it is 0.

    Raises:
        UserError: a mean or covariance is not finite, or a covariance is not positive semi-definite.
    """
    mean1, cov1, mean2, cov2 = (x.double() for x in (mean1, cov1, mean2, cov2))
    for side, mean, covariance in (("first", mean1, cov1), ("second", mean2, cov2)):
        if covariance.shape != (len(mean), len(mean)):
            raise ValueError(f"{side} set: mean {tuple(mean.shape)}, covariance {tuple(covariance.shape)}")
        if not (mean.isfinite().all() and covariance.isfinite().all()):
            raise UserError(f"Frechet distance: the features of the {side} set are not finite: check its images")
    root1, root2 = square_root_factor(cov1, "first"), square_root_factor(cov2, "second")
    overlap = torch.linalg.svdvals(root1.T @ root2).sum()
    traces = cov1.trace() + cov2.trace()
    distance = (mean1 - mean2).square().sum() + traces - 2 * overlap
    if distance < -ROUND_OFF * traces:
        raise ArithmeticError(f"Frechet distance {distance.item():.3g} is negative beyond round-off")
    return distance.clamp(min=0)


def _mirrored(lower: Tensor) -> Tensor:
    """The symmetric matrix whose lower half is given."""
    return lower.tril() + lower.tril(-1).T


class FrechetDistance(Metric):
    """Frechet distance between real and generated features.

    Only sums are kept, in float64, so that the value depends neither on the batch size nor on how the
    samples are shared among processes (each sample must be given once; nothing may be repeated to fill up a
    batch).

    Args:
        feature_dim: D.
        kwargs: options of :class:`torchmetrics.Metric`.
    """

    full_state_update = False
    higher_is_better = False
    is_differentiable = False

    def __init__(self, feature_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.feature_dim = feature_dim
        for side in ("real", "generated"):
            shape = (feature_dim,)
            self.add_state(f"{side}_sum", torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_outer", torch.zeros(shape * 2, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, features: Tensor, real: bool) -> None:
        """Add samples.

        Args:
            features: (B, D).
            real: the side to which they belong.
        """
        if features.ndim != 2 or features.shape[1] != self.feature_dim:
            raise ValueError(f"features must be (B, {self.feature_dim}), got {tuple(features.shape)}")
        side = "real" if real else "generated"
        features = features.detach().to(self.real_sum)
        self._writable(f"{side}_sum").add_(features.sum(0))
        # In place, because a new matrix of 2,048 x 2,048 for every batch would cost more than the product; and the
        # lower half alone, strip by strip, because the sum is symmetric.
        outer = self._writable(f"{side}_outer")
        for start in range(0, self.feature_dim, STRIP_ROWS):
            stop = min(start + STRIP_ROWS, self.feature_dim)
            outer[start:stop, :stop].addmm_(features[:, start:stop].T, features[:, :stop])
        self._writable(f"{side}_count").add_(len(features))

    def _writable(self, name: str) -> Tensor:
        """A state that may be changed in place: one that was reset in inference mode may not, outside of it."""
        state = getattr(self, name)
        if state.is_inference() and not torch.is_inference_mode_enabled():
            state = state.clone()
            setattr(self, name, state)
        return state

    def compute(self) -> Tensor:
        """The distance, float64 scalar.

        Raises:
            UserError: fewer than two samples on a side, or features that are not finite.
        """
        real = moments(self.real_sum, _mirrored(self.real_outer), self.real_count)
        generated = moments(self.generated_sum, _mirrored(self.generated_outer), self.generated_count)
        return frechet_distance(*real, *generated)
