"""Collective operations that make a batch on several devices equivalent to one on a single device.

Gradients flow between devices too. A gathered tensor is the same on all devices, and a loss of it that each device
computes contributes once per device to the gradients; the trainer's mean over devices compensates for that. With a
single process these functions do nothing.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def devices() -> int:
    """Number of devices that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def place() -> int:
    """Index of this device, counted from 0."""
    return dist.get_rank() if devices() > 1 else 0


def gather(values: Tensor) -> Tensor:
    """Concatenate the rows of all devices in order; gradients flow back to the originating device.

    Args:
        values: (B, ...), the same shape on all devices.

    Returns:
        (devices * B, ...).
    """
    return values if devices() == 1 else _Gather.apply(values)


def add_up(values: Tensor) -> Tensor:
    """Sum over all devices; each device receives the gradients of all."""
    return values if devices() == 1 else _Sum.apply(values)


def mean(values: Tensor) -> Tensor:
    """Mean over all devices, for logging."""
    return values if devices() == 1 else add_up(values.detach()) / devices()


def largest(value: int, device: torch.device) -> int:
    """Maximum of an integer over all devices."""
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
