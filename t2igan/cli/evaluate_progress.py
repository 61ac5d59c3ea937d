"""Progress of an evaluation: bars in a terminal, periodic lines in a log file."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from t2igan.evaluation.processes import processes
from t2igan.evaluation.timing import Timing
from t2igan.files import make_folder
from t2igan.profiling.showing import bars_of, draw_bars, write_json

FIRST_LINE_SECONDS = 2.0
LINE_SECONDS = 10.0

Told = Callable[[str, int, int], None]


class Bars:
    """Progress of one subject, a bar for each stage.

    Args:
        progress: rich's display of all bars.
        name: name of the subject.
    """

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress, self._name = progress, name
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Update the bar of the stage."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(f"{self._name}: {stage}", total=total)
        self._progress.update(self._tasks[stage], completed=done)


class Lines:
    """Progress of one subject in lines such as ``ssagan: images 640/3000, 1.2 min left``.

    Args:
        say: called with each line to print.
        name: name of the subject.
        clock: returns the time in seconds, from an arbitrary origin.
    """

    def __init__(self, say: Callable[[str], None], name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._name, self._clock = say, name, clock
        self._stage, self._last = "", clock()
        self._begin, self._due = self._last, self._last + FIRST_LINE_SECONDS

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Print a line if one is due."""
        now = self._clock()
        if stage != self._stage:
            # A stage is first reported after its first batch, so it began at the last report of the previous one.
            self._stage, self._begin = stage, self._last
        self._last = now
        if now < self._due:
            return
        self._due = now + LINE_SECONDS
        left = (now - self._begin) / done * (total - done) / 60
        self._say(f"{self._name}: {stage} {done}/{total}, {left:.1f} min left")


@contextmanager
def told_of(console: Console) -> Iterator[Callable[[str], Told]]:
    """A function that makes the progress display of a subject from its name.

    Args:
        console: a terminal, which shows bars, or a file, which gets lines.
    """
    if not console.is_terminal:
        yield lambda name: Lines(
            lambda line: console.print(line, soft_wrap=True, markup=False, highlight=False), name
        )
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress:
        yield lambda name: Bars(progress, name)


@dataclass(frozen=True)
class Clocked:
    """Whether evaluations are timed, and where the timing is reported.

    Attributes:
        printed: print the timing in the terminal.
        folder: ``<subject>.json`` and ``<subject>.png``, a bar a part, go there; None: nowhere.
    """

    printed: bool = False
    folder: Path | None = None

    @contextmanager
    def subject(self, name: str, console: Console) -> Iterator[None]:
        """Time the evaluation of one subject within this context, and report it.

        Args:
            name: name of the subject.
            console: console that the timing is printed to.
        """
        if not self.printed and self.folder is None:
            yield
            return
        with Timing().measured() as spent:
            yield
        if self.printed:
            console.print(spent.table(f"where the time of {name} went"))
        if self.folder is None or processes()[0]:
            return
        make_folder(self.folder)
        total, stem = sum(spent.seconds.values()), re.sub(r"[^\w.]+", "-", name).strip("-")
        write_json({"subject": name, "seconds": total, "parts": spent.seconds}, self.folder / f"{stem}.json")
        title = f"an evaluation of {name}: {total:,.1f} seconds"
        draw_bars(bars_of(spent.seconds), title, spent.unit, self.folder / f"{stem}.png")
        console.print(f"wrote {self.folder}/{stem}.json and {stem}.png", soft_wrap=True, highlight=False)
