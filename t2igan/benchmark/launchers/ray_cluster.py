"""Launcher that runs steps as tasks of a Ray cluster."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from t2igan.benchmark.launchers.base import INTERRUPTED, Command, Handle, Launcher
from t2igan.benchmark.steps import Step
from t2igan.cpus import GIVEN_THREADS, SLEEP_WHILE_WAITING, THREADS, available_cpus
from t2igan.errors import UserError
from t2igan.optional import library

MANY = 10_000
CONNECT_SECONDS = 10.0


class RayLauncher(Launcher):
    """Submits all steps that can start to Ray, which queues them for free cores and GPUs.

    The nodes must see this folder under the same path and have t2igan installed.

    Args:
        folder: folder of the plan.
        address: address of a cluster, ``auto`` for the one on this machine; None starts one of this machine's own.
        cpus: cores a step.
        gpus: GPUs of a step that trains or scores.

    Raises:
        UserError: Ray is not installed, or there is no cluster at the address.
    """

    slots = MANY

    def __init__(self, folder: Path, address: str | None = None, cpus: float = 1, gpus: float = 0) -> None:
        # Silences a warning about environment variables that Ray will stop setting; each step sets its own.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        # Ray runs tasks at nice 15, where a training gets hardly any CPU time beside other work. This only affects
        # a cluster that is started here, not one that runs already.
        os.environ.setdefault("RAY_worker_niceness", "0")
        ray = library("ray", "launchers of kind ray", "t2igan[ray]", "take kind: local")
        self.ray, self.cpus, self.gpus = ray, cpus, gpus
        try:
            _expect_someone(address)
            own = available_cpus() if address is None else None
            with _sigterm_waits():
                ray.init(
                    address=address,
                    num_cpus=own,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.WARNING,
                )
        except OSError as error:
            remedy = "start one with `ray start --head`, or remove the address"
            raise UserError(f"launcher: no Ray cluster at {address!r}; {remedy}") from error
        have = ray.cluster_resources()
        wanting = [f"{want:g} {name}s" for name, want in (("CPU", cpus), ("GPU", gpus)) if want > have.get(name, 0)]
        if wanting:
            self.close()
            raise UserError(
                f"launcher: a step asks for {' and '.join(wanting)}, which is more than the Ray cluster has"
            )
        self._run = ray.remote(max_retries=0)(_run)

    def start(self, step: Step, log: Path) -> "RayHandle":
        """Submit a step as a Ray task."""
        # The step may run on another node, so the number of cores is the one requested from Ray.
        threads = {THREADS: GIVEN_THREADS or str(max(1, int(self.cpus)))}
        variables = threads | SLEEP_WHILE_WAITING | step.environment
        command = Command(step.command, log.absolute(), Path.cwd(), variables)
        gpus = self.gpus if step.needs_device else 0
        return RayHandle(self.ray, self._run.options(num_cpus=self.cpus, num_gpus=gpus).remote(command))

    def close(self) -> str:
        """Disconnect from the cluster."""
        self.ray.shutdown()
        return ""


@contextmanager
def _sigterm_waits() -> Iterator[None]:
    """Block SIGTERM during calls of Ray and restore the previous handler afterwards.

    ``ray.init`` installs its own handler, which ends this process before its trainings have
    saved; and an exception that a handler raises within a call of Ray is lost in its C code, or aborts the process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread receives signals and may install handlers
        return
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
    if came:
        signal.raise_signal(came[0])


def _expect_someone(address: str | None) -> None:
    """Check that the cluster answers, because Ray itself waits for minutes and then ends the process.

    Raises:
        OSError: nothing listens at the host and port.
    """
    host, _, port = (address or "").rpartition(":")
    if host and port.isdigit() and "//" not in host:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


def _run(command: Command) -> int:
    # Ray's workers block this signal, and their children inherit that: a training could not be asked to save.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    return command()


class RayHandle(Handle):
    """A step that runs as a Ray task.

    Args:
        ray: the imported ``ray`` package.
        task: Ray's object reference to the exit code of the task.
    """

    def __init__(self, ray: Any, task: Any) -> None:
        self.ray, self.task = ray, task

    def poll(self) -> int | None:
        """The exit code of the task, None while it runs; 1 if its node was lost."""
        with _sigterm_waits():
            done, _ = self.ray.wait([self.task], timeout=0)
            return self._result() if done else None

    def stop(self) -> None:
        """Cancel the task, which raises KeyboardInterrupt in it."""
        with _sigterm_waits():
            self.ray.cancel(self.task, force=False)
            self._result()

    def _result(self) -> int:
        try:
            return self.ray.get(self.task)
        except self.ray.exceptions.TaskCancelledError:
            return INTERRUPTED
        except self.ray.exceptions.RayError:
            return 1
