"""Names that a store's file and those who look at it from outside agree on; nothing heavy is imported."""

from pathlib import Path

SCHEMA_VERSION = 3
READABLE_VERSIONS = (2, SCHEMA_VERSION)
FINGERPRINT_VERSION = 2
"""Part of every fingerprint; version 3 changed nothing of what a store says, so the fingerprints stayed."""
SPLITS = ("train", "test")


def partial_path(path: Path) -> Path:
    """Where an unfinished store keeps what is done."""
    return path.with_name(path.name + ".partial")
