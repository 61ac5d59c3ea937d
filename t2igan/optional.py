"""Packages that not everybody has, and folders of networks that they read."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from t2igan.errors import UserError


def library(name: str, who: str, install: str) -> Any:
    """An optional package.

    Args:
        name: of the package.
        who: needs it, in the plural or as a plural, such as ``CLIP metrics``.
        install: what pip is to install.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise UserError(f"{who} need `pip install {install}`; {name} is not installed") from error


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
