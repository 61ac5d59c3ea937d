"""Train mode, eval mode, and weights that stand still."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Eval mode for a while; afterwards every submodule is in the mode it was in before."""
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
    """Keep gradients off the weights of ``module`` while they flow through it; afterwards each is as it was."""
    before = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, trained in before:
            parameter.requires_grad_(trained)
