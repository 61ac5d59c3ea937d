"""Base class of the launchers, and the command that each of them runs."""

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from t2igan.benchmark.orphans import PARENT
from t2igan.benchmark.steps import Step

INTERRUPTED = 130
POLL_SECONDS = 0.2


class Handle(ABC):
    """A step that was submitted and has not been collected yet.

    Attributes:
        token: identifies the step to a later call of the plan; None if the step ends with this process.
    """

    token: str | None = None

    @abstractmethod
    def poll(self) -> int | None:
        """The exit code of the step, or None while it is queued or running."""

    def ask(self) -> None:
        """Request the step to stop without waiting for it, where possible; :meth:`stop` is called afterwards."""
        return

    @abstractmethod
    def stop(self) -> None:
        """Interrupt the step and wait until it has saved a state from which it can be resumed."""


class Launcher(ABC):
    """Base class of launchers, which submit the steps of a plan.

    Attributes:
        slots: number of steps that may be submitted at the same time.
    """

    slots: int

    @abstractmethod
    def start(self, step: Step, log: Path) -> Handle:
        """Submit a step whose output is written to ``log``."""

    def attach(self, token: str) -> Handle | None:
        """Find a step that an earlier call submitted; None if the launcher cannot."""
        return None

    def close(self) -> str:
        """Release the launcher's resources and return a message about steps that keep running, empty if none do."""
        return ""


@dataclass(frozen=True)
class Command:
    """A t2igan command line, picklable, that can run on any node which shares the file system.

    Attributes:
        words: the arguments that follow ``t2igan``.
        log: absolute path of the log file.
        folder: working directory of the command.
        environment: environment variables to set in addition to those of the machine it runs on.
        hidden: prefixes of environment variables to remove.
    """

    words: Sequence[str]
    log: Path
    folder: Path
    environment: Mapping[str, str]
    hidden: tuple[str, ...] = ()

    def start(self) -> subprocess.Popen:
        """Start the command as a child process that ends with this one."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(self.hidden or ("\0",))}
        variables = {"COLUMNS": "120"} | inherited | dict(self.environment) | {PARENT: str(os.getpid())}
        # Append, because a job that is queued again continues its own log.
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "t2igan", *self.words],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=variables,
                start_new_session=True,  # so that Ctrl-C reaches it only once, through stop()
            )

    def __call__(self) -> int:
        """Run the command to its end and return its exit code; an interrupt is forwarded to it."""
        return wait_for(self.start())


def wait_for(process: subprocess.Popen) -> int:
    """Wait for a command and return its exit code; an interrupt is forwarded to the command."""
    try:
        # Ray's interrupt does not end a blocking wait, only the pause between two polls.
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
        return process.returncode
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        return INTERRUPTED
