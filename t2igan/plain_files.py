"""Strict reading of text, YAML and JSON files; ambiguous content is refused."""

import json
import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import yaml

from t2igan.errors import UserError

LARGEST_YAML = 2**19
"""Bytes; the longest configuration is some kilobytes."""
MOST_VALUES = 100_000
"""In a YAML file once its aliases are written out: nine lines of aliases can stand for a thousand million."""
DEEPEST = 60
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_text(path: str | Path, largest: int | None = None) -> str:
    """Read a UTF-8 file, with or without a byte order mark.

    Args:
        path: path of the file.
        largest: maximum size in bytes.

    Raises:
        UserError: the file is missing, unreadable, too large, or not UTF-8.
    """
    path = Path(path)
    try:
        if largest is not None and path.is_file() and path.stat().st_size > largest:
            raise UserError(
                f"{path}: is larger than {largest:,} bytes, too large for a file of this kind; give another"
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except ValueError:
        raise UserError(f"{str(path)!r}: a file name cannot contain a NUL") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if data[:2] in _UTF16:
        raise UserError(f"{path}: is UTF-16; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: not UTF-8; save the file as UTF-8") from None


def read_yaml(path: str | Path) -> Any:
    """Read the plain values of a YAML file.

    Raises:
        UserError: see :func:`read_text` and :func:`parse_yaml`.
    """
    return parse_yaml(read_text(path, LARGEST_YAML), str(path))


def parse_yaml(text: str, where: str) -> Any:
    """Parse the plain values of a YAML document.

    Args:
        text: the document.
        where: names it in errors.

    Raises:
        UserError: the text is not YAML, has a duplicate key or a tag that creates objects, is nested too deeply, or
            too large with its aliases.
    """
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _size(node, where, {}, 0)
            _refuse_doubles(node, where, set())
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{where}{line}: not YAML ({' '.join(str(error.problem or error).split())})") from error
    except yaml.YAMLError as error:
        raise UserError(f"{where}: not YAML ({' '.join(str(error).split())})") from error
    except RecursionError:
        raise UserError(f"{where}: not read, because its YAML is nested more than {DEEPEST} deep") from None
    except (ValueError, OverflowError) as error:  # dates and numbers that Python cannot represent
        raise UserError(f"{where}: not YAML ({' '.join(str(error).split())})") from error


def _size(node: yaml.Node, where: str, known: dict[int, int], depth: int) -> int:
    """Number of values below a node with expanded aliases; recursive nodes are refused."""
    if known.get(id(node)) == 0 or depth > DEEPEST:
        what = "a value that holds itself" if depth <= DEEPEST else f"nested more than {DEEPEST} deep"
        _refuse(node, where, what)
    if id(node) not in known:
        known[id(node)] = 0
        known[id(node)] = 1 + sum(_size(child, where, known, depth + 1) for child in _children(node))
    if known[id(node)] > MOST_VALUES:
        _refuse(node, where, f"its aliases stand for more than {MOST_VALUES:,} values")
    return known[id(node)]


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair


def _refuse_doubles(node: yaml.Node, where: str, seen: set[int]) -> None:
    """Refuse duplicate keys in a mapping, of which YAML would silently use the last."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys: set[Hashable] = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if name is None:
                _refuse(key, where, "a key that is not text")
            if name in keys:
                _refuse(key, where, f"the key {key.value!r} is given twice")
            keys.add(name)
    for child in _children(node):
        _refuse_doubles(child, where, seen)


def _refuse(node: yaml.Node, where: str, what: str) -> NoReturn:
    raise UserError(f"{where}, line {node.start_mark.line + 1}: {what}")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: see :func:`read_text` and :func:`parse_json`.
    """
    return parse_json(read_text(path), str(path))


def parse_json(text: str, where: str, **options: Any) -> Any:
    r"""Parse a JSON document.

    Args:
        text: the document.
        where: names it in errors.
        **options: options of :func:`json.loads`.

    Raises:
        UserError: the text is not JSON, is nested too deeply, or has an unpaired surrogate (``\ud800``), which
            UTF-8 cannot encode.
    """
    try:
        content = json.loads(text, **options)
        if _SURROGATE.search(text) and (half := next(_halves(content), None)) is not None:
            raise UserError(f"{where}: {half!r} holds half a character; write the whole character in UTF-8")
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not JSON (line {error.lineno}: {error.msg})") from error
    except RecursionError:
        raise UserError(f"{where}: not read, because its JSON is nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise UserError(f"{where}: not JSON ({error})") from error
    return content


def _halves(content: Any) -> Iterator[str]:
    """Yield strings with an unpaired surrogate."""
    if isinstance(content, str):
        if any("\ud800" <= letter <= "\udfff" for letter in content):
            yield content[:60]
    elif isinstance(content, dict):
        for pair in content.items():
            yield from _halves(list(pair))
    elif isinstance(content, (list, tuple)):
        for item in content:
            yield from _halves(item)
