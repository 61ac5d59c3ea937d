"""Decoding of possibly damaged image files. Imports only the standard library, so that workers start quickly."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UndecodableImageError(ValueError):
    """An image file cannot be decoded."""


@contextmanager
def decoding(path: Path, kind: type[Exception] = UndecodableImageError) -> Iterator[None]:
    """Context that turns all of PIL's errors into one exception with a one-line message.

    Args:
        path: path of the file.
        kind: class of the exception to raise.

    Raises:
        Exception: an instance of ``kind``, if the file cannot be decoded.
    """
    try:
        yield
    except Exception as error:  # OSError, SyntaxError, ValueError, DecompressionBombError, ...
        raise kind(f"{path}: does not decode ({error})") from error
