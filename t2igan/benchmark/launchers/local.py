"""Launcher that runs steps as processes of this machine, each with one GPU if there are any."""

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from t2igan.benchmark.launchers.base import Command, Handle, Launcher
from t2igan.benchmark.steps import Step
from t2igan.cpus import available_cores, child_variables
from t2igan.errors import UserError


class LocalLauncher(Launcher):
    """Runs several steps at a time, each with an equal share of the cores.

    Args:
        folder: folder of the plan.
        jobs: the most steps at a time, on a machine without GPUs at most one a core; None: one a GPU, or one.
        gpus: numbers of the GPUs to use; None: all that are visible. A step has one; with none, all see the same.
    """

    def __init__(self, folder: Path, jobs: int | None = None, gpus: Sequence[int | str] | None = None) -> None:
        self.gpus = [str(gpu) for gpu in (visible_gpus() if gpus is None else gpus)]
        if jobs is not None and jobs < 1:
            raise UserError(f"launcher: jobs is {jobs}, but must be at least 1")
        self.slots = (len(self.gpus) or 1) if jobs is None else jobs if self.gpus else min(jobs, available_cores())
        self._busy: list[LocalHandle] = []

    def start(self, step: Step, log: Path) -> "LocalHandle":
        """Start a step as a process, on the GPU with the fewest steps."""
        self._busy = [handle for handle in self._busy if handle.poll() is None]
        variables = child_variables(self.slots) | step.environment
        gpu = self._least_used() if step.needs_device and self.gpus else None
        if gpu is not None:
            variables["CUDA_VISIBLE_DEVICES"] = gpu
        handle = LocalHandle(Command(step.command, log, Path.cwd(), variables).start(), gpu)
        self._busy.append(handle)
        return handle

    def _least_used(self) -> str:
        used = [handle.gpu for handle in self._busy]
        return min(self.gpus, key=used.count)


class LocalHandle(Handle):
    """A step that runs as a child process.

    Args:
        process: the child process, already started.
        gpu: number of the GPU that the process sees, None without GPUs.
    """

    def __init__(self, process: subprocess.Popen, gpu: str | None) -> None:
        self.process, self.gpu = process, gpu
        self._asked = False

    def poll(self) -> int | None:
        """The exit code of the process, or None while it runs."""
        return self.process.poll()

    def ask(self) -> None:
        """Send SIGINT, at most once: a second one would make the training end without a checkpoint.

        A plan in the background of a script (``nohup ... &``) ignores SIGINT, and so do its children: SIGTERM then.
        """
        if not self._asked:
            self._asked = True
            deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            self.process.send_signal(signal.SIGTERM if deaf else signal.SIGINT)

    def stop(self) -> None:
        """Ask the process to end, and wait until it has."""
        self.ask()
        self.process.wait()


def visible_gpus() -> list[str]:
    """Names of the GPUs for ``CUDA_VISIBLE_DEVICES``, found without loading a framework."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip()]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(number) for number in range(sum(line.startswith("GPU ") for line in listed.stdout.splitlines()))]
