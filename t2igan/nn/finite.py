"""Check weights for non-finite values."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.nn.utils import get_total_norm


def first_non_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Name of the first tensor with a non-finite value, None if all are finite.

    Synchronises with the device once, and once per tensor only if something is wrong.
    """
    floating = {name: each.detach() for name, each in tensors.items() if each.is_floating_point() and each.numel()}
    if not floating or math.isfinite(get_total_norm(list(floating.values()), math.inf).item()):
        return None
    return next((name for name, value in floating.items() if not value.isfinite().all()), None)


def tensors_in(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of every tensor in nested dictionaries and lists, such as the states of optimisers."""
    if isinstance(value, Tensor):
        yield name, value
    listed = enumerate(value) if isinstance(value, list | tuple) else ()
    items: Iterable = value.items() if isinstance(value, dict) else listed
    for key, inner in items:
        yield from tensors_in(inner, f"{name}, {key}" if name else str(key))
