"""Processes that must not outlive the one that started them."""

import os
import threading
import time

# Set for a process that must not be left behind: the process id of the one that starts it.
PARENT = "T2IGAN_PARENT"


def end_with_parent() -> None:
    """Where a parent is named, end this process soon after it: a restart must not meet its own orphans."""
    if PARENT in os.environ:
        threading.Thread(target=end_with, args=(int(os.environ[PARENT]),), daemon=True).start()


def end_with(parent: int) -> None:
    """End this process, as a kill would, once ``parent`` is no longer its parent."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
