"""Seeded bootstrap: confidence intervals for the sampling error of a metric."""

import numpy as np
import torch
from torch import Tensor

from t2igan.errors import UserError
from t2igan.metrics.estimate import Estimate


def resampled_counts(count: int, replicates: int, seed: int) -> Tensor:
    """Number of times that each sample occurs in bootstrap resamples.

    Args:
        count: number of samples N.
        replicates: R.
        seed: not negative.

    Returns:
        float64 (R, N), rows sum to N.
    """
    generator = np.random.default_rng(seed)
    rows = [np.bincount(generator.integers(count, size=count), minlength=count) for _ in range(replicates)]
    return torch.from_numpy(np.stack(rows)).double()


def interval(value: float, replicates: Tensor, confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval around a value.

    The quantiles of the replicates are shifted so that their mean equals the value. A resample has about 63%
    distinct samples, so metrics that are biased in the number of samples (Frechet distance, inception score,
    coverage) have a larger bias on it than on the whole set; only the spread of the replicates is used.

    Args:
        value: value of the whole set.
        replicates: (R,), the metric on resamples.
        confidence: between 0 and 1.

    Raises:
        UserError: no replicates, or a confidence outside 0 to 1.
    """
    if len(replicates) < 2 or not 0 < confidence < 1:
        raise UserError(
            f"bootstrap: {len(replicates)} replicates at confidence {confidence}: at least 2, between 0 and 1"
        )
    replicates = replicates.double()
    tails = torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=torch.float64)
    low, high = value + replicates.quantile(tails.to(replicates.device)) - replicates.mean()
    return low.item(), high.item()


def mean_replicates(values: Tensor, replicates: int, seed: int) -> Tensor:
    """Replicates of a mean over samples.

    Args:
        values: (N,), one value a sample.
        replicates: R.
        seed: not negative.

    Returns:
        float64 (R,).
    """
    counts = resampled_counts(len(values), replicates, seed).to(values.device)
    return counts @ values.double() / len(values)


def mean_estimate(values: Tensor, over: str, replicates: int, seed: int) -> Estimate:
    """A mean over samples, its spread over them, and its replicates.

    Args:
        values: (N,), one value a sample.
        over: name of the samples, stored with the spread.
        replicates: R, 0 for none.
        seed: not negative.
    """
    values = values.double()
    resampled = mean_replicates(values, replicates, seed) if replicates else None
    return Estimate(values.mean(), len(values), values.std(correction=0), over, resampled)
