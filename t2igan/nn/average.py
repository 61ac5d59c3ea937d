"""Exponential moving average of weights."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


class WeightAverage(nn.Module, Generic[M]):
    """A copy of ``module`` whose parameters follow it slowly.

    Starts from the module's weights, without warm-up. Buffers (batch norm statistics) are copied, not averaged, as
    in the released code of the AttnGAN family, which saves averaged parameters with raw running statistics.

    Args:
        module: module to follow; not registered as a submodule.
        decay: share of the old average that stays at each update.
    """

    def __init__(self, module: M, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.module: M = copy.deepcopy(module).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, module: M) -> None:
        """Update the average with the weights of ``module``."""
        averaged = list(self.module.parameters())
        torch.ops.aten._foreach_lerp_(averaged, list(module.parameters()), 1 - self.decay)
        for mine, theirs in zip(self.module.buffers(), module.buffers()):
            mine.copy_(theirs)

    def train(self, mode: bool = True) -> "WeightAverage[M]":
        """Stay in eval mode."""
        return super().train(False)
