"""Byte records of variable length, stored contiguously in a file."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from t2igan.data.checksums import PIXELS, RECORDS, record_checksum
from t2igan.errors import UserError

AGAIN = "make it again with `t2igan prepare`"


class Records:
    """Reads records by their index, and compares each with its checksum.

    Safe in forked and in spawned workers, and in threads: no file position is shared.

    Args:
        path: path of the file.
        start: byte offset of the first record in the file; None if the records are not contiguous.
        offsets: int64 (N + 1,), byte offset of each record, relative to ``start``.
        checksums: XXH3 of each record, uint64 (N,); None in stores without checksums.
        name: function from an index to the record's name in error messages.

    Raises:
        UserError: the records are not contiguous.
    """

    def __init__(
        self,
        path: Path,
        start: int | None,
        offsets: np.ndarray,
        checksums: np.ndarray | None,
        name: Callable[[int], str],
    ) -> None:
        if len(offsets) > 1 and offsets[-1] and start is None:
            raise UserError(f"{path}: {name(0)} is compressed or chunked (repacked?); {AGAIN}")
        self._path, self._start, self._offsets = path, start or 0, offsets
        # Items of a memoryview are Python integers; those of an array would be NumPy scalars, which are slower.
        self._checksums = None if checksums is None else checksums.data
        self._name = name
        self._file: io.FileIO | None = None

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def size(self, number: int) -> int:
        """Size of a record in bytes."""
        return int(self._offsets[number + 1] - self._offsets[number])

    @property
    def sizes(self) -> np.ndarray:
        """Size of every record in bytes, int64 (N,)."""
        return np.diff(self._offsets)

    def read(self, number: int, out: np.ndarray | None = None) -> np.ndarray:
        """Read a record, uint8 (bytes,), into ``out`` if that is given.

        Raises:
            UserError: its bytes are not those that were written.
        """
        out = np.empty(self.size(number), np.uint8) if out is None else out
        # Another thread may open the file at the same time, so this one keeps a handle of its own.
        file = self._file
        if file is None:
            file = self._file = io.FileIO(self._path)
        position, rest = self._start + int(self._offsets[number]), out.data
        while rest:
            count = os.preadv(file.fileno(), [rest], position)
            if not count:
                raise UserError(f"{self._path}: truncated; {AGAIN}")
            position, rest = position + count, rest[count:]
        if self._checksums is not None and record_checksum(out.data) != self._checksums[number]:
            raise UserError(f"{self._path}: damaged, {self._name(number)} is not what was written; {AGAIN}")
        return out

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        if self._file is not None:
            self._file.close()
        self._file = None


def dataset_in(file: h5py.Group, path: str) -> h5py.Dataset:
    """A data set of an HDF5 file.

    Raises:
        KeyError: the file has no data set at ``path``.
    """
    found = file[path]
    if not isinstance(found, h5py.Dataset):
        raise KeyError(f"{path} is no data set")
    return found


def starts_of_records(file: h5py.File, split: str) -> dict[str, int | None]:
    """Byte offset of a split's records in the file; None if they are not contiguous."""
    kinds = [PIXELS, *(kind for kind in RECORDS if f"{split}/{kind}" in file)]
    return {kind: dataset_in(file, f"{split}/{kind}").id.get_offset() for kind in kinds}
