"""Blocks whose insides are computed again in the backward pass rather than kept: memory for time."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recomputed(block: nn.Module, *inputs: Any) -> Any:
    """What ``block`` makes of ``inputs``, whose own activations are dropped until the backward pass needs them.

    The gradients are the same to the last bit, and running statistics move once. Not for blocks that change other
    buffers in a pass, such as the power iterations of a spectral norm.
    """
    return checkpoint(block, *inputs, use_reentrant=False, context_fn=lambda: (nullcontext(), _once(block)))


@contextmanager
def _once(block: nn.Module) -> Iterator[None]:
    """The statistics of batch norms stay as the first pass left them."""
    norms = [each for each in block.modules() if isinstance(each, _BatchNorm)]
    own = [dict(norm.named_buffers(recurse=False)) for norm in norms]
    for norm, buffers in zip(norms, own):
        norm._buffers.update({name: buffer.clone() for name, buffer in buffers.items()})
    try:
        yield
    finally:
        for norm, buffers in zip(norms, own):
            norm._buffers.update(buffers)
