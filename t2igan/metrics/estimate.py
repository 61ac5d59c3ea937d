"""A value of a metric with what is known of its error."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """One value that a metric gives.

    Attributes:
        value: float64 scalar.
        count: samples that went into it.
        spread: standard deviation over parts of the samples, float64 scalar; None where there are none.
        over: what the spread is over: ``folds``, ``subsets``, ``images``, ``captions`` or ``bootstrap``.
        replicates: float64 (R,), values of resampled samples, or deviations from the value; None without any.
    """

    value: Tensor
    count: int
    spread: Tensor | None = None
    over: str | None = None
    replicates: Tensor | None = None
