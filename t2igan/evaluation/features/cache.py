"""Rows of networks kept on the disk, so that nothing is shown to a network twice.

A folder for each content address: what the images are made of, and which network saw them. In it lie parts, each
written whole or not at all; several processes may write at once, and what an interrupted run left is used.
"""

import json
import os
import time
import uuid
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from t2igan.errors import UserError
from t2igan.evaluation.protocol import hash_of
from t2igan.evaluation.record import package_versions

IDS = "ids"
# A part is written when it has so many rows or waits for so long: no more than that is lost with the process.
PART_ROWS = 512
PART_SECONDS = 20.0


class Shelf:
    """The rows of one content address.

    Args:
        folder: folder of the whole cache.
        content: plain values that the rows depend on.

    Raises:
        UserError: the folder cannot be written.
    """

    def __init__(self, folder: Path, content: Mapping[str, Any]) -> None:
        self.folder = folder / hash_of(content)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write_whole(self.folder / "content.json", json.dumps(dict(content), indent=1).encode())
        except OSError as error:
            raise UserError(f"{folder}: the {_unwritable(error)}") from error
        self._waiting: list[tuple[np.ndarray, ...]] = []
        self._waiting_since = 0.0

    def load(self, wanted: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """What there is.

        Args:
            wanted: int64 (N, 2), ids.

        Returns:
            The places (M,) in ``wanted`` that are there, rising, and their rows.
        """
        parts = [part for path in sorted(self.folder.glob("*.npz")) if (part := _read(path)) is not None]
        if not parts:
            return np.zeros(0, np.int64), []
        ids, *rows = (np.concatenate(columns) for columns in zip(*parts))
        position = {tuple(pair): place for place, pair in enumerate(ids.tolist())}
        found = [position.get(tuple(pair), -1) for pair in wanted.tolist()]
        places = np.flatnonzero(np.asarray(found) >= 0)
        picked = np.asarray(found, np.int64)[places]
        return places, [column[picked] for column in rows]

    def add(self, ids: np.ndarray, rows: list[np.ndarray]) -> None:
        """Keep rows; they are on the disk after some hundred of them, some seconds, and after :meth:`flush`.

        Args:
            ids: int64 (B, 2).
            rows: arrays (B, ...).
        """
        now = time.monotonic()
        if not self._waiting:
            self._waiting_since = now
        self._waiting.append((ids, *rows))
        enough = sum(len(part[0]) for part in self._waiting) >= PART_ROWS
        if enough or now - self._waiting_since >= PART_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        columns: list[Any] = [np.concatenate(column) for column in zip(*self._waiting)]
        self._waiting.clear()
        names = [IDS, *(f"rows{number}" for number in range(len(columns) - 1))]
        part = self.folder / f"{uuid.uuid4().hex}.npz"
        hidden = part.with_suffix(".partial")
        try:
            with hidden.open("wb") as file:
                np.savez(file, **dict(zip(names, columns)))
            os.replace(hidden, part)
        except OSError as error:
            with suppress(OSError):  # read-only by now
                hidden.unlink(missing_ok=True)
            raise UserError(f"{part.parent}: the {_unwritable(error)}") from error


def shelf_for(folder: Path | None, content: object, network: Sequence[object]) -> Shelf | None:
    """The shelf of the rows that a network makes of images.

    Args:
        folder: folder of the cache, None for none.
        content: all that the images depend on, None where that has no name.
        network: all that its rows depend on beside the image.
    """
    if folder is None or content is None:
        return None
    return Shelf(folder, {"images": content, "network": list(network), "versions": package_versions()})


def _read(path: Path) -> tuple[np.ndarray, ...] | None:
    """The columns of a part, None where it is damaged."""
    try:
        with np.load(path) as file:
            return tuple(file[name] for name in file.files)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        warnings.warn(f"{path} is damaged and left out; what it held is computed again", stacklevel=2)
        return None


def _unwritable(error: OSError) -> str:
    remedy = "free space or give another --cache; none keeps nothing"
    return f"cache cannot be written ({error.strerror}): {remedy}"


def _write_whole(path: Path, content: bytes) -> None:
    if path.is_file():
        return
    hidden = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        hidden.write_bytes(content)
        os.replace(hidden, path)
    except OSError:
        hidden.unlink(missing_ok=True)
        raise
