"""Limits on the size of networks that are built from files and configurations."""

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from t2igan.errors import UserError

_ROOM = 2**22
"""Numbers that may be made beside the weights: tables, first values of what is then loaded."""
_TENSORS = 1_000
"""Tensors that may be made beside those, so that millions of empty layers are refused too."""
_COPIES = 4
"""How often each weight may be made: some are set once more while a network is built."""


_COPIES_IN_TRAINING = 4
"""Of each weight: itself, its gradient and the two averages of Adam."""
_MOST_TENSORS = 2**13
"""Tensors of a configuration's networks; those of the suite's largest have fewer than 2,000."""


class TooLarge(UserError):
    """Networks exceed the allowed size."""


class _Bound(TorchDispatchMode):
    """Context that limits the total size and number of tensors that are created.

    A tensor beyond the limit is refused before it is allocated.

    Args:
        numbers: elements of all tensors together.
        tensors: how many tensors.
        message: message of the error.
    """

    def __init__(self, numbers: int, tensors: int, message: str) -> None:
        super().__init__()
        self._numbers, self._tensors, self._message = numbers, tensors, message

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Count newly created tensors; all other operations work on counted ones."""
        if not any(isinstance(arg, Tensor) for arg in args):
            self._numbers -= math.prod(args[0]) if args and isinstance(args[0], (list, tuple)) else 1
            self._tensors -= 1
            if self._numbers < 0 or self._tensors < 0:
                raise TooLarge(self._message)
        return func(*args, **(kwargs or {}))


class NoLargerThan(_Bound):
    """Context that limits networks to the size of some weights: a small file may describe huge networks.

    Args:
        weights: weights that the networks will be filled with.
    """

    def __init__(self, weights: Iterable[Tensor]) -> None:
        sizes = [weight.numel() for weight in weights]
        super().__init__(
            _COPIES * sum(sizes) + _ROOM,
            _COPIES * len(sizes) + _TENSORS,
            "the checkpoint describes networks far larger than its weights",
        )


def refuse_what_no_memory_holds(make: Callable[[], object], message: str) -> None:
    """Build networks without allocating them, and refuse those that exceed this machine's memory in training.

    Nothing is allocated and no random numbers are drawn. Other errors are left to the real construction.

    Args:
        make: function that builds the networks.
        message: message of the error, to which available and required memory are added.

    Raises:
        TooLarge: weights, gradients and Adam's averages of them take more than the machine's memory.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    most = memory // (_COPIES_IN_TRAINING * torch.float32.itemsize)
    held = f"{most:,} numbers in {memory / 2**30:.0f} GB"
    text = f"{message}: they hold more than the memory here is enough for ({held})"
    try:
        with torch.device("meta"), _Bound(most, _MOST_TENSORS, text):
            make()
    except TooLarge:
        raise
    except Exception:  # invalid arguments: the real construction reports them
        return


@contextmanager
def unbounded() -> Iterator[None]:
    """Suspend the limit for networks that are read from their own file, which has its own limit."""
    with _disable_current_modes():
        yield
