"""Progress of a step, read from the end of its log."""

import re
from dataclasses import dataclass
from pathlib import Path

TAIL_BYTES = 4000
DONE_OF = re.compile(r"\b(\d+(?:,\d+)*)/(\d+(?:,\d+)*)")
MINUTES = re.compile(r"([\d.]+) min left")


@dataclass(frozen=True)
class LogEnd:
    """Progress read from the end of a log.

    Attributes:
        last: its last line.
        step: step and total such as ``120/1080``; empty if no line tells.
        minutes: estimated minutes left; None if no line tells.
    """

    last: str = ""
    step: str = ""
    minutes: float | None = None


def read_end(log: Path) -> LogEnd:
    """Read the end of a log; progress bars overwrite their line with carriage returns."""
    if not log.is_file():
        return LogEnd()
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        text = file.read().decode(errors="replace")
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
    if not lines:
        return LogEnd()
    for line in reversed(lines):
        done, left = DONE_OF.search(line), MINUTES.search(line)
        if done and left:
            return LogEnd(lines[-1], f"{done[1]}/{done[2]}", float(left[1]))
    return LogEnd(lines[-1])
