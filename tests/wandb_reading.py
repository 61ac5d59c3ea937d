"""Reads what wandb recorded offline: a file of Protocol Buffers in LevelDB's log format."""

import json
import struct
import time
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from wandb.proto.wandb_internal_pb2 import Record

FILE_HEADER, BLOCK, CHUNK_HEADER = 7, 32768, 7
FULL, LAST = 1, 4


class OfflineRun:
    """One offline run.

    Attributes:
        run: the record that names it.
        config: key -> value.
        rows: of its history, in order, each key -> value.
        summary: key -> value.
        metrics: key -> which ends of it the summary keeps.
    """

    def __init__(self, folder: Path) -> None:
        (file,) = folder.glob("*.wandb")
        self.run, self.config, self.rows, self.summary, self.metrics = None, {}, [], {}, {}
        for record in _whole_run(file):
            self._take(record)

    def _take(self, record: Any) -> None:
        kind = record.WhichOneof("record_type")
        if kind == "run":
            self.run = record.run
            self.config |= _items(record.run.config.update)
        elif kind == "config":
            self.config |= _items(record.config.update)
        elif kind == "history":
            self.rows.append(_items(record.history.item))
        elif kind == "summary":
            self.summary |= _items(record.summary.update)
        elif kind == "metric":
            self.metrics[record.metric.name or record.metric.glob_name] = record.metric.summary

    @property
    def keys(self) -> set[str]:
        """All that its history holds."""
        return set().union(*self.rows)


def _whole_run(file: Path, patience: float = 30.0) -> list[Any]:
    """All records of a run that ended; wandb's service may still be writing when the run's process goes on."""
    end = time.monotonic() + patience
    while True:
        try:
            records = [Record.FromString(content) for content in _records(file.read_bytes())]
        except DecodeError:  # of a record that is half written
            if time.monotonic() > end:
                raise
            records = []
        if time.monotonic() > end or any(record.WhichOneof("record_type") == "exit" for record in records):
            return records
        time.sleep(0.1)


def _records(content: bytes):
    """Records are cut into chunks, none of which crosses the end of a block."""
    place, record = FILE_HEADER, b""
    while place + CHUNK_HEADER <= len(content):
        left = BLOCK - place % BLOCK
        if left < CHUNK_HEADER:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + CHUNK_HEADER])
        place += CHUNK_HEADER
        record += content[place : place + length]
        place += length
        if kind in (FULL, LAST):
            yield record
            record = b""


def _items(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
