"""Arrays in files of strangers (``.npz``): nothing in them is executed, and a small one cannot fill the memory."""

import io
import lzma
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

MOST_BYTES = 2**28
"""Of arrays that are read at once; statistics of 2,048 features take an eighth of it."""
# What zipfile, its decompressors and NumPy raise for damaged or hostile parts, beside ValueError.
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError),
    *(KeyError, EOFError, RuntimeError, MemoryError),
)


def read_arrays(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """Arrays of an archive, compared with its checksums.

    Args:
        path: path of the file.
        names: names of the arrays.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such archive, is damaged, lacks one of the arrays, or holds more than ``MOST_BYTES``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = [archive.getinfo(f"{name}.npy") for name in names]
            if sum(part.file_size for part in parts) > MOST_BYTES:
                raise ValueError(f"unpacked it takes more than {MOST_BYTES:,} bytes")
            # Read as a whole: the checksum is checked only at the end of a part, not where its array ends.
            return [_array(archive.read(part)) for part in parts]
    except DAMAGE as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _array(content: bytes) -> np.ndarray:
    stream = io.BytesIO(content)
    array = np.lib.format.read_array(stream, allow_pickle=False)
    if stream.read(1):
        raise ValueError("an array is larger than its header says")
    return array
