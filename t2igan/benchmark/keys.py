"""What the keys of a plan file must be."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from t2igan.errors import UserError


def expect_keys(path: Path, where: str, value: Any, needed: set[str], allowed: set[str]) -> None:
    """Check the keys of a mapping.

    Raises:
        UserError: a needed key is missing, there is one that is neither needed nor allowed, or it is no mapping.
    """
    keys = set(value) if isinstance(value, dict) else set()
    if not needed <= keys <= needed | allowed:
        found = sorted(keys, key=str) if keys else value
        raise UserError(f"{path}: {where} needs the keys {sorted(needed)} ({sorted(allowed)} too), it has {found}")


def expect_kind(path: Path, where: str, value: Any, kind: type, words: str) -> None:
    """Check the kind of a value.

    Raises:
        UserError: it is of another, or a text that no file's name can hold.
    """
    if not isinstance(value, kind) or (isinstance(value, str) and "\0" in value):
        raise UserError(f"{path}: {where} must be {words}, it is {value!r}")


def expect_texts(path: Path, where: str, value: Any) -> None:
    """Check that a value is a list of texts.

    Raises:
        UserError: it is not.
    """
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UserError(f"{path}: {where} must be a list of texts, it is {value!r}")


def words(path: Path, where: str, command: str) -> list[str]:
    """A command line in words.

    Raises:
        UserError: a quotation mark in it has no partner.
    """
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UserError(f"{path}: {where} is no command line ({error}): {command!r}") from error


def launcher_settings(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """``launcher`` of a plan: a kind alone, or a mapping with its options.

    Raises:
        UserError: it is neither.
    """
    value = content.get("launcher", "local")
    if isinstance(value, str):
        return {"kind": value}
    expect_kind(path, "launcher", value, dict, "a kind or a mapping with kind and options")
    return value
