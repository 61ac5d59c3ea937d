"""SIGTERM outside of a training: unwind the verb as Ctrl-C does, even if the exception is swallowed."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from t2igan.errors import Stopped

_AGAIN = 0.1
"""Seconds after which it is seen whether the exception still unwinds."""


@contextmanager
def sigterm_unwinds() -> Iterator[None]:
    """Make SIGTERM raise :class:`Stopped` within, so that the code can clean up or leave a resumable state.

    The exception is raised wherever the process happens to be. In a destructor, or in the import of a package that
    catches everything, it is lost: about one time in a hundred while torch is imported. So it is raised again until
    the stack unwinds; the unwinding itself is not interrupted, nor by another SIGTERM. During a training
    :class:`~t2igan.callbacks.stopping.StopSignals` handles both signals.

    Raises:
        Stopped: SIGTERM came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread receives signals and may install handlers
        return
    numbers = (signal.SIGTERM, signal.SIGALRM)
    before = {number: signal.signal(number, _stop) for number in numbers}
    hook = sys.unraisablehook
    sys.unraisablehook = lambda lost: None if isinstance(lost.exc_value, Stopped) else hook(lost)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in numbers:
            signal.signal(number, before[number])


def _stop(number: int, frame: FrameType | None) -> None:
    signal.setitimer(signal.ITIMER_REAL, _AGAIN)
    if not _unwinds():
        raise Stopped(signal.SIGTERM)


def _unwinds() -> bool:
    """Whether the main thread is currently handling the Stopped exception."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, Stopped):
        error = error.__context__
    return error is not None
