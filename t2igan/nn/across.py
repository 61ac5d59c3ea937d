"""Several devices as one: what a batch of all of them needs to know of each other.

Gradients cross devices too. A gathered tensor is the same on all, and a loss of it that each of them computes
counts once for each in the gradients that come back; the trainer's mean over the devices then makes it the loss's
own. Where there is one process alone nothing happens here.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def devices() -> int:
    """How many train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def place() -> int:
    """Which of them this is, counted from 0."""
    return dist.get_rank() if devices() > 1 else 0


def gather(values: Tensor) -> Tensor:
    """The rows of all devices, in their order; gradients flow back to where the rows come from.

    Args:
        values: (B, ...), the same shape on all devices.

    Returns:
        (devices * B, ...).
    """
    return values if devices() == 1 else _Gather.apply(values)


def add_up(values: Tensor) -> Tensor:
    """The sum over all devices; each gets the gradients of all."""
    return values if devices() == 1 else _Sum.apply(values)


def mean(values: Tensor) -> Tensor:
    """The mean over all devices, for the log."""
    return values if devices() == 1 else add_up(values.detach()) / devices()


def largest(value: int, device: torch.device) -> int:
    """The largest of a whole number of each device."""
    if devices() == 1:
        return value
    found = torch.tensor(value, device=device)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.rows = len(values)
        parts = [torch.empty_like(values, memory_format=torch.contiguous_format) for _ in range(devices())]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return add_up(*gradients)[place() * ctx.rows :][: ctx.rows]


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return add_up(*gradients)
