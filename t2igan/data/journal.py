"""The ``.partial`` file of a store in the making: rendered images, appended one by one.

A plain append-only file rather than a half-written HDF5 file, because a killed writer can cost such a file no
more than its last record, while an HDF5 file may be lost as a whole.
"""

import fcntl
import json
import os
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from t2igan.data.rendering import Rendered
from t2igan.errors import UserError
from t2igan.files import make_folder, naming

_FLUSH_SECONDS = 0.5


@dataclass(frozen=True)
class JournalEntry:
    """Where a rendered image lies in the journal.

    Attributes:
        stamp: identifies the version of the raw file.
        shape: (height, width).
        start: offset of the payload in the file.
        length: bytes of the payload.
        sha256: hex digest of the payload.
    """

    stamp: list[Any]
    shape: tuple[int, int]
    start: int
    length: int
    sha256: str


class Journal:
    """Append-only record of finished images; opening it again finds all that were written whole.

    Args:
        path: path of the ``.partial`` file.
        settings: settings that the payloads depend on besides the raw file; a journal with other settings is
            discarded.

    Raises:
        UserError: it cannot be written, or another process is writing it.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self.entries: dict[str, JournalEntry] = {}
        try:
            make_folder(path.parent)
            self._file = path.open("a+b")
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise UserError(f"{path}: another process is preparing this store; wait for it or stop it") from None
        self._flushed = time.monotonic()
        self._read(json.dumps(settings, sort_keys=True).encode() + b"\n")

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        with naming(self.path):
            self._file.close()

    def _read(self, head: bytes) -> None:
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        good = len(head) if self._file.readline() == head else 0
        while good and (record := self._read_entry(size)) is not None:
            key, entry = record
            self.entries[key] = entry
            good = entry.start + entry.length
        self._file.truncate(good)
        if not good:
            self._file.write(head)

    def _read_entry(self, size: int) -> tuple[str, JournalEntry] | None:
        """The record at the file's position, or None at the end or at a record that was cut off."""
        line = self._file.readline()
        if not line.endswith(b"\n"):
            return None
        try:
            key, stamp, (height, width), length, digest = json.loads(line)
            sizes = [type(each) is int and each >= 0 for each in (height, width, length)]
            if not all(sizes) or not all(isinstance(each, str) for each in (key, digest)):
                return None
        except (ValueError, TypeError, RecursionError):
            return None
        start = self._file.tell()
        if start + length > size:
            return None
        self._file.seek(start + length)
        return key, JournalEntry(stamp, (height, width), start, length, digest)

    def append(self, image: Rendered, stamp: list[Any]) -> None:
        """Record a rendered image; it reaches the disk within half a second of further work."""
        line = json.dumps([image.key, stamp, image.shape, len(image.payload), image.sha256]).encode() + b"\n"
        with naming(self.path):
            start = self._file.seek(0, os.SEEK_END) + len(line)
            self._file.write(line + image.payload)
            self.entries[image.key] = JournalEntry(stamp, image.shape, start, len(image.payload), image.sha256)
            if time.monotonic() - self._flushed > _FLUSH_SECONDS:
                self._file.flush()
                self._flushed = time.monotonic()

    def payload(self, key: str) -> bytes:
        """The payload of a recorded image.

        Raises:
            UserError: the bytes are not those that were written.
        """
        entry = self.entries[key]
        with naming(self.path):
            self._file.seek(entry.start)
            data = self._file.read(entry.length)
        if sha256(data).hexdigest() != entry.sha256:
            raise UserError(f"{self.path}: damaged at {key}; delete it and prepare again")
        return data

    def remove(self) -> None:
        """Delete the file: the store is finished."""
        self._close()
        self.path.unlink()
