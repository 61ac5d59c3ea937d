"""Memory and CPU time of this process and its descendants, read from /proc."""

import os
from collections.abc import Iterator
from pathlib import Path

from t2igan.errors import UserError

_KILOBYTE = 1024 / 1e6


def resident_megabytes() -> float:
    """Memory in use by the process tree in megabytes.

    Memory that a process and its children share counts once; pages of files (libraries, mapped data) count in each
    process, so that the figure does not depend on who else has the same libraries in use.

    Raises:
        UserError: there is no /proc here.
    """
    kilobytes = 0
    for process in process_tree():
        own = _kilobytes(process / "smaps_rollup", "Pss_Anon", "Pss_Shmem")
        kilobytes += own + _kilobytes(process / "status", "RssFile")
    return _KILOBYTE * kilobytes


def summed_resident_megabytes() -> float:
    """The resident set sizes of the process tree, added up as ``ps`` shows them.

    What processes share, such as all that a forked worker has not yet written to, counts once in each of them.

    Raises:
        UserError: there is no /proc here.
    """
    return _KILOBYTE * sum(_kilobytes(process / "status", "VmRSS") for process in process_tree())


def cpu_seconds() -> float:
    """CPU time of the process tree so far, user and system.

    Raises:
        UserError: there is no /proc here.
    """
    ticks = sum(_ticks(process) for process in process_tree())
    return ticks / os.sysconf("SC_CLK_TCK")


def process_tree() -> list[Path]:
    """The folders in /proc of this process and its descendants.

    Raises:
        UserError: there is no /proc here.
    """
    own = Path("/proc") / str(os.getpid())
    if not own.is_dir():
        raise UserError("memory is read from /proc, which this system does not have; remove --workers")
    return list(_with_children(own))


def _with_children(process: Path) -> Iterator[Path]:
    yield process
    for thread in (process / "task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from _with_children(process.parent / child)


def _kilobytes(file: Path, *names: str) -> int:
    """Sum of lines like ``RssFile: 1876 kB``."""
    lines = (line.split(":") for line in file.read_text().splitlines() if ":" in line)
    return sum(int(value.split()[0]) for name, value, *_ in lines if name in names)


def _ticks(process: Path) -> int:
    # The program's name, in brackets, may contain spaces; user and system time are fields 14 and 15.
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
