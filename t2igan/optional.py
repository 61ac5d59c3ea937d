"""Optional packages, and folders of networks that they read."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from t2igan.errors import UserError


def library(name: str, who: str, install: str, instead: str = "") -> Any:
    """Import an optional package.

    Args:
        name: name of the package, or of a module in it.
        who: plural noun for the message, what needs it, such as ``CLIP metrics``.
        install: requirement to install with pip.
        instead: alternative for the message, such as ``take kind: local``; may be empty.

    Raises:
        UserError: the package is not installed, or cannot be imported.
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
    """Context for reading a network's folder, which turns all errors of libraries into one-line user errors.

    Args:
        folder: folder that is read.
        what: expected content of the folder, for the message.

    Raises:
        UserError: any error occurred within.
    """
    try:
        yield
    except Exception as error:  # these libraries raise their own kinds of errors
        raise UserError(f"{folder}: not a readable {what} ({' '.join(str(error).split())[:120]})") from error
