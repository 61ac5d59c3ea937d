"""Exponential moving average of weights."""

import copy
from typing import Generic, Literal, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)
Statistics = Literal["copied", "averaged"]
RUNNING = ("running_mean", "running_var")


class WeightAverage(nn.Module, Generic[M]):
    """A copy of ``module`` whose parameters follow it slowly.

    Starts from the module's weights, without warm-up. The running statistics of batch norm are copied, as in the
    released code of the AttnGAN family, which saves averaged parameters with raw statistics; or they are averaged,
    too, so that they belong to the averaged weights and not to those of the last batches. Other buffers are copied.

    Args:
        module: module to follow; not registered as a submodule.
        decay: share of the old average that stays at each update.
        statistics: whether running statistics are copied or averaged.
    """

    def __init__(self, module: M, decay: float, statistics: Statistics = "copied") -> None:
        super().__init__()
        self.decay, self.statistics = decay, statistics
        self.module: M = copy.deepcopy(module).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, module: M) -> None:
        """Update the average with the weights of ``module``."""
        averaged: list[torch.Tensor] = [*self.module.parameters()]
        followed: list[torch.Tensor] = [*module.parameters()]
        for (name, mine), theirs in zip(self.module.named_buffers(), module.buffers()):
            if self.statistics == "averaged" and name.endswith(RUNNING):
                averaged.append(mine)
                followed.append(theirs)
            else:
                mine.copy_(theirs)
        torch.ops.aten._foreach_lerp_(averaged, followed, 1 - self.decay)

    def train(self, mode: bool = True) -> "WeightAverage[M]":
        """Stay in eval mode."""
        return super().train(False)
