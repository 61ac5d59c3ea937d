"""Recompute the activations of blocks in the backward pass, to save memory."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recomputed(block: nn.Module, *inputs: Any) -> Any:
    """Apply ``block`` to ``inputs`` without keeping its activations, which the backward pass recomputes.

    Gradients are bit-identical, and running statistics are updated once. Not suited for blocks that update other
    buffers, such as the power iteration of a spectral norm.
    """
    return checkpoint(block, *inputs, use_reentrant=False, context_fn=lambda: (nullcontext(), _once(block)))


@contextmanager
def _once(block: nn.Module) -> Iterator[None]:
    """Context that keeps the batch norm statistics of the first pass."""
    norms = [each for each in block.modules() if isinstance(each, _BatchNorm)]
    own = [dict(norm.named_buffers(recurse=False)) for norm in norms]
    for norm, buffers in zip(norms, own):
        norm._buffers.update({name: buffer.clone() for name, buffer in buffers.items()})
    try:
        yield
    finally:
        for norm, buffers in zip(norms, own):
            norm._buffers.update(buffers)
