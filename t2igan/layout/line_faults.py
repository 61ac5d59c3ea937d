"""Collect the faults of a file's lines: the first ten are listed, the others counted."""

from pathlib import Path

LISTED = 10
"""So many faults of a file are listed, and the others counted."""


class LineFaults:
    """Faults of the lines of one file, with a bounded memory.

    Args:
        path: path of the file, which each message names.
        unit: name of the numbered items, such as "line".

    Attributes:
        count: number of all faults.
        listed: line number and fault of the first ten.
    """

    def __init__(self, path: Path | str, unit: str = "line") -> None:
        self.path, self.unit = path, unit
        self.count = 0
        self.listed: list[tuple[int, str]] = []

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        listed = "; ".join(f"{self.unit} {number}: {what}" for number, what in self.listed)
        more = f"; and {self.count - LISTED:,} more" if self.count > LISTED else ""
        return f"{self.path}: {listed}{more}"

    def add(self, number: int, what: str) -> None:
        """Add a fault of a line."""
        self.count += 1
        if len(self.listed) < LISTED:
            self.listed.append((number, what))

    def lines(self) -> list[str]:
        """One message for each of the first ten faults, and one for the others; empty without faults."""
        told = [f"{self.path}, {self.unit} {number}: {what}" for number, what in self.listed]
        return [*told, f"{self.path}: {self.count - LISTED:,} more"] if self.count > LISTED else told
