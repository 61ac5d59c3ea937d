"""Ranges of numeric arguments, declared as annotations and checked on construction.

``lr: Rate`` refuses ``nan`` and ``-1`` for every class derived from :class:`t2igan.nn.config.Configured`; a
dataclass calls :func:`check_ranges` in its ``__post_init__``.
"""

import functools
import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from t2igan.errors import UserError
from t2igan.typed import MOST


@dataclass(frozen=True)
class Range:
    """An interval of valid numbers; non-finite numbers are in no range.

    Attributes:
        low: lower end.
        high: upper end.
        with_low: whether ``low`` itself is valid.
        with_high: whether ``high`` itself is valid.
        whole: whether the message says "whole number"; the annotated type enforces it.
    """

    low: float
    high: float = math.inf
    with_low: bool = True
    with_high: bool = True
    whole: bool = False

    def __contains__(self, value: float) -> bool:
        above = value >= self.low if self.with_low else value > self.low
        below = value <= self.high if self.with_high else value < self.high
        return _is_finite(value) and above and below

    def __str__(self) -> str:
        start = f" {'at least' if self.with_low else 'above'} {self.low:g}" if self.low > -math.inf else ""
        end = f" {'at most' if self.with_high else 'below'} {self.high:g}" if self.high < math.inf else ""
        kind = "whole " if self.whole else "" if end else "finite "
        return f"a {kind}number{start}{' and' if start and end else ''}{end}"


def _is_finite(value: float) -> bool:
    """Whether a number is finite as a float; False for integers that overflow."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


COUNTABLE = Range(-math.inf, MOST, with_high=False, whole=True)
"""Whole numbers that fit into the counters of tensors, files and generators of random numbers."""
Finite = Annotated[float, Range(-math.inf)]
"""A bias: any number."""
Positive = Annotated[float, Range(0, with_low=False)]
"""A norm to clip at, a smoothing factor: above 0."""
Rate = Annotated[float, Range(0)]
"""A learning rate: at least 0, where nothing learns."""
Weight = Annotated[float, Range(0)]
"""What a term of a loss is multiplied by: at least 0."""
Seconds = Annotated[float, Range(0)]
"""A time: at least 0."""
Decay = Annotated[float, Range(0, 1, with_high=False)]
"""The share of the old that stays at each step: at least 0 and below 1."""
Share = Annotated[float, Range(0, 1)]
"""A part of a whole: at least 0 and at most 1."""
Part = Annotated[float, Range(0, 1, with_low=False, with_high=False)]
"""A part of a whole, neither none of it nor all: above 0 and below 1."""
Count = Annotated[int, COUNTABLE, Range(1, whole=True)]
"""A size, or how many, where none makes no sense: at least 1."""
Few = Annotated[int, Range(1, 10_000, whole=True)]
"""How many are held in the memory at once: images of a sheet, words of a caption."""
Side = Annotated[int, Range(1, 8192, whole=True)]
"""Of an image, in pixels: from 1 to 8,192."""
Times = Annotated[int, Range(1, 100_000, whole=True)]
"""Of the noise of a diffusion, or steps of denoising: each is a number in a table."""
Workers = Annotated[int, Range(0, 1024, whole=True)]
"""Processes beside this one: more than that are more than a machine has room for."""
Processes = Annotated[int, Range(1, 1024, whole=True)]
"""Processes that share some work, at least one."""
Whole = Annotated[int, COUNTABLE, Range(0, whole=True)]
"""A seed, or how many, where none makes sense: at least 0."""


def check_ranges(kind: type, arguments: Mapping[str, Any], function: Any = None) -> None:
    """Refuse arguments outside the ranges of their annotations.

    Args:
        kind: class to build, for the message.
        arguments: by name.
        function: function with the annotations; default: the class.

    Raises:
        UserError: an argument is out of range; names its class and range.
    """
    for name, value, numbers in out_of_range(function or kind, arguments):
        raise UserError(f"{kind.__name__}: {name} is {value}, but must be {numbers}")


def out_of_range(function: Any, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any, Range]]:
    """Yield name, value and range of all arguments outside of their annotated range.

    Args:
        function: function with the annotations.
        arguments: by name.
    """
    for name, hint in _hints(function).items():
        if name not in arguments:
            continue
        value = arguments[name]
        if get_origin(hint) is Annotated and _is_no_number(value, get_args(hint)[0]):
            yield name, value, get_args(hint)[-1]
        for number, numbers in _outside(hint, value):
            yield name, number, numbers


def _is_no_number(value: Any, kind: type) -> bool:
    """Whether plain data are not a number of a type; values from checkpoints were not checked by a parser."""
    return (
        value is None or isinstance(value, (str, list, tuple, dict)) or (kind is int and isinstance(value, float))
    )


@functools.cache
def _hints(function: Any) -> dict[str, Any]:
    """The annotations of a function that contain a range."""
    hints = get_type_hints(function, include_extras=True)
    return {name: hint for name, hint in hints.items() if "Range(" in repr(hint)}


def _outside(hint: Any, value: Any) -> Iterator[tuple[float, Range]]:
    """Yield numbers in ``value`` that ``hint`` does not allow, with the allowed range."""
    kind, inner = get_origin(hint), get_args(hint)
    if kind is Annotated:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        yield from ((value, each) for each in inner[1:] if number and isinstance(each, Range) and value not in each)
    elif kind in (Union, types.UnionType):
        for each in inner:
            yield from _outside(each, value)
    elif kind is list and isinstance(value, list):
        for each in value:
            yield from _outside(inner[0], each)
    elif kind is tuple and isinstance(value, (list, tuple)):
        for each, own in zip(inner, value):
            yield from _outside(each, own)
