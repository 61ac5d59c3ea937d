"""Ways to harm a file, as strategies of hypothesis: bytes of any file, values of JSON, YAML and pickles."""

import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

STRANGE = [
    *(None, True, False, -1, 0, 1, 2**31, 2**70, -0.5, 1e308, float("nan"), float("inf")),
    *(
        "",
        " ",
        "a",
        "0",
        "-1",
        "\0",
        "a\0b",
        "\ud800",
        "../../x",
        "/",
        ".",
        "a\nb",
        "<b>&",
        "x" * 3000,
        "é",
        "{}",
        "!",
    ),
    *(
        [],
        [[]],
        [None],
        {},
        {"a": 1},
        {"": None},
        [0] * 50,
        [[[[[[1]]]]]],
        {"class_path": "os.system", "init_args": {}},
    ),
]


@dataclass(frozen=True)
class Harm:
    """One way to harm a file.

    Attributes:
        what: which way.
        place: where, a share of the file.
        with_what: bytes or a value.
    """

    what: str
    place: float
    with_what: Any = None

    def to_bytes(self, data: bytes) -> bytes:
        """Harm a file as bytes."""
        at = int(self.place * len(data))
        if self.what == "flip" and data:
            at = min(at, len(data) - 1)
            return data[:at] + bytes([data[at] ^ (1 << len(self.with_what) % 8)]) + data[at + 1 :]
        if self.what == "cut":
            return data[:at]
        if self.what == "drop":
            return data[:at] + data[at + 1 + len(self.with_what) :]
        if self.what == "overwrite":
            return data[:at] + self.with_what + data[at + len(self.with_what) :]
        if self.what == "repeat":
            return data[:at] + data[at : at + 200] * 3 + data[at:]
        return data[:at] + self.with_what + data[at:]

    def to_value(self, content: Any) -> Any:
        """Harm plain data in one place."""
        places = list(_places(content, ()))
        path = places[min(int(self.place * len(places)), len(places) - 1)]
        return _changed(content, path, self)


def _places(content: Any, path: tuple) -> Iterator[tuple]:
    yield path
    items = (
        content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    )
    for key, value in items:
        yield from _places(value, (*path, key))


def _changed(content: Any, path: tuple, harm: Harm) -> Any:
    if not path:
        if harm.what == "wrap":
            return [content]
        if harm.what == "text":
            return str(content)[:100]
        return harm.with_what
    key, *rest = path
    copy = dict(content) if isinstance(content, dict) else list(content)
    if not rest and harm.what == "remove":
        del copy[key]
    elif not rest and harm.what == "rename" and isinstance(copy, dict):
        copy[str(harm.with_what)[:50]] = copy.pop(key)
    elif not rest and harm.what == "twice" and isinstance(copy, list):
        copy.insert(key, copy[key])
    else:
        copy[key] = _changed(copy[key], tuple(rest), harm)
    return copy


PLACES = st.floats(0, 1, exclude_max=True)
BYTES = st.builds(
    Harm,
    st.sampled_from(["flip", "flip", "cut", "drop", "overwrite", "insert", "repeat"]),
    PLACES,
    st.binary(min_size=1, max_size=12)
    | st.sampled_from([b"\0", b"\xff\xff\xff\xff", b"\n", b'"', b"[" * 500, b"\x80"]),
)
VALUES = st.builds(
    Harm,
    st.sampled_from(["put", "put", "put", "remove", "rename", "twice", "wrap", "text"]),
    PLACES,
    st.sampled_from(STRANGE),
)


def bytes_of(file: str) -> Callable[[Harm], bytes]:
    """Harms any file."""
    data = Path(file).read_bytes()
    return lambda harm: harm.to_bytes(data)


def json_of(file: str) -> Callable[[Harm], bytes]:
    """Harms the values of a JSON file."""
    content = json.loads(Path(file).read_text())
    return lambda harm: json.dumps(harm.to_value(content)).encode()


def lines_of(file: str) -> Callable[[Harm], bytes]:
    """Harms the values of the first line of a JSON Lines file."""
    first, *rest = Path(file).read_text().splitlines()
    content = json.loads(first)
    return lambda harm: "\n".join([json.dumps(harm.to_value(content)), *rest]).encode()


def yaml_of(file: str) -> Callable[[Harm], bytes]:
    """Harms the values of a YAML file."""
    content = yaml.safe_load(Path(file).read_text())
    return lambda harm: yaml.safe_dump(harm.to_value(content)).encode("utf-8", "surrogatepass")


def pickle_of(file: str) -> Callable[[Harm], bytes]:
    """Harms the values of a pickle."""
    content = pickle.loads(Path(file).read_bytes())
    return lambda harm: pickle.dumps(harm.to_value(content), protocol=2)
