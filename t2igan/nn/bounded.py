"""A bound on what is built of a stranger's file: networks cannot be larger than the weights that belong to them."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from t2igan.errors import UserError

_ROOM = 2**22
"""Numbers that may be made beside the weights: tables, first values of what is then loaded."""
_TENSORS = 1_000
"""Tensors that may be made beside those, so that millions of empty layers are refused too."""
_COPIES = 4
"""How often each weight may be made: some are set once more while a network is built."""


class NoLargerThan(TorchDispatchMode):
    """Within it tensors are made as far as some weights go, and no further.

    A file of a few kB can describe networks that fill the memory. A tensor that would be too large is refused
    before it is there.

    Args:
        weights: what the networks are to be filled with.
    """

    def __init__(self, weights: Iterable[Tensor]) -> None:
        super().__init__()
        sizes = [weight.numel() for weight in weights]
        self._numbers, self._tensors = _COPIES * sum(sizes) + _ROOM, _COPIES * len(sizes) + _TENSORS

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Count what is made of nothing; all else works on what was counted."""
        if not any(isinstance(arg, Tensor) for arg in args):
            self._numbers -= math.prod(args[0]) if args and isinstance(args[0], (list, tuple)) else 1
            self._tensors -= 1
            if self._numbers < 0 or self._tensors < 0:
                raise UserError("the checkpoint describes networks far larger than its weights")
        return func(*args, **(kwargs or {}))


@contextmanager
def unbounded() -> Iterator[None]:
    """For networks that are read from a file of their own, which bounds them itself."""
    with _disable_current_modes():
        yield
