"""Names that a store's file and those who look at it from outside agree on; nothing heavy is imported."""

from pathlib import Path

SCHEMA_VERSION = 2
SPLITS = ("train", "test")


def partial_path(path: Path) -> Path:
    """Where an unfinished store keeps what is done."""
    return path.with_name(path.name + ".partial")
