"""Schemas of YAML files: dataclass annotations, checked by pydantic, with one-line errors.

Used for protocols, plans, pipelines and published numbers. pydantic is imported only when a file is read.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, get_args, get_type_hints

from t2igan.errors import UserError
from t2igan.spelling import nearest
from t2igan.typed import MOST

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

T = TypeVar("T")
MOST_SAID = 3
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""As JSON writes it: behind an even number of backslashes, for two of them stand for one of the text."""
KINDS = {"str": "a text", "dict": "a mapping", "list": "a list", "dataclass": "a mapping"}


class FromFile:
    """Base class of dataclasses for :func:`read_as`, which forbids extra keys and values of other types."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "extra": "forbid",
        "strict": True,
        "allow_inf_nan": False,
        "arbitrary_types_allowed": True,
    }


def at_least(minimum: float, default: Any = MISSING) -> Any:
    """A dataclass field with a minimum value."""
    return field(default=default, metadata={"minimum": minimum})


def read_as(kind: type[T], values: Any, path: Path | str, prefix: str = "") -> T:
    """Make a dataclass from the plain values of a file.

    Args:
        kind: dataclass derived from :class:`FromFile`, like the dataclasses in its fields.
        values: mapping of its fields; integers are accepted as floats.
        path: path of the file.
        prefix: position of the mapping in the file, such as ``metrics[0].``.

    Raises:
        UserError: keys are missing or unknown, or values have the wrong type; lists all problems in one line.
    """
    from pydantic import ValidationError

    try:
        plain = json.dumps(values)
    except TypeError as error:
        raise UserError(f"{path}: only text, numbers, lists and mappings are allowed here ({error})") from error
    if _NUL.search(plain):
        raise UserError(f"{path}: one of its texts contains NUL, which no file name can; remove it")
    try:
        # In JSON mode a mapping is accepted for a dataclass, and no other types are converted.
        found = cast(T, _adapter(kind).validate_json(plain))
    except ValidationError as error:
        problems = [f"{_place(one['loc'])}{_objection(kind, one)}".lstrip(": ") for one in error.errors()]
        raise _refusal(path, prefix, problems) from error
    if problems := [*_out_of_range(found)]:
        raise _refusal(path, prefix, problems)
    return found


def _refusal(path: Path | str, prefix: str, problems: Sequence[str]) -> UserError:
    more = f"; and {len(problems) - MOST_SAID} more" if len(problems) > MOST_SAID else ""
    return UserError(f"{path}: {'; '.join(prefix + one for one in problems[:MOST_SAID])}{more}")


@cache
def _adapter(kind: type) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _out_of_range(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[str]:
    """Numbers below the minimum of :func:`at_least`, and absurdly large ones, at any depth."""
    if is_dataclass(value):
        for own in fields(value):
            number, minimum = getattr(value, own.name), own.metadata.get("minimum")
            if minimum is not None and number is not None and number < minimum:
                yield f"{_place((*place, own.name))}: {number!r} is below {minimum}"
            yield from _out_of_range(number, (*place, own.name))
    elif isinstance(value, list | dict):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _out_of_range(inner, (*place, key))
    elif isinstance(value, int | float) and abs(value) >= MOST:
        yield f"{_place(place)}: {value!r:.40} is too large"


def _place(location: Sequence[str | int]) -> str:
    """Format keys and positions: ``datasets.birds.models[0]``."""
    return "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in location).lstrip(".")


def _objection(kind: type, error: "ErrorDetails") -> str:
    """Description of a value's problem, to follow its position in the message."""
    what, value, told = error["type"], error["input"], error.get("ctx", {})
    if what == "missing":
        return " is missing"
    if what == "unexpected_keyword_argument":
        known = _fields_at(kind, error["loc"][:-1])
        return f": unknown key{nearest(str(error['loc'][-1]), known)}; valid keys: {', '.join(known) or 'none'}"
    if what == "literal_error":
        return f": {value!r:.80} is not one of {told['expected'].replace(chr(39), '').replace(' or ', ', ')}"
    if what.endswith("_type"):
        wanted = what.removesuffix("_type").replace("string", "str")
        return f": {value!r:.80} is not {KINDS.get(wanted, f'of type {wanted}')}"
    return f": {value!r:.80}: {error['msg']}"


def _fields_at(kind: Any, location: Sequence[str | int]) -> list[str]:
    """The fields of the dataclass at a position within another one."""
    for one in location:
        kind = get_type_hints(kind)[str(one)] if is_dataclass(kind) else get_args(kind)[-1]
        kind = next(filter(is_dataclass, get_args(kind)), kind) if type(None) in get_args(kind) else kind
    return [own.name for own in fields(kind)]


def checked_mapping(values: Any, path: Path | str, example: str) -> Mapping[Any, Any]:
    """Check that the content of a file is a non-empty mapping.

    Args:
        values: content of the file.
        path: path of the file.
        example: example of valid content, for the message.

    Raises:
        UserError: the content is something else, or empty.
    """
    if not isinstance(values, dict) or not values:
        raise UserError(f"{path}: must hold keys and values, such as `{example}`")
    return values
