"""Base of the metrics that compare a set of real with a set of generated feature vectors."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from t2igan.errors import UserError
from t2igan.metrics.indexed import IndexedMetric

BLOCK_ROWS = 1024


def row_blocks(count: int) -> Iterator[slice]:
    """Consecutive parts of ``count`` rows; they do not depend on how the rows came in."""
    for start in range(0, count, BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, count))


class FeatureSetMetric(IndexedMetric):
    """Two sets of feature vectors, each vector under the number of its sample.

    Args:
        feature_dim: D.
        kwargs: options of :class:`torchmetrics.Metric`.
    """

    def __init__(self, feature_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.feature_dim = feature_dim

    def update(self, features: Tensor, index: Tensor, *, real: bool) -> None:
        """Add samples.

        Args:
            features: (B, D).
            index: int64 (B,), the number of each sample in its set; no number may come twice.
            real: the set to which they belong.

        Raises:
            UserError: features that are not finite.
        """
        self._check(features)
        if not features.isfinite().all():
            raise UserError("features are not finite: check the images and the network's weights")
        # One sorted list holds both sets: the real samples below zero, in their order.
        self._record(index - 2**62 if real else index, features)

    def _check(self, features: Tensor) -> None:
        if features.ndim != 2 or features.shape[1] != self.feature_dim:
            raise ValueError(f"features must be (B, {self.feature_dim}), got {tuple(features.shape)}")

    def sets(self) -> tuple[Tensor, Tensor]:
        """Real (N, D) and generated (M, D) features, each in the order of its numbers.

        Raises:
            UserError: no sample at all, or the same one twice.
        """
        index, rows = self._ordered()
        rows = rows.reshape(len(rows), self.feature_dim)
        return rows[index < 0], rows[index >= 0]

    def compute(self) -> Tensor | tuple[Tensor, ...] | dict[str, Tensor]:
        """The two sets of all processes, as :meth:`sets` gives them."""
        return self.sets()

    def _count(self) -> int:
        return len(self.sets()[1])

    def _name_of(self, index: int) -> str:
        return f"reference sample {index + 2**62}" if index < 0 else super()._name_of(index)
