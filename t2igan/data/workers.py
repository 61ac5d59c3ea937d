"""What processes that load data do about signals."""

import os
import signal
import threading

GRACE_SECONDS = 5.0


def leave_signals_to_the_parent(worker: int) -> None:
    """Begin a loading process: Ctrl-C and the warnings of batch systems reach every process, and are the trainer's.

    A worker that a signal ends at once may hold a lock of the queues between the two, for which the trainer would
    then wait for ever. SIGTERM, by which the trainer itself ends a worker that hangs, ends it some seconds later.

    Args:
        worker: its number.
    """
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_soon)


def _end_soon(*_: object) -> None:
    timer = threading.Timer(GRACE_SECONDS, os._exit, (0,))
    timer.daemon = True
    timer.start()
