"""Batch norm for batches that share a pass and nothing else."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class BatchNorm2d(nn.BatchNorm2d):
    """As of PyTorch; within :func:`in_turn` the parts of a batch are normalised one after the other.

    Each has mean and variance of its own, and the running statistics move as often: what as many passes do.

    Attributes:
        rows: rows of each part; None: the batch is one.
    """

    rows: Sequence[int] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """``input`` (B, C, h, w) normalised."""
        if self.rows is None:
            return super().forward(input)
        return torch.cat([super(BatchNorm2d, self).forward(part) for part in input.split(self.rows)])


@contextmanager
def in_turn(network: nn.Module, rows: Sequence[int]) -> Iterator[None]:
    """Within it, batch norms of ``network`` take the parts of a batch, ``rows`` long, one after the other."""
    norms = [part for part in network.modules() if isinstance(part, BatchNorm2d)]
    for norm in norms:
        norm.rows = rows
    try:
        yield
    finally:
        for norm in norms:
            norm.rows = None


def take_turns(network: nn.Module) -> bool:
    """Whether each batch norm of ``network`` can, which none can that sees the batches of several devices."""
    return all(isinstance(part, BatchNorm2d) for part in network.modules() if isinstance(part, _BatchNorm))
