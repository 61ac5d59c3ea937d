"""Base of the metrics that keep one row per sample."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from t2igan.errors import UserError
from t2igan.metrics.estimate import Estimate


class IndexedMetric(Metric):
    """Base class of metrics that keep one row per sample, indexed by sample number.

    Rows are sorted by index before anything is computed, so the value does not depend on batches, processes or
    their order. A sample given twice (e.g. by a padding sampler) is an error instead of a bias.

    Args:
        kwargs: options of :class:`torchmetrics.Metric`.
    """

    full_state_update = False
    is_differentiable = False
    index: list[Tensor]
    rows: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("index", default=[], dist_reduce_fx="cat")
        self.add_state("rows", default=[], dist_reduce_fx="cat")

    def _record(self, index: Tensor, rows: Tensor) -> None:
        """Store ``rows`` (B, C) of the samples ``index`` (B,)."""
        if index.shape != (len(rows),):
            raise ValueError(f"{len(rows)} rows need as many indices, got shape {tuple(index.shape)}")
        self.index.append(index.detach().to(self.device, torch.int64))
        # Flat, because a process without samples does not know C, and gathering needs equal numbers of axes.
        self.rows.append(rows.detach().to(self.device, torch.float32).flatten())

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gather the rows of all processes; one that saw no sample contributes empty tensors."""
        if not self.index:
            self.index.append(torch.zeros(0, dtype=torch.int64, device=self.device))
            self.rows.append(torch.zeros(0, dtype=torch.float32, device=self.device))
        super().sync(*args, **kwargs)

    def estimates(self, replicates: int = 0, seed: int = 0) -> dict[str, Estimate]:
        """The metric's values with spread and replicates, by name; a single value has the name ''.

        Several processes call it within ``sync_context()``. This default wraps the result of ``compute``, a scalar
        or a dictionary of scalars, without spread.

        Args:
            replicates: replicates of the bootstrap, 0 for none.
            seed: seed of the bootstrap.
        """
        found = type(self).compute(self)  # the instance's wrapped compute would gather the rows a second time
        named = found if isinstance(found, dict) else {"": found}
        return {name: Estimate(value.double(), self._count()) for name, value in named.items()}

    def _count(self) -> int:
        """Number of samples of a value."""
        return len(self._ordered()[0])

    def _ordered_rows(self) -> Tensor:
        """All rows (N, C) sorted by index.

        Raises:
            UserError: no sample, or the same index twice.
        """
        return self._ordered()[1]

    def _ordered(self) -> tuple[Tensor, Tensor]:
        """Sorted index (N,) and rows (N, C).

        Raises:
            UserError: no sample, or the same index twice.
        """
        index = self._joined(self.index)
        if len(index) == 0:
            raise UserError(f"{type(self).__name__} was given no sample: score at least one image")
        order = index.argsort()
        index = index[order]
        repeated = index[1:][index[1:] == index[:-1]]
        if len(repeated):
            raise UserError(
                f"{self._name_of(int(repeated[0]))} was given to {type(self).__name__} more than once: "
                "use a sampler that neither repeats nor pads"
            )
        return index, self._joined(self.rows).reshape(len(index), -1)[order]

    def _name_of(self, index: int) -> str:
        """Name of a sample for error messages."""
        return f"sample {index}"

    @staticmethod
    def _joined(state: list[Tensor] | Tensor) -> Tensor:
        """A cat state, which is a list before synchronisation and a tensor after it."""
        if isinstance(state, Tensor):
            return state
        return torch.cat(state) if state else torch.zeros(0)
