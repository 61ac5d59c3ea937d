"""Folders of drawn data sets: atomic files, several processes, resumable calls."""

import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from t2igan.cpus import available_cpus
from t2igan.data.rendering import serve_the_parent
from t2igan.errors import UserError
from t2igan.files import whole_file

CONFIG = "recipe.json"  # as the first versions wrote it: their folders go on

Item = TypeVar("Item")
Made = TypeVar("Made")


def claim(root: Path, what: str, wanted: Mapping[str, Any]) -> None:
    """Mark a folder with the settings that determine its content.

    Args:
        root: the folder, created if needed.
        what: description of the data set for error messages.
        wanted: settings that determine the content.

    Raises:
        UserError: the folder holds something else, or was drawn with other settings.
    """
    path = root / CONFIG
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = {}
        if not isinstance(found, dict):
            found = {}
        other = sorted(key for key in wanted if found.get(key) != wanted[key])
        if other:
            told = ", ".join(f"{key} {found.get(key)!r} instead of {wanted[key]!r}" for key in other)
            raise UserError(f"{path} belongs to other {what} ({told}); remove {root} or give another folder")
        return
    # A call killed at its very start leaves the partial file behind.
    strange = root.is_dir() and any(entry.name != f"{CONFIG}.new" for entry in root.iterdir())
    if root.is_file() or strange:
        raise UserError(f"{root} is not empty and holds no {CONFIG} of {what}; give a new or empty folder")
    root.mkdir(parents=True, exist_ok=True)
    write_bytes(path, as_json(wanted))


def make_all(make: Callable[[Item], Made], items: Sequence[Item], workers: int) -> Iterator[Made]:
    """Apply ``make`` to all items in processes that end with this one; yields the results in order.

    Args:
        make: picklable function of one item.
        items: arguments of ``make``, in the order of the results.
        workers: processes; 0 takes all cores, 1 stays in this process.
    """
    workers = min(workers or available_cpus(), len(items))
    if workers == 1:
        yield from map(make, items)
        return
    # Spawned, not forked: the caller may hold threads (torch) that do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=serve_the_parent)
    try:
        yield from pool.map(make, items, chunksize=min(16, -(-len(items) // workers)))
    finally:
        pool.shutdown(cancel_futures=True)


def as_json(value: object) -> bytes:
    """Write a value as an indented JSON file."""
    return (json.dumps(value, indent=1) + "\n").encode("ascii")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    replace(path, lambda partial_path: partial_path.write_bytes(content))


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file, then rename it, so that an existing file is always complete."""
    with whole_file(path, wait=False) as unfinished:
        write(unfinished)
