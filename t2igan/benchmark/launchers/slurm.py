"""Launcher that submits steps as SLURM jobs, through submitit."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from t2igan.benchmark.launchers.base import Command, Handle, Launcher, wait_for
from t2igan.benchmark.steps import Step
from t2igan.cpus import GIVEN_THREADS, SLEEP_WHILE_WAITING, THREADS
from t2igan.errors import UserError
from t2igan.optional import library

MANY = 10_000
FOLDER = "slurm"
QUEUE_SECONDS = 15.0  # between two queries of the queue
GONE = "Invalid job id"  # squeue's message for a job that it no longer knows


class SlurmLauncher(Launcher):
    """Submits all steps that can start; the jobs outlive this command, and a later call finds them again.

    The nodes must see this folder and this Python environment under the same paths.

    Args:
        folder: folder of the plan.
        partition: partition of the cluster; None takes its default.
        minutes: time limit of a job in minutes; a job that reaches it is requeued and continues from its last
            checkpoint.
        cpus: cores a step.
        gpus: GPUs of a step that trains or scores.
        memory_gb: memory of a step; None takes the cluster's default.
        jobs: the most steps in the queue at a time.
        setup: shell lines run before a step, e.g. ``module load cuda``.
        options: further options of sbatch, e.g. ``{account: vision}``.

    Raises:
        UserError: submitit is not installed, or there is no sbatch.
    """

    def __init__(
        self,
        folder: Path,
        partition: str | None = None,
        minutes: int = 1440,
        cpus: int = 4,
        gpus: int = 1,
        memory_gb: float | None = None,
        jobs: int = MANY,
        setup: Sequence[str] = (),
        options: dict[str, Any] | None = None,
    ) -> None:
        submitit = library("submitit", "launchers of kind slurm", "t2igan[slurm]", "take kind: local")
        if submitit.SlurmExecutor.affinity() < 0:
            raise UserError("launcher: this machine has no sbatch; run the command on the cluster's login node")
        self.submitit, self.slots, self.gpus, self.cpus = submitit, jobs, gpus, cpus
        self.folder = folder.absolute() / FOLDER
        self._settings = {
            "time": minutes,
            "cpus_per_task": cpus,
            "mem": None if memory_gb is None else f"{memory_gb:g}GB",
            "partition": partition,
            "setup": list(setup) or None,
            "additional_parameters": dict(options or {}),
        }
        self._going: list[SlurmHandle] = []

    def start(self, step: Step, log: Path) -> "SlurmHandle":
        """Submit a step as a SLURM job.

        Raises:
            UserError: sbatch refused it, or reached no controller.
        """
        executor = self.submitit.SlurmExecutor(folder=self.folder, max_num_timeout=MANY)
        gpus = {"gpus_per_node": self.gpus} if self.gpus and step.needs_device else {}
        settings = {key: value for key, value in self._settings.items() if value is not None}
        executor.update_parameters(job_name=step.name.replace(" ", "-"), **settings, **gpus)
        threads = {THREADS: GIVEN_THREADS or str(self.cpus)}
        # If SLURM does not bind tasks to CPUs, data workers know their CPUs from this variable alone.
        variables = threads | SLEEP_WHILE_WAITING | {"SLURM_CPUS_PER_TASK": str(self.cpus)} | step.environment
        # With these variables Lightning would assume that SLURM started its processes, and start none itself.
        command = Command(step.command, log.absolute(), Path.cwd(), variables, hidden=("SLURM_",))
        try:
            return self._keep(executor.submit(_Job(command)))
        except self.submitit.core.utils.FailedJobError as error:
            raise UserError(f"launcher: SLURM refused the job: {' '.join(str(error).split())}") from error

    def attach(self, token: str) -> "SlurmHandle":
        """The job that an earlier call submitted under this token."""
        return self._keep(self.submitit.SlurmJob(folder=self.folder, job_id=token))

    def _keep(self, job: Any) -> "SlurmHandle":
        handle = SlurmHandle(job)
        self._going.append(handle)
        return handle

    def close(self) -> str:
        """Leave the jobs in the queue and return a message that says how to end them, empty if there are none."""
        left = [handle.number for handle in self._going if handle.poll() is None]
        if not left:
            return ""
        ending = f"`scancel {' '.join(left)}` ends them"
        return f"{len(left)} jobs continue in SLURM: the same command waits for them again, {ending}"


class _Job:
    """A command that is requeued when it reaches its time limit."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.process: subprocess.Popen | None = None

    def __call__(self) -> int:
        self.process = self.command.start()
        return wait_for(self.process)

    def checkpoint(self) -> Any:
        """Requeue the same command, which continues where it stopped (called by submitit before the limit)."""
        from submitit.helpers import DelayedSubmission

        if self.process is not None and self.process.poll() is None:
            self.process.terminate()  # a training then saves a checkpoint
            self.process.wait()
        return DelayedSubmission(_Job(self.command))


class SlurmHandle(Handle):
    """A step that runs as a SLURM job.

    A cancelled job leaves no result: it counts as failed once the queue does not list it (twice, because files
    may arrive later than the queue's answer). A job that failed may be requeued by the cluster (``scontrol
    requeue``, preemption, a node that goes down), so it too counts as failed only once the queue does not list it;
    otherwise a second job would be submitted beside it. The queue itself is asked because not every cluster keeps
    the accounting database that submitit reads.

    Args:
        job: the job as submitit represents it.
    """

    def __init__(self, job: Any) -> None:
        self.job, self.number = job, str(job.job_id)
        self.token = self.number
        self._asked, self._absent = time.monotonic(), 0

    def poll(self) -> int | None:
        """The exit code of the job, None while it is queued or runs; 1 if it ended without one, e.g. cancelled."""
        code = self._result()
        if code == 0:
            return 0
        if time.monotonic() - self._asked > QUEUE_SECONDS:
            self._asked = time.monotonic()
            self._absent = self._absent + 1 if self._is_gone() else 0
        needed = 1 if code is None else 0
        return (code or 1) if self._absent > needed else None

    def _result(self) -> int | None:
        """The job's result file; a requeued job replaces it."""
        if not self.job.paths.result_pickle.exists():
            return None
        failure = self.job.exception()
        return self.job.result() if failure is None else 1

    def _is_gone(self) -> bool:
        asked = subprocess.run(
            ["squeue", "--noheader", "--jobs", self.number, "--format", "%T"], capture_output=True, text=True
        )
        return GONE in asked.stderr if asked.returncode else not asked.stdout.strip()

    def stop(self) -> None:
        """Do nothing: the job continues without this command."""
