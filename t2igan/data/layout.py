"""Names in a store's HDF5 file and of the files beside it. Imports nothing heavy."""

from pathlib import Path

SCHEMA_VERSION = 4
"""2: without checksums; 3: with them; 4: layouts and narratives, where a data set has them."""
READABLE_VERSIONS = (2, 3, SCHEMA_VERSION)
FINGERPRINT_VERSION = 2
"""Part of every fingerprint; versions 3 and 4 changed nothing of what a store of captions says, so these stayed."""
SPLITS = ("train", "test")
CARD_FOLDER = ".card"
"""Extension of the folder beside a store that holds its card."""


def partial_path(path: Path) -> Path:
    """Path of the journal of an unfinished store."""
    return path.with_name(path.name + ".partial")
