"""What was timed: as cells of a table, and as JSON lines."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def median_and_spread(seconds: Sequence[float]) -> tuple[str, str]:
    """Two cells of a table: the median of some seconds, and the shortest to the longest."""
    return f"{statistics.median(seconds):.3f}", f"{min(seconds):.3f} to {max(seconds):.3f}"


def append(out: Path | None, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add rows to a file of JSON lines; None for no file."""
    if out is not None:
        with out.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
