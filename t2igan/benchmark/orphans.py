"""Processes that must not outlive the one that started them."""

import os
import signal
import threading
import time

# Set for a process that must not be left behind: the process id of the one that starts it.
PARENT = "T2IGAN_PARENT"
SAVING_SECONDS = 120.0


def end_with_parent() -> None:
    """Where a parent is named, end this process soon after it: a restart must not meet its own orphans.

    The name is not handed on: a process that this one starts has another parent.
    """
    parent = os.environ.pop(PARENT, None)
    if parent is not None:
        threading.Thread(target=end_with, args=(int(parent),), daemon=True).start()


def let_children_end_with_this() -> None:
    """Name this process as the parent of the commands of the suite that it starts itself."""
    os.environ[PARENT] = str(os.getpid())


def end_with(parent: int) -> None:
    """End this process once ``parent`` is no longer its parent: by SIGTERM, after which a training saves."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SAVING_SECONDS)
    os._exit(1)
