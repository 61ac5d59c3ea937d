"""Checksums of a store: one per record, verified at each read, and one of everything else, verified at open."""

from pathlib import Path

import h5py
import numpy as np
from xxhash import xxh3_64_intdigest, xxh3_128

PIXELS, LAYOUTS, NARRATIVES = "pixels", "layouts", "narratives"
RECORDS = (PIXELS, LAYOUTS, NARRATIVES)
"""Data sets of records that are read one by one, each with a checksum of its own."""
DESCRIPTION = "description_xxh3"
"""The attribute that holds the checksum of everything but the records."""

Content = dict[str, np.ndarray]
"""The data sets of a store by path, records left out."""


record_checksum = xxh3_64_intdigest
"""XXH3 (64 bits) of a record's stored bytes, found at the speed of memory: every read can be checked.

The library's own function: one around it would take longer than the sum of a small image.
"""


def read_content(file: h5py.File) -> Content:
    """Read everything in a store except for its attributes and records.

    Raises:
        ValueError: a data set claims to be larger than the file, or lies in another file.
    """
    content: Content = {}
    size = Path(file.filename).stat().st_size

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and name.rpartition("/")[2] not in RECORDS:
            # In a compressed or sparse data set a few bytes could stand for more than the memory.
            if item.nbytes > size or item.external or item.is_virtual:
                raise ValueError(f"{name} lies outside of it")
            content[name] = item[()]

    file.visititems(add)
    return content


def description_checksum(file: h5py.File, content: Content) -> str:
    """XXH3 checksum (128 bits, hex) of everything in a store except for its records.

    Args:
        file: the open HDF5 file.
        content: result of :func:`read_content`.
    """
    digest = xxh3_128()
    for name in sorted(set(file.attrs) - {DESCRIPTION}):
        digest.update(f"{name}={file.attrs[name]}\n".encode())
    for name in sorted(content):
        values = content[name]
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode())
        if values.dtype.hasobject:  # strings of different lengths
            digest.update(b"".join(len(text).to_bytes(4, "little") + text for text in values.tolist()))
        else:
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()
