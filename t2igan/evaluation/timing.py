"""Time spent in the parts of an evaluation."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch
from rich.table import Table

DRAWING, NETWORK, OTHER = "drawing", "network", "other"

T = TypeVar("T")


class Timing:
    """Seconds by part; in nested parts the time counts for the inner one only.

    Args:
        clock: returns a time in seconds; default: wall time with a GPU, otherwise CPU time, which other programs do
            not disturb.

    Attributes:
        seconds: by part.
        unit: description of the unit.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or _default_clock()
        self.unit = "seconds of the processor" if self._clock is time.process_time else "seconds"
        self.seconds: dict[str, float] = defaultdict(float)
        self._open, self._since = [OTHER], self._clock()

    @contextmanager
    def measured(self) -> Iterator["Timing"]:
        """Activate this timing for all parts within."""
        token = _CURRENT.set(self)
        self._since = self._clock()
        try:
            yield self
        finally:
            self._charge()
            _CURRENT.reset(token)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time within for ``name``."""
        self._charge()
        self._open.append(name)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def _charge(self) -> None:
        now = self._clock()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @property
    def needed(self) -> float:
        """Unavoidable seconds: generating images, and each network's pass."""
        return sum(seconds for name, seconds in self.seconds.items() if name.startswith((DRAWING, NETWORK)))

    @property
    def ratio(self) -> float:
        """All seconds divided by the unavoidable ones; infinite if there were none."""
        total = sum(self.seconds.values())
        return total / self.needed if self.needed else float("inf")

    def table(self, title: str) -> Table:
        """The timing as a table for the terminal."""
        table = Table("part", "seconds", "share", title=title)
        total = sum(self.seconds.values()) or 1.0
        for name, seconds in sorted(self.seconds.items(), key=lambda item: -item[1]):
            table.add_row(name, f"{seconds:.2f}", f"{seconds / total:.1%}")
        table.add_row("all / (drawing and networks)", f"{self.ratio:.3f}", "")
        return table


_CURRENT: ContextVar[Timing | None] = ContextVar("timing", default=None)


def _default_clock() -> Callable[[], float]:
    if not torch.cuda.is_available():
        return time.process_time

    def clock() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return clock


@contextmanager
def part(name: str) -> Iterator[None]:
    """Count the time within for ``name``, if a :class:`Timing` is active."""
    timing = _CURRENT.get()
    if timing is None:
        yield
        return
    with timing.part(name):
        yield


def charged(name: str, items: Iterable[T]) -> Iterator[T]:
    """Iterate over items and count the time of producing them for ``name``."""
    iterator = iter(items)
    while True:
        with part(name):
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item
