"""Folders of drawn data sets: checked configs, atomic files, several processes, resumable calls."""

import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from t2igan.cpus import available_cpus
from t2igan.data.rendering import serve_the_parent
from t2igan.errors import UserError
from t2igan.files import make_folder, whole_file

CONFIG = "recipe.json"  # named so by the first versions, whose folders stay valid

JPEG_QUALITY = 95

Item = TypeVar("Item")
Made = TypeVar("Made")


def require_whole(config: object, what: str, least: Mapping[str, int]) -> None:
    """Check the whole numbers of a config.

    Args:
        config: object with the values as attributes.
        what: name of the data set for error messages.
        least: smallest value of each attribute.

    Raises:
        UserError: a value is not a whole number, or too small.
    """
    for key, smallest in least.items():
        value = getattr(config, key)
        if not isinstance(value, int) or value < smallest:
            raise UserError(f"{key} of the {what} is {value!r}; give a whole number of at least {smallest}")


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
    make_folder(root)
    write_bytes(path, as_json(wanted))


def make_all(
    make: Callable[[Item], Made],
    items: Sequence[Item],
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[Made]:
    """Apply ``make`` to all items, in processes that end with this one.

    Args:
        make: picklable function of one item.
        items: arguments of ``make``, in the order of the results.
        workers: processes; 0 takes all cores, 1 stays in this process.
        progress: called with (items done, items in all) after each item.
    """
    made: list[Made] = []
    for one in _made(make, items, min(workers or available_cpus(), len(items))):
        made.append(one)
        if progress:
            progress(len(made), len(items))
    return made


def _made(make: Callable[[Item], Made], items: Sequence[Item], workers: int) -> Iterator[Made]:
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


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines of ASCII text atomically."""
    write_bytes(path, ("\n".join(lines) + "\n").encode("ascii"))


def save_image(path: Path, image: np.ndarray) -> None:
    """Save an image, uint8 (H, W, 3), as JPEG, atomically."""
    # Full chroma resolution: the colours of small things are what the texts speak of.
    jpeg = partial(Image.fromarray(image).save, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    replace(path, jpeg)


def save_map(path: Path, labels: np.ndarray, palette: Sequence[tuple[int, int, int]] = ()) -> None:
    """Save a label map, uint8 (H, W), as PNG, atomically.

    Args:
        path: path of the file.
        labels: label of each pixel.
        palette: colours in which viewers show the labels; default: greys.
    """
    image = Image.fromarray(labels)
    if palette:
        image.putpalette([value for color in palette for value in color])
    replace(path, partial(image.save, format="PNG"))


def read_map(path: Path) -> np.ndarray | None:
    """Return a label map (H, W), or None if it is absent or unreadable."""
    try:
        with Image.open(path) as image:
            return np.asarray(image)
    except OSError:
        return None


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file, then rename it, so that an existing file is always complete."""
    with whole_file(path, wait=False) as unfinished:
        write(unfinished)
