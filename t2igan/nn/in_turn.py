"""Batch norm that normalises several parts of a batch separately in one pass."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class BatchNorm2d(nn.BatchNorm2d):
    """PyTorch's batch norm; within :func:`in_turn` the parts of a batch are normalised one after the other.

    Each part has its own mean and variance, and updates the running statistics, like in separate passes.

    Attributes:
        rows: rows of each part; None treats the batch as one part.
    """

    rows: Sequence[int] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """``input`` (B, C, h, w) normalised."""
        if self.rows is None:
            return super().forward(input)
        return torch.cat([super(BatchNorm2d, self).forward(part) for part in input.split(self.rows)])


@contextmanager
def in_turn(network: nn.Module, rows: Sequence[int]) -> Iterator[None]:
    """Context in which batch norms of ``network`` normalise parts of ``rows`` rows one after the other."""
    norms = [part for part in network.modules() if isinstance(part, BatchNorm2d)]
    for norm in norms:
        norm.rows = rows
    try:
        yield
    finally:
        for norm in norms:
            norm.rows = None


def take_turns(network: nn.Module) -> bool:
    """Whether all batch norms of ``network`` support :func:`in_turn`; synchronised ones do not."""
    return all(isinstance(part, BatchNorm2d) for part in network.modules() if isinstance(part, _BatchNorm))
