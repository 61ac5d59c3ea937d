"""Packages that not everybody has, and folders of networks that they read."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from t2igan.errors import UserError


def library(name: str, who: str, install: str, instead: str = "") -> Any:
    """An optional package.

    Args:
        name: name of the package, or of a module in it.
        who: needs it, in the plural or as a plural, such as ``CLIP metrics``.
        install: what pip is to install.
        instead: what else can be done, such as ``take kind: local``; empty for nothing.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        remedy = f"`pip install {shlex.quote(install)}`{f', or {instead}' if instead else ''}"
        raise UserError(f"{who} need {remedy}; {name.partition('.')[0]} is not installed") from error


@contextmanager
def reading(folder: str | Path, what: str) -> Iterator[None]:
    """Reads a folder of a network; whatever the libraries raise for damaged files becomes one line.

    Args:
        folder: that is read.
        what: should be in it.

    Raises:
        UserError: anything was raised.
    """
    try:
        yield
    except Exception as error:  # these libraries raise kinds of their own
        raise UserError(f"{folder}: not a readable {what} ({' '.join(str(error).split())[:120]})") from error
