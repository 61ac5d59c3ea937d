"""Disk cache of features, so that no image passes through a network twice.

Each combination of image source and network has its own content-addressed folder of parts. Parts are written
atomically and named by the checksum of their bytes, which is verified at each read; several processes may write at
the same time, and the parts of an interrupted run are reused.
"""

import io
import json
import os
import time
import uuid
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from xxhash import xxh3_128_hexdigest

from t2igan.errors import UserError
from t2igan.evaluation.protocol import hash_of
from t2igan.evaluation.record import package_versions
from t2igan.files import make_folder

IDS = "ids"
# A part is written at this number of rows or after this time: a killed process loses no more than that.
PART_ROWS = 512
PART_SECONDS = 20.0


class Shelf:
    """Cached rows of one content address.

    Args:
        folder: folder of the whole cache.
        content: all plain values that the rows depend on.

    Raises:
        UserError: the folder cannot be written.
    """

    def __init__(self, folder: Path, content: Mapping[str, Any]) -> None:
        self.folder = folder / hash_of(content)
        try:
            make_folder(self.folder)
            _write_whole(self.folder / "content.json", json.dumps(dict(content), indent=1).encode())
        except OSError as error:
            raise UserError(f"{folder}: the {_unwritable(error)}") from error
        self._waiting: list[tuple[np.ndarray, ...]] = []
        self._waiting_since = 0.0

    def load(self, wanted: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Load the cached rows of some images.

        Args:
            wanted: int64 (N, 2), ids of the images.

        Returns:
            Ascending positions (M,) in ``wanted`` that are cached, and their rows.
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
        """Add rows; they are written after a few hundred rows or some seconds, and by :meth:`flush`.

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
        """Write all pending rows."""
        if not self._waiting:
            return
        columns: list[Any] = [np.concatenate(column) for column in zip(*self._waiting)]
        self._waiting.clear()
        names = [IDS, *(f"rows{number}" for number in range(len(columns) - 1))]
        content = io.BytesIO()
        np.savez(content, **dict(zip(names, columns)))
        part = self.folder / f"{xxh3_128_hexdigest(content.getbuffer())}.npz"
        hidden = self.folder / f"{uuid.uuid4().hex}.partial"
        try:
            hidden.write_bytes(content.getbuffer())
            os.replace(hidden, part)
        except OSError as error:
            with suppress(OSError):  # the folder may have become read-only
                hidden.unlink(missing_ok=True)
            raise UserError(f"{part.parent}: the {_unwritable(error)}") from error


def shelf_for(folder: Path | None, content: object, network: Sequence[object]) -> Shelf | None:
    """The cache entry for the rows that a network computes from images.

    Args:
        folder: folder of the cache, None to disable it.
        content: all values that the images depend on, None if they cannot be identified.
        network: all values that the rows depend on besides the images.
    """
    if folder is None or content is None:
        return None
    return Shelf(folder, {"images": content, "network": list(network), "versions": package_versions()})


def _read(path: Path) -> tuple[np.ndarray, ...] | None:
    """The columns of a part, None if its bytes are not what was written."""
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    if xxh3_128_hexdigest(content) != path.stem:
        warnings.warn(
            f"{path} is damaged or of an earlier version; its features are computed again",
            stacklevel=2,
        )
        return None
    with np.load(io.BytesIO(content)) as file:
        return tuple(file[name] for name in file.files)


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
