"""``t2igan benchmark``: runs the steps of a plan, several at a time, and leaves out what is done."""

import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.live import Live
from rich.table import Table

from t2igan.cli.main import PARENT
from t2igan.cli.parsing import call
from t2igan.errors import UserError

console = Console()
LEDGER = "plan.json"
POLL_SECONDS = 0.5
WAITING, RUNNING, DONE, FAILED, LEFT = "waiting", "running", "done", "failed", "not run"


@dataclass(frozen=True)
class Step:
    """One step of a plan.

    Attributes:
        name: what it does, in words.
        command: the t2igan command line after ``t2igan``, split into words.
        after: names of the steps that must be done first.
    """

    name: str
    command: list[str]
    after: list[str]

    @property
    def fingerprint(self) -> str:
        """Changes with the command and with the content of the YAML files that it names."""
        digest = hashlib.sha256("\0".join(self.command).encode())
        for word in self.command:
            if word.endswith(".yaml") and Path(word).is_file():
                digest.update(Path(word).read_bytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Plan:
    """A plan file.

    Attributes:
        folder: where the plan's ledger and the logs of its steps lie.
        jobs: how many steps may run at a time; they share the cores.
        steps: in order.
    """

    folder: Path
    jobs: int
    steps: list[Step]


@dataclass
class Job:
    """A step on its way."""

    step: Step
    log: Path
    state: str = WAITING
    seconds: float = 0.0
    process: subprocess.Popen | None = None
    started: float = field(default=0.0)


def run(verb: str, argv: Sequence[str]) -> None:
    """Run the verb."""
    call(benchmark, argv, verb)


def benchmark(plan: str, fresh: bool = False) -> None:
    """Run a plan. Killed at any point, the same command goes on; a step that failed does not stop the others.

    Args:
        plan: the plan, a YAML file with ``folder``, ``jobs`` and ``steps`` (each with ``name``, ``run`` and
            ``after``, names of earlier steps; without ``after`` a step waits for all before it).
        fresh: run every step again.
    """
    todo = read_plan(Path(plan))
    logs = todo.folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    ledger = {} if fresh else read_ledger(todo.folder)
    jobs = [Job(step, logs / f"{number:02}.log") for number, step in enumerate(todo.steps, start=1)]
    for job in jobs:
        entry = ledger.get(job.step.name, {})
        if entry.get("fingerprint") == job.step.fingerprint:
            job.state, job.seconds = DONE, entry["seconds"]
    try:
        with Live(_table(todo, jobs), console=console, refresh_per_second=2) as live:
            while _advance(todo, jobs, ledger):
                live.update(_table(todo, jobs))
                time.sleep(POLL_SECONDS)
            live.update(_table(todo, jobs))
    finally:
        _stop(jobs)
    _finish(jobs)


def read_plan(path: Path) -> Plan:
    """Read a plan file.

    Raises:
        UserError: the file is missing, or a key of it is missing, unknown or wrong.
    """
    if not path.is_file():
        raise UserError(f"no plan at {path}")
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {str(error).splitlines()[0]}") from error
    _expect_keys(path, "the plan", content, {"folder", "steps"}, {"jobs"})
    steps: list[Step] = []
    for position, entry in enumerate(content["steps"], start=1):
        _expect_keys(path, f"step {position}", entry, {"name", "run"}, {"after"})
        before = [step.name for step in steps]
        after = entry.get("after", before)
        unknown = sorted(set(after) - set(before))
        if unknown or entry["name"] in before:
            what = f"waits for {unknown[0]!r}, which is no earlier step" if unknown else "has the name of another"
            raise UserError(f"{path}: step {position} ({entry['name']}) {what}")
        steps.append(Step(entry["name"], shlex.split(entry["run"]), after))
    return Plan(Path(content["folder"]), int(content.get("jobs", 1)), steps)


def _expect_keys(path: Path, where: str, value: Any, needed: set[str], allowed: set[str]) -> None:
    keys = set(value) if isinstance(value, dict) else set()
    if not needed <= keys <= needed | allowed:
        found = sorted(keys) if keys else value
        raise UserError(f"{path}: {where} needs the keys {sorted(needed)} ({sorted(allowed)} too), it has {found}")


def read_ledger(folder: Path) -> dict[str, dict[str, Any]]:
    """What is done, by the step's name."""
    file = folder / LEDGER
    return json.loads(file.read_text()) if file.is_file() else {}


def write_ledger(folder: Path, ledger: dict[str, dict[str, Any]]) -> None:
    """Write the ledger in one move, so that a kill leaves the old one or the new one."""
    draft = folder / f"{LEDGER}.new"
    draft.write_text(json.dumps(ledger, indent=1))
    draft.replace(folder / LEDGER)


def _advance(plan: Plan, jobs: list[Job], ledger: dict[str, dict[str, Any]]) -> bool:
    """Take note of what ended and start what can start; False once nothing is left to do."""
    by_name = {job.step.name: job for job in jobs}
    for job in jobs:
        if job.state == RUNNING:
            _look_after(job, plan, ledger)
        if job.state == WAITING:
            states = {by_name[name].state for name in job.step.after}
            running = sum(other.state == RUNNING for other in jobs)
            if states & {FAILED, LEFT}:
                job.state = LEFT
            elif states <= {DONE} and running < plan.jobs:
                _start(job, plan.jobs)
    return any(job.state in (RUNNING, WAITING) for job in jobs)


def _start(job: Job, jobs: int) -> None:
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    environment = {"OMP_NUM_THREADS": threads, "COLUMNS": "120"} | os.environ | {PARENT: str(os.getpid())}
    with job.log.open("wb") as log:
        command = [sys.executable, "-m", "t2igan", *job.step.command]
        job.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
        )
    job.state, job.started = RUNNING, time.monotonic()


def _look_after(job: Job, plan: Plan, ledger: dict[str, dict[str, Any]]) -> None:
    job.seconds = round(time.monotonic() - job.started, 1)
    code = job.process.poll()
    if code is None:
        return
    job.state = FAILED if code else DONE
    if job.state == DONE:
        ledger[job.step.name] = {"fingerprint": job.step.fingerprint, "seconds": job.seconds}
        write_ledger(plan.folder, ledger)


def _stop(jobs: list[Job]) -> None:
    """Interrupt what still runs, and wait for it to leave a state that can be resumed."""
    running = [job.process for job in jobs if job.state == RUNNING]
    for process in running:
        process.send_signal(signal.SIGINT)
    for process in running:
        process.wait()


def _table(plan: Plan, jobs: list[Job]) -> Table:
    table = Table("step", "state", "seconds", "last words", title=str(plan.folder), title_justify="left")
    for job in jobs:
        words = _last_words(job.log) if job.state in (RUNNING, FAILED) else ""
        table.add_row(job.step.name, job.state, f"{job.seconds:.0f}" if job.seconds else "", words)
    return table


def _last_words(log: Path) -> str:
    """The end of a log; progress bars overwrite their line with carriage returns."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        text = file.read().decode(errors="replace")
    lines = [line for line in text.replace("\r", "\n").splitlines() if line.strip()]
    return lines[-1].strip()[:100] if lines else ""


def _finish(jobs: list[Job]) -> None:
    """Print what the last step printed, and name what failed."""
    if jobs[-1].state == DONE and jobs[-1].log.is_file():
        print(jobs[-1].log.read_text().rstrip())
    failed = [f"{job.step.name} ({job.log}: {_last_words(job.log)})" for job in jobs if job.state == FAILED]
    if failed:
        raise UserError(f"failed: {'; '.join(failed)}; the same command tries again")
