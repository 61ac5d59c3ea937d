"""Image files that may be damaged. Imports the standard library only, so that worker processes start quickly."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UndecodableImageError(ValueError):
    """An image file that does not decode."""


@contextmanager
def decoding(path: Path, kind: type[Exception] = UndecodableImageError) -> Iterator[None]:
    """Decodes an image file; whatever PIL raises becomes one line of one kind.

    Args:
        path: path of the file.
        kind: kind of what is raised.

    Raises:
        Exception: of that kind; the file does not decode.
    """
    try:
        yield
    except Exception as error:  # OSError, SyntaxError, ValueError, DecompressionBombError, ...
        raise kind(f"{path}: does not decode ({error})") from error
