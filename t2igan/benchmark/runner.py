"""Run the steps of a plan in the order of their dependencies; a failed step does not stop the others."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from t2igan.benchmark.launchers.base import Handle, Launcher
from t2igan.benchmark.ledger import Ledger, LedgerEntry
from t2igan.benchmark.steps import Step
from t2igan.files import make_folder

POLL_SECONDS = 0.5
WAITING, RUNNING, DONE, FAILED, LEFT = "waiting", "running", "done", "failed", "not run"
ENDED = (DONE, FAILED, LEFT)


@dataclass
class Job:
    """State of one step while a plan runs.

    Attributes:
        step: the step of the plan.
        log: file that receives the step's output.
        state: one of the words above.
        seconds: seconds since the step was submitted, or its total time once it ended.
        known: whether an earlier call of the plan already finished it.
        why: reason of a failure that its exit code does not show.
    """

    step: Step
    log: Path
    state: str = WAITING
    seconds: float = 0.0
    known: bool = False
    why: str | None = None
    handle: Handle | None = None
    started: float = 0.0


class Runner:
    """Runs the steps of one phase.

    Args:
        steps: steps in an order in which each follows those that it depends on.
        folder: folder of the plan; logs lie in it.
        launcher: where steps run.
        ledger: record of what earlier calls finished or submitted.
    """

    def __init__(self, steps: Sequence[Step], folder: Path, launcher: Launcher, ledger: Ledger) -> None:
        logs = folder / "logs"
        make_folder(logs)
        self.launcher, self.ledger = launcher, ledger
        self.jobs = [Job(step, logs / f"{_file_name(step.name)}.log") for step in steps]
        self._by_name = {job.step.name: job for job in self.jobs}
        for job in self.jobs:
            self._recall(job)

    def _recall(self, job: Job) -> None:
        """Adopt the result of an earlier call, unless a step that this one depends on runs again."""
        before = [self._by_name[name] for name in job.step.after]
        entry = self.ledger.find(job.step.name, job.step.fingerprint)
        if entry is None or not all(other.known for other in before):
            return
        if entry.seconds is not None and job.step.shortfall() is not None:
            return  # half trained but marked done by an earlier version, or what it wrote was deleted since
        if entry.seconds is not None:
            job.state, job.seconds, job.known = DONE, entry.seconds, True
        elif entry.token is not None and (handle := self.launcher.attach(entry.token)) is not None:
            job.state, job.handle, job.started = RUNNING, handle, time.monotonic()

    def run(self, watch: Callable[[Sequence[Job]], None]) -> list[Job]:
        """Run all steps that are not done.

        Args:
            watch: called with all jobs twice a second.
        """
        try:
            while any(job.state not in ENDED for job in self.jobs):
                self._advance()
                watch(self.jobs)
                time.sleep(POLL_SECONDS)
            watch(self.jobs)
        finally:
            running = [job.handle for job in self.jobs if job.state == RUNNING and job.handle]
            for handle in running:
                handle.ask()
            for handle in running:
                handle.stop()
        return self.jobs

    def _advance(self) -> None:
        for job in self.jobs:
            if job.state == RUNNING and job.handle:
                self._look_after(job, job.handle)
        for job in self.jobs:
            if job.state == WAITING:
                self._start_or_leave(job)

    def _look_after(self, job: Job, handle: Handle) -> None:
        job.seconds = round(time.monotonic() - job.started, 1)
        code = handle.poll()
        if code is None:
            return
        job.why = None if code else job.step.shortfall()
        job.state = FAILED if code or job.why else DONE
        if job.state == DONE:
            self.ledger.write(job.step.name, LedgerEntry(job.step.fingerprint, seconds=job.seconds))
        else:
            self.ledger.drop(job.step.name)

    def _start_or_leave(self, job: Job) -> None:
        states = {self._by_name[name].state for name in job.step.after}
        if states & {FAILED, LEFT} and not job.step.anyway:
            job.state = LEFT
        elif states <= set(ENDED) and sum(other.state == RUNNING for other in self.jobs) < self.launcher.slots:
            job.log.unlink(missing_ok=True)
            job.handle = self.launcher.start(job.step, job.log)
            job.state, job.started = RUNNING, time.monotonic()
            if job.handle.token is not None:
                self.ledger.write(job.step.name, LedgerEntry(job.step.fingerprint, token=job.handle.token))


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in name)
