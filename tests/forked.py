"""``t2igan`` in a process of its own that need not import Lightning first: it is forked off a server that has.

Importing takes longer than the trainings that are stopped here. What is about the start itself, or about the
command as it is typed, starts a process anew.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import TimeoutExpired

from t2igan.cli.main import main

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["t2igan.cli.fit", "t2igan.models", "t2igan.data"])


STREAMS = ("stdout", "stderr")


def _command(
    words: list[str],
    printed: str,
    environment: Mapping[str, str],
    folder: Path,
    before: Callable[[], object] | None,
) -> None:
    """What the process does: a session of its own, its output to files, then the command."""
    multiprocessing.set_start_method(None, force=True)  # how a process is started that no server has forked
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for name in STREAMS:
        os.dup2(os.open(Path(printed) / name, os.O_WRONLY | os.O_CREAT), getattr(sys, name).fileno())
    sys.argv = ["t2igan", *words]
    if before is not None:
        before()
    main(words)


class Forked:
    """A command that runs, with what the probes use of :class:`subprocess.Popen`.

    Args:
        words: of the command line.
        environment: of the process.
        folder: that the process runs in; default: this process's.
        before: function of a module that the process calls first, to do harm.
    """

    def __init__(
        self,
        words: list[str],
        environment: Mapping[str, str],
        folder: Path | None = None,
        before: Callable[[], object] | None = None,
    ) -> None:
        self.args = words
        self._printed = tempfile.TemporaryDirectory()
        arguments = (words, self._printed.name, dict(environment), folder or Path.cwd(), before)
        self._process = _server.Process(target=_command, args=arguments)
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """As :class:`subprocess.Popen` has it: None while it runs, negative for the signal that killed it."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The exit code of a process that has ended."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the process alone."""
        os.kill(self.pid, number)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end.

        Returns:
            What it has printed, and what it has printed to the standard error.

        Raises:
            TimeoutExpired: it runs longer than ``timeout`` seconds.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutExpired(self.args, timeout or 0.0)
        out, err = ((Path(self._printed.name) / name).read_text() for name in STREAMS)
        return out, err
