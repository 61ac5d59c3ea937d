"""Contexts for eval mode and frozen weights."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Context in eval mode; restores the mode of every submodule afterwards."""
    before = [(part, part.training) for module in modules for part in module.modules()]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Context without gradients for the weights of ``module``, while gradients still flow through it."""
    before = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, trained in before:
            parameter.requires_grad_(trained)
