"""End child processes when their parent ends."""

import os
import signal
import threading
import time

# Environment variable with the id of the parent process, for children that must end with it.
PARENT = "T2IGAN_PARENT"
SAVING_SECONDS = 120.0


def end_with_parent() -> None:
    """If the environment names a parent, end this process soon after it, so that a restart meets no orphans.

    The variable is removed, because processes that this one starts have another parent.
    """
    parent = os.environ.pop(PARENT, None)
    if parent is not None:
        threading.Thread(target=end_with, args=(int(parent),), daemon=True).start()


def let_children_end_with_this() -> None:
    """Name this process in the environment as the parent of the t2igan commands that it starts."""
    os.environ[PARENT] = str(os.getpid())


def end_with(parent: int) -> None:
    """Send SIGTERM to this process once ``parent`` is no longer its parent; a training then saves a checkpoint."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SAVING_SECONDS)
    os._exit(1)
