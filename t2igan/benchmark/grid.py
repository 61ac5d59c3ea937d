"""A grid of a plan: every combination of values of some keys, each an experiment of its own."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from t2igan.benchmark.trainings import Wanted
from t2igan.errors import UserError

UNFIT = re.compile(r"[^\w.+=-]+")  # for the name of a folder


def check_grid(path: Path, where: str, grid: Mapping[str, list[Any]]) -> None:
    """Check a grid: option of ``t2igan fit`` -> list of values.

    Raises:
        UserError: a key has no value, or one twice.
    """
    for key, values in grid.items():
        if not values:
            raise UserError(f"{path}: grid of {where}: {key} must be a list of values, it is {values!r}")
        if len({_word(each) for each in values}) < len(values):
            raise UserError(f"{path}: grid of {where}: {key} has a value twice: {values!r}")


def expand(path: Path, wanted: Wanted, grid: Mapping[str, list[Any]]) -> Iterator[Wanted]:
    """A training for each combination of a grid's values, named after them; the training itself without a grid.

    Raises:
        UserError: the grid changes what ``set`` of the entry sets.
    """
    if both := sorted(set(grid) & set(wanted.changes)):
        raise UserError(f"{path}: {wanted.name} has {both[0]} in `set` and in `grid`: remove one of them")
    shorts = [key.rpartition(".")[2] for key in grid]
    names = [short if shorts.count(short) == 1 else key for key, short in zip(grid, shorts)]
    for values in product(*grid.values()):
        told = [f"{name}={_word(value)}" for name, value in zip(names, values)]
        changes = {**wanted.changes, **dict(zip(grid, values))}
        yield replace(wanted, name="-".join([wanted.name, *told]), changes=changes)


def _word(value: Any) -> str:
    """A value as part of a folder's name."""
    text = value if isinstance(value, str) else json.dumps(value)
    return UNFIT.sub("_", text).strip("_")
