"""Frechet distance between sets of feature vectors (Heusel et al. 2017, section 4).

The features may come from any backbone; only with Inception features is the value called FID.
"""

from typing import Any

import torch
from torch import Tensor

from t2igan.errors import UserError
from t2igan.metrics.bootstrap import mean_replicates
from t2igan.metrics.estimate import Estimate
from t2igan.metrics.feature_sets import FeatureSetMetric

# Relative size of errors that float64 leaves after a square root: sqrt(2.2e-16).
ROUND_OFF = 1.5e-8
# If no pivot is near round-off, a Cholesky factor is as accurate as an eigendecomposition, and 20 times faster.
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
        side: name of the set for error messages.

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
    # Eigenvalues this small are noise, which the root would enlarge from 1e-16 to 1e-8 each. This is
    # why other implementations drift when there are fewer samples than features.
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


class FrechetToReal:
    """Frechet distances of several generated sets to one real set, whose square root is computed once.

    Args:
        mean: (D,), of the real set.
        covariance: (D, D), likewise.
    """

    def __init__(self, mean: Tensor, covariance: Tensor) -> None:
        self.mean, self.trace = mean.double(), covariance.double().trace()
        self.root = square_root_factor(covariance.double(), "first")

    def distance(self, features: Tensor, projected: Tensor | None = None) -> Tensor:
        """Distance of generated features, float64 scalar.

        Args:
            features: (N, D).
            projected: result of :meth:`project` for them, if already computed.
        """
        centred, shift, across = self._centred(features, projected)
        # Both products have the spectrum of the covariances' product; the smaller one is used.
        gram = across.T @ across if len(across) > across.shape[1] else across @ across.T
        values = torch.linalg.eigvalsh(gram / (len(features) - 1))
        trace = centred.square().sum() / (len(centred) - 1)
        overlap = values[_above_noise(values)].sqrt().sum()
        return shift.square().sum() + self.trace + trace - 2 * overlap

    def project(self, features: Tensor) -> Tensor:
        """Features (N, D) onto the root of the real covariance, float64 (N, r)."""
        return features.double() @ self.root

    def influence(self, features: Tensor) -> Tensor:
        """Influence of each sample: the derivative of the distance with respect to the sample's weight.

        With C_r and C_g the covariances and A = C_r^(1/2) (C_r^(1/2) C_g C_r^(1/2))^(-1/2) C_r^(1/2), the
        derivative of the distance is 2 (m_g - m_r) . dm_g + tr((I - A) dC_g).

        Args:
            features: (N, D).

        Returns:
            float64 (N,), of mean zero.
        """
        centred, shift, across = self._centred(features)
        values, vectors = torch.linalg.eigh(across.T @ across / (len(features) - 1))
        kept = _above_noise(values)
        spectrum, vectors = values[kept], vectors[:, kept]
        # A = U U^T with U = root V / eigenvalues^(1/4)
        half = self.root @ (vectors / spectrum.sqrt().sqrt())
        quadratic = centred.square().sum(1) - (centred @ half).square().sum(1)
        influence = 2 * centred @ shift + quadratic
        return influence - influence.mean()

    def _centred(self, features: Tensor, projected: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Centred features, difference of the means, and the centred features' projections."""
        if len(features) < 2:
            raise UserError(f"Frechet distance: {len(features)} samples, at least 2 are needed: score more images")
        features = features.double()
        mean = features.mean(0)
        centred = features - mean
        across = self.project(centred) if projected is None else projected - projected.mean(0)
        return centred, mean - self.mean, across


def _above_noise(values: Tensor) -> Tensor:
    """Mask of the ascending eigenvalues that exceed round-off."""
    return values > len(values) * torch.finfo(values.dtype).eps * values[-1]


def frechet_replicates(to_real: FrechetToReal, generated: Tensor, replicates: int, seed: int) -> Tensor:
    """Bootstrap replicates of the Frechet distance, to first order around the whole set.

    A resample has fewer distinct samples than the set, and the distance is biased in their number; its linear part
    has no such bias and costs one product instead of one decomposition per replicate.

    Args:
        to_real: distances to the real set.
        generated: (N, D).
        replicates: R.
        seed: seed of the resampling.

    Returns:
        float64 (R,), deviations from the distance of the whole set.
    """
    return mean_replicates(to_real.influence(generated), replicates, seed)


def _mirrored(lower: Tensor) -> Tensor:
    """Complete a symmetric matrix from its lower half."""
    return lower.tril() + lower.tril(-1).T


class FrechetDistance(FeatureSetMetric):
    """Frechet distance between real and generated features.

    Samples with numbers are stored and sorted: the value is then bit-identical for any order of arrival, and can be
    bootstrapped. Without numbers only float64 sums are kept: the value depends on batches and processes by
    round-off only. Each sample must be given exactly once, without padding of batches.

    Args:
        feature_dim: width D of the features.
        loader_batch: leave out generated samples beyond the last whole batch of this size, like released scorers
            (requires numbers); 0 keeps all.
        kwargs: options of :class:`torchmetrics.Metric`.
    """

    higher_is_better = False
    real_sum: Tensor
    real_outer: Tensor
    real_count: Tensor
    generated_sum: Tensor
    generated_outer: Tensor
    generated_count: Tensor

    def __init__(self, feature_dim: int, loader_batch: int = 0, **kwargs: Any) -> None:
        super().__init__(feature_dim, **kwargs)
        self.loader_batch = loader_batch
        self._reference: tuple[Tensor, Tensor] | None = None
        for side in ("real", "generated"):
            shape = (feature_dim,)
            self.add_state(f"{side}_sum", torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_outer", torch.zeros(shape * 2, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def set_reference(self, mean: Tensor, covariance: Tensor) -> None:
        """Use a mean (D,) and covariance (D, D) as the reference, instead of real samples."""
        self._reference = mean, covariance

    def update(self, features: Tensor, index: Tensor | None = None, *, real: bool) -> None:
        """Add samples.

        Args:
            features: (B, D).
            index: int64 (B,), the number of each sample in its set, or None; all samples have one, or none.
            real: whether they belong to the real set, otherwise to the generated one.
        """
        if index is not None:
            super().update(features, index, real=real)
            return
        if self.loader_batch:
            raise ValueError("loader_batch needs numbered samples: give update an index")
        self._check(features)
        side = "real" if real else "generated"
        features = features.detach().to(self.real_sum)
        self._writable(f"{side}_sum").add_(features.sum(0))
        # In place, because allocating 2,048 x 2,048 numbers for every batch would cost more than the product; only
        # the lower half, strip by strip, because the sum is symmetric.
        outer = self._writable(f"{side}_outer")
        for start in range(0, self.feature_dim, STRIP_ROWS):
            stop = min(start + STRIP_ROWS, self.feature_dim)
            outer[start:stop, :stop].addmm_(features[:, start:stop].T, features[:, :stop])
        self._writable(f"{side}_count").add_(len(features))

    def _writable(self, name: str) -> Tensor:
        """A state that can be modified in place; tensors created in inference mode cannot, outside of it."""
        state = getattr(self, name)
        if state.is_inference() and not torch.is_inference_mode_enabled():
            state = state.clone()
            setattr(self, name, state)
        return state

    def compute(self) -> Tensor:
        """The distance, float64 scalar.

        Raises:
            UserError: a set has fewer than two samples, or features are not finite.
        """
        if not self._numbered():
            real = self._reference or moments(self.real_sum, _mirrored(self.real_outer), self.real_count)
            generated = moments(self.generated_sum, _mirrored(self.generated_outer), self.generated_count)
            return frechet_distance(*real, *generated)
        real, generated = self._sides()
        return frechet_distance(*real, generated.double().mean(0), generated.double().T.cov())

    def estimates(self, replicates: int = 0, seed: int = 0) -> dict[str, Estimate]:
        """The distance, see :class:`IndexedMetric`; a bootstrap needs numbered samples."""
        if not self._numbered():
            if replicates:
                raise ValueError("a bootstrap needs numbered samples: give update an index")
            return {"": Estimate(type(self).compute(self), int(self.generated_count))}
        real, generated = self._sides()
        value = frechet_distance(*real, generated.double().mean(0), generated.double().T.cov())
        resampled = frechet_replicates(FrechetToReal(*real), generated, replicates, seed) if replicates else None
        return {"": Estimate(value, len(generated), replicates=resampled)}

    def _numbered(self) -> bool:
        return len(self._joined(self.index)) > 0

    def _sides(self) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Mean and covariance of the real set, and the generated samples that are used."""
        real, generated = self.sets()
        if self.loader_batch:
            generated = generated[: len(generated) - len(generated) % self.loader_batch]
        if len(generated) < 2:
            raise UserError(f"Frechet distance: {len(generated)} images, at least 2 are needed: score more")
        if self._reference is not None:
            return self._reference, generated
        if len(real) < 2:
            raise UserError(f"Frechet distance: the reference has {len(real)} images, at least 2 are needed")
        return (real.double().mean(0), real.double().T.cov()), generated
