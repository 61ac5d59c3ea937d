"""Where the time of an evaluation goes."""

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
    """Seconds by part; while one part is within another, the inner one is charged.

    Args:
        clock: seconds from any point on; default: of the wall with a GPU, else of the processor, which other
            programs do not disturb.

    Attributes:
        seconds: by part.
        unit: what they are, in words.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or _default_clock()
        self.unit = "seconds of the processor" if self._clock is time.process_time else "seconds"
        self.seconds: dict[str, float] = defaultdict(float)
        self._open, self._since = [OTHER], self._clock()

    @contextmanager
    def measured(self) -> Iterator["Timing"]:
        """Charge everything within to its part."""
        token = _CURRENT.set(self)
        self._since = self._clock()
        try:
            yield self
        finally:
            self._charge()
            _CURRENT.reset(token)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Charge what is within to ``name``."""
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
        """Seconds of what cannot be saved: drawing, and each network's pass."""
        return sum(seconds for name, seconds in self.seconds.items() if name.startswith((DRAWING, NETWORK)))

    @property
    def ratio(self) -> float:
        """All seconds over those that cannot be saved; infinite where nothing had to be done."""
        total = sum(self.seconds.values())
        return total / self.needed if self.needed else float("inf")

    def table(self, title: str) -> Table:
        """For the terminal."""
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
    """Charge what is within to ``name``, where somebody measures."""
    timing = _CURRENT.get()
    if timing is None:
        yield
        return
    with timing.part(name):
        yield


def charged(name: str, items: Iterable[T]) -> Iterator[T]:
    """The items, the making of each charged to ``name``."""
    iterator = iter(items)
    while True:
        with part(name):
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item
