"""Check plain data from a file against type annotations."""

import math
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

MOST = 2**63
"""No count or seed of a file is as large: what it is formatted or multiplied with could not hold it."""


def fits(value: Any, hint: Any) -> bool:
    """Whether a value has an annotation's type; numbers must be finite, and integers are accepted as floats."""
    kind, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if kind in (Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if kind is Literal:
        return any(value == each for each in inner)
    if kind in (list, Sequence):
        return isinstance(value, list) and all(fits(each, inner[0]) for each in value)
    if kind in (dict, Mapping):
        return isinstance(value, dict) and all(
            fits(key, inner[0]) and fits(each, inner[1]) for key, each in value.items()
        )
    if hint in (int, float):
        return type(value) in (int, hint) and abs(value) < MOST and math.isfinite(value)
    return value is None if hint is None else isinstance(value, hint)
