"""A value of a metric with its spread and bootstrap replicates."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """One value of a metric.

    Attributes:
        value: float64 scalar.
        count: number of samples.
        spread: standard deviation over parts of the samples, float64 scalar, or None.
        over: the parts that the spread is computed over: ``folds``, ``subsets``, ``images``, ``captions`` or
            ``bootstrap``.
        replicates: float64 (R,), values on bootstrap resamples, or their deviations from the value; None without
            bootstrap.
    """

    value: Tensor
    count: int
    spread: Tensor | None = None
    over: str | None = None
    replicates: Tensor | None = None
