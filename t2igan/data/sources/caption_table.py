"""Caption tables written by users: CSV or JSON Lines, one image with one caption per line."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from t2igan.data.sources.base import Findings, first_of
from t2igan.errors import UserError
from t2igan.plain_files import parse_json

_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class CaptionRow:
    """One line of a table: its position, and its cells by lower-case column name."""

    line: int
    fields: dict[str, str]


def read_rows(path: Path, columns: Sequence[str], findings: Findings) -> list[CaptionRow]:
    """The rows of a ``.csv`` (or ``.tsv``) file with a header, or of a ``.jsonl`` file of objects.

    A line of JSON may have ``captions``, a list, instead of ``caption``; it becomes several rows.

    Args:
        path: path of the file, UTF-8 with or without a byte order mark.
        columns: required columns; others are allowed.
        findings: receives the faults of single lines.

    Raises:
        UserError: no such file, another kind of file, not UTF-8, or a CSV without one of the columns.
    """
    readers = {".csv": _read_csv, ".tsv": _read_csv, ".jsonl": _read_json_lines}
    if path.suffix.lower() not in readers:
        raise UserError(f"{path}: neither .csv nor .jsonl")
    text = _decode(path)
    faults: dict[str, list[int]] = defaultdict(list)
    rows = list(readers[path.suffix.lower()](path, text, columns, faults))
    findings.faults += [f"{at(path, lines)}: {what}" for what, lines in faults.items()]
    if not rows and not faults:
        raise UserError(f"{path}: holds no line with {' and '.join(columns)}")
    return rows


def at(path: Path, lines: Sequence[int]) -> str:
    """The position of lines for a message: ``"captions.csv, lines 3, 7"``."""
    return f"{path}, line{'s' if len(lines) > 1 else ''} {first_of(lines)}"


def _decode(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; it holds the captions") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{path}: is UTF-16; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        bad = [number for number, line in enumerate(data.split(b"\n"), 1) if not _is_utf8(line)]
        raise UserError(f"{at(path, bad)}: not UTF-8; save the file as UTF-8") from None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return True


def _read_csv(path: Path, text: str, columns: Sequence[str], faults: dict[str, list[int]]) -> Iterator[CaptionRow]:
    delimiter = next((each for each in _DELIMITERS if set(columns) <= set(_header(text, each))), ",")
    header = _header(text, delimiter)
    missing = [column for column in columns if column not in header]
    if missing:
        raise UserError(
            f"{path}: no column {' and no column '.join(missing)} in its first line, which has "
            f"{', '.join(header) or 'nothing'}; expected: {','.join(columns)}"
        )
    if twice := sorted({column for column in header if header.count(column) > 1}):
        raise UserError(f"{path}: column {', '.join(twice)} occurs more than once in its first line")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        next(reader)
        for values in reader:
            if len(values) == len(header):
                yield CaptionRow(reader.line_num, {name: value.strip() for name, value in zip(header, values)})
            elif any(values):
                what = f"{len(values)} fields, the first line has {len(header)}; "
                what += f"put a caption that holds {delimiter!r} in double quotes"
                faults[what].append(reader.line_num)
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not CSV ({error}); look at its double quotes") from error


def _header(text: str, delimiter: str) -> list[str]:
    try:
        first = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error:  # the strict reader says what is wrong
        return []
    return [name.strip().lower() for name in first]


def _read_json_lines(
    path: Path, text: str, columns: Sequence[str], faults: dict[str, list[int]]
) -> Iterator[CaptionRow]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield from _json_rows(number, line, columns)
        except ValueError as error:
            faults[str(error)].append(number)


def _json_rows(number: int, line: str, columns: Sequence[str]) -> Iterator[CaptionRow]:
    """The rows of one line of JSON; a ValueError describes what is wrong with it."""
    try:
        pairs = parse_json(line, "this line", object_pairs_hook=list)
    except UserError as error:
        raise ValueError(str(error).removeprefix("this line: ")) from None
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        raise ValueError("not a JSON object")
    fields = {name.strip().lower(): value for name, value in pairs}
    if len(fields) < len(pairs):
        raise ValueError("has the same key more than once")
    several = fields.pop("captions", None)
    if several is not None and ("caption" in fields or not isinstance(several, list) or not several):
        raise ValueError("'captions' is a list of texts, in place of 'caption'")
    missing = [column for column in columns if column not in fields and (column != "caption" or several is None)]
    if missing:
        raise ValueError(f"no {' and no '.join(missing)}; it has {first_of(list(fields)) or 'nothing'}")
    captions = [fields.pop("caption", "")] if several is None else several
    others = {name: _text(name, value) for name, value in fields.items()}
    for caption in captions:
        yield CaptionRow(number, others | {"caption": _text("caption", caption)})


def _text(name: str, value: Any) -> str:
    if isinstance(value, (list, dict, bool)):
        raise ValueError(f"{name!r} is not a text")
    return "" if value is None else str(value).strip()
