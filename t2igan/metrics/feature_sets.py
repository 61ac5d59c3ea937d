"""Base of the metrics that compare a set of real with a set of generated feature vectors."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from t2igan.errors import UserError
from t2igan.metrics.indexed import IndexedMetric

BLOCK_ROWS = 1024


def row_blocks(count: int) -> Iterator[slice]:
    """Split ``count`` rows into fixed consecutive blocks."""
    for start in range(0, count, BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, count))


class FeatureSetMetric(IndexedMetric):
    """Base class of metrics that keep two sets of feature vectors, indexed by sample number.

    Args:
        feature_dim: width D of the features.
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
            real: whether they belong to the real set, otherwise to the generated one.

        Raises:
            UserError: the features are not finite.
        """
        self._check(features)
        if not features.isfinite().all():
            raise UserError("features are not finite: check the images and the network's weights")
        # One sorted list holds both sets: real samples have negative numbers, in their order.
        self._record(index - 2**62 if real else index, features)

    def _check(self, features: Tensor) -> None:
        if features.ndim != 2 or features.shape[1] != self.feature_dim:
            raise ValueError(f"features must be (B, {self.feature_dim}), got {tuple(features.shape)}")

    def sets(self) -> tuple[Tensor, Tensor]:
        """Real (N, D) and generated (M, D) features, each sorted by sample number.

        Raises:
            UserError: a set is empty, or a sample was given twice.
        """
        index, rows = self._ordered()
        rows = rows.reshape(len(rows), self.feature_dim)
        return rows[index < 0], rows[index >= 0]

    def compute(self) -> Tensor | tuple[Tensor, ...] | dict[str, Tensor]:
        """The two sets of all processes, like :meth:`sets`."""
        return self.sets()

    def _count(self) -> int:
        return len(self.sets()[1])

    def _name_of(self, index: int) -> str:
        return f"reference sample {index + 2**62}" if index < 0 else super()._name_of(index)
