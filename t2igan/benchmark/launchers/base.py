"""What a launcher is, and the command that every launcher runs in the end."""

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
    """A step on its way.

    Attributes:
        token: under which a later call of the plan finds it again, None if it ends with this call.
    """

    token: str | None = None

    @abstractmethod
    def poll(self) -> int | None:
        """Its exit code, None while it is on its way."""

    def ask(self) -> None:
        """Ask it to stop without waiting, where that can be; :meth:`stop` follows."""
        return

    @abstractmethod
    def stop(self) -> None:
        """Interrupt it, and wait until it has left a state that can be resumed."""


class Launcher(ABC):
    """Hands steps out.

    Attributes:
        slots: how many steps may be on their way at a time.
    """

    slots: int

    @abstractmethod
    def start(self, step: Step, log: Path) -> Handle:
        """Hand a step out; what it prints goes to ``log``."""

    def attach(self, token: str) -> Handle | None:
        """A step that an earlier call handed out, None where that cannot be."""
        return None

    def close(self) -> str:
        """Give back what is held; returns what a user should know of steps that go on by themselves."""
        return ""


@dataclass(frozen=True)
class Command:
    """A t2igan command line that runs anywhere the same files are seen.

    Attributes:
        words: after ``t2igan``.
        log: absolute path.
        folder: where it runs.
        environment: variables beside those of the machine it runs on.
        hidden: beginnings of names of variables that it must not see.
    """

    words: Sequence[str]
    log: Path
    folder: Path
    environment: Mapping[str, str]
    hidden: tuple[str, ...] = ()

    def start(self) -> subprocess.Popen:
        """Start it as a child that ends with this process."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(self.hidden or ("\0",))}
        variables = {"COLUMNS": "120"} | inherited | dict(self.environment) | {PARENT: str(os.getpid())}
        # Appended to: a job that is queued again writes into the log that it began.
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "t2igan", *self.words],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=variables,
                start_new_session=True,  # Ctrl-C reaches it once: through stop()
            )

    def __call__(self) -> int:
        """Run it to its end; an interrupt is handed on to it."""
        return wait_for(self.start())


def wait_for(process: subprocess.Popen) -> int:
    """Wait for a command's end and give its exit code; an interrupt is handed on to it."""
    try:
        # Ray's interrupt does not end a wait for a process, only a look at it.
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
        return process.returncode
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        return INTERRUPTED
