"""Argument parsing with errors of one line."""

import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any

import jsonargparse
from jsonargparse import ArgumentParser

from t2igan.errors import UserError

# What jsonargparse says of a wrong key, and of a key that a class does not have.
WRONG_KEY = re.compile(
    r"(?:Key|Option) '(?P<a>[^']+)' is not (?:expected|accepted)|unrecognized arguments: (?P<b>\S+)"
)


def call(function: Callable, argv: Sequence[str], verb: str) -> Any:
    """Call ``function`` with arguments parsed from its signature and docstring.

    Raises:
        UserError: for arguments that do not fit.
    """
    parser = ArgumentParser(prog=f"t2igan {verb}", exit_on_error=False)
    parser.add_function_arguments(function, as_positional=True, fail_untyped=True)
    try:
        parsed = parser.parse_args(list(argv))
    except jsonargparse.ArgumentError as error:
        raise UserError(one_line(str(error), known_keys(parser))) from error
    return function(**parser.instantiate_classes(parsed).as_dict())


def known_keys(parser: ArgumentParser) -> list[str]:
    """Destinations of all options of a parser."""
    return [action.dest for action in parser._actions]


def one_line(message: str, known: Sequence[str] = ()) -> str:
    """The telling part of a parser's error, with the nearest known key."""
    lines = [line.strip(" -") for line in message.splitlines() if line.strip(" -^")]
    telling = [line for line in lines if WRONG_KEY.search(line)] or lines
    text = telling[-1] if len(telling) == 1 or WRONG_KEY.search(telling[-1]) else " ".join(lines)
    found = WRONG_KEY.search(text)
    if found:
        wrong = (found["a"] or found["b"]).lstrip("-").split("=")[0]
        near = difflib.get_close_matches(wrong, known, n=1)
        if near:
            text += f" (did you mean {near[0]}?)"
    return re.sub(r"\s+", " ", text)
