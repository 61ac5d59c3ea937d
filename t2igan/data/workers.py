"""Signal handling of data loading processes."""

import os
import signal
import threading

GRACE_SECONDS = 5.0


def leave_signals_to_the_parent(worker: int) -> None:
    """Initialise a loader's worker: ignore stop signals, which the trainer handles for all processes.

    A worker that a signal kills may hold a lock of a shared queue, for which the trainer would
    then wait forever. SIGTERM, which the trainer sends to a hanging worker, ends it after a few seconds.

    Args:
        worker: index of the worker.
    """
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_soon)


def _end_soon(*_: object) -> None:
    timer = threading.Timer(GRACE_SECONDS, os._exit, (0,))
    timer.daemon = True
    timer.start()
