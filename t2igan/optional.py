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
        UserError: it is not installed, or cannot be imported.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        remedy = f"`pip install {shlex.quote(install)}`{f', or {instead}' if instead else ''}"
        lacking = (error.name or name).partition(".")[0]
        raise UserError(f"{who} need {remedy}; {lacking} is not installed") from error
    except ImportError as error:
        why = " ".join(str(error).split())
        raise UserError(f"{who} need {name}, which is installed but cannot be imported ({why})") from error


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
