"""``t2igan benchmark``: run a plan, several steps at a time, skipping the steps that are done."""

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console
from rich.live import Live
from rich.table import Table

from t2igan.benchmark.launchers import make_launcher
from t2igan.benchmark.ledger import Ledger
from t2igan.benchmark.logs import read_end
from t2igan.benchmark.reading import read_plan
from t2igan.benchmark.runner import DONE, ENDED, FAILED, LEFT, RUNNING, WAITING, Job, Runner
from t2igan.benchmark.steps import Plan
from t2igan.cli import quick, quick_fit
from t2igan.cli.main import VERBS, path_problem
from t2igan.cli.parsing import call
from t2igan.errors import UserError
from t2igan.files import make_folder
from t2igan.shipped import find_experiment
from t2igan.spelling import nearest

console = Console()
LOCK = "plan.lock"
# A row shows the first of these states that any step of its cell is in.
SHOWN_FIRST = (RUNNING, FAILED, WAITING, LEFT, DONE)


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan benchmark`` with the arguments that follow it."""
    call(benchmark, argv, verb)


def benchmark(plan: str, again: bool = False, launcher: str | None = None, dry_run: bool = False) -> None:
    """Run a plan. After a kill the same command continues it; a failed step does not stop the others.

    Args:
        plan: a YAML file, or the name of one that is shipped, such as quickstart: a matrix (``folder``,
            ``datasets``, ``seeds``) or a list of ``steps``.
        again: run every step again, even if it is done; trainings still continue from their checkpoints. To start
            from scratch, delete the plan's folder.
        launcher: local, ray or slurm, in place of the plan's own.
        dry_run: show the steps and their state without running anything; while stores are missing, the steps that
            write them.
    """
    file = find_experiment(plan)
    with _naming(file):
        todo = read_plan(Path(file))
        _refuse_mistaken_words(todo, file)
        if dry_run:
            _show(todo)
            return
        make_folder(todo.folder)
        settings = todo.launcher if launcher in (None, todo.launcher.get("kind")) else {"kind": launcher}
        try:
            with FileLock(todo.folder / LOCK, timeout=0):
                _run(todo, settings, again)
        except Timeout as error:
            told = f"{file}: another `t2igan benchmark` works in {todo.folder}"
            raise UserError(f"{told}: wait for it, or stop it") from error


@contextmanager
def _naming(file: str) -> Iterator[None]:
    """Add the plan's name to an error about a path that the system does not accept."""
    try:
        yield
    except OSError as error:
        problem = path_problem(error)
        if problem is None or str(error.filename) == file:
            raise
        raise UserError(f"{file}: {problem}") from error


def _refuse_mistaken_words(plan: Plan, file: str) -> None:
    """Check the options of all steps before the first one runs, because the last may start hours later.

    Raises:
        UserError: a verb, an option, or a key of a configuration, of ``set`` or of ``grid`` does not exist, or a
            configuration file is missing.
    """
    for verb, *words in plan.commands:
        try:
            if verb not in VERBS:
                raise UserError(f"no verb {verb!r}{nearest(verb, VERBS)}")
            (quick_fit if verb in quick_fit.VERBS else quick).answer(verb, words)
        except UserError as error:
            raise UserError(f"{file}: {error}") from error


def _run(plan: Plan, settings: Mapping[str, Any], again: bool) -> None:
    ledger = Ledger(plan.folder, again)
    place = make_launcher(settings, plan.folder)
    jobs: list[Job] = []
    try:
        for phase in plan.phases:
            runner = Runner(phase(), plan.folder, place, ledger)
            with _watch(plan) as watch:
                jobs += runner.run(watch)
    finally:
        if note := place.close():
            console.print(note, soft_wrap=True, markup=False)
    _finish(jobs)


@contextmanager
def _watch(plan: Plan) -> Iterator[Callable[[Sequence[Job]], None]]:
    """Show a live table in a terminal; in a log file, a line when a step starts or ends and a periodic summary."""
    if not console.is_terminal:
        yield _Lines()
        return
    with Live(console=console, refresh_per_second=2, vertical_overflow="crop") as live:
        yield lambda jobs: live.update(_table(plan, jobs))


class _Lines:
    """Prints the steps that changed their state, and periodically the progress of the running ones.

    Args:
        every_seconds: time between two lines about the progress.
    """

    def __init__(self, every_seconds: float = 30.0) -> None:
        self.states: dict[str, str] = {}
        self.every_seconds, self.told = every_seconds, time.monotonic()

    def __call__(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            before = self.states.get(job.step.name, WAITING)
            self.states[job.step.name] = job.state
            if job.state != before:
                took = f", {_time(job.seconds)}" if job.seconds else ""
                console.print(f"{job.step.name}: {job.state}{took}", soft_wrap=True, markup=False, highlight=False)
        if time.monotonic() - self.told >= self.every_seconds:
            self.told = time.monotonic()
            console.print(_how_far(jobs), soft_wrap=True, markup=False, highlight=False)


def _how_far(jobs: Sequence[Job]) -> str:
    """Progress in one line, such as ``3 of 12 steps done; SSA-GAN: 120/1080, 5 min left; STREAM: 2 min``."""
    parts = [f"{sum(job.state in ENDED for job in jobs)} of {len(jobs)} steps done"]
    for job in jobs:
        if job.state == RUNNING:
            words = read_end(job.log)
            left = "" if words.minutes is None else f", {_time(60 * words.minutes)} left"
            far = f"{words.step}{left}" if words.step else _time(job.seconds)
            parts.append(f"{job.step.name}: {far}")
    return "; ".join(parts)


def _show(plan: Plan) -> None:
    """Print the first phase that has steps."""
    ledger = Ledger(plan.folder)
    steps = next((steps for phase in plan.phases if (steps := phase())), [])
    done: set[str] = set()
    for step in steps:
        entry = ledger.find(step.name, step.fingerprint)
        ended = entry is not None and entry.seconds is not None and done.issuperset(step.after)
        if ended and step.shortfall() is None:
            done.add(step.name)
        state = DONE if step.name in done else "to do"
        console.print(f"{step.name} [{state}]\n    t2igan {shlex.join(step.command)}", soft_wrap=True, markup=False)
    for line in plan.outlook():
        console.print(line, soft_wrap=True, markup=False)
    console.print(f"{len(steps)} {'step' if len(steps) == 1 else 'steps'}; nothing was run", markup=False)


def _table(plan: Plan, jobs: Sequence[Job]) -> Table:
    """The table of all cells, one row each: running step, progress, estimated time left."""
    cells: dict[str, list[Job]] = {}
    for job in jobs:
        cells.setdefault(job.step.cell, []).append(job)
    table = Table(title=str(plan.folder), title_justify="left", expand=True)
    for header in ("cell", "state", "step", "left", "took"):
        table.add_column(header, no_wrap=True)
    table.add_column("last words", ratio=1, no_wrap=True, overflow="ellipsis")
    for cell, own in cells.items():
        table.add_row(cell, *_cell_words(own))
    return table


def _cell_words(jobs: Sequence[Job]) -> tuple[str, ...]:
    job = next(job for state in SHOWN_FIRST for job in jobs if job.state == state)
    done = sum(each.state == DONE for each in jobs)
    words = read_end(job.log) if job.state in (RUNNING, FAILED) else read_end(Path())
    state = "queued" if job.state == RUNNING and not job.log.is_file() else job.state
    if len(jobs) > 1:
        state = f"{state} ({done}/{len(jobs)})"
    left = "" if words.minutes is None or job.state != RUNNING else _time(60 * words.minutes)
    took = sum(each.seconds for each in jobs)
    return state, words.step, left, _time(took) if took else "", f"[dim]{_plain(words.last)}[/dim]"


def _time(seconds: float) -> str:
    minutes = int(seconds) // 60
    return f"{int(seconds)} s" if minutes < 1 else f"{minutes} min" if minutes < 100 else f"{minutes / 60:.0f} h"


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def _finish(jobs: Sequence[Job]) -> None:
    """Print the output of the report step, and list the failed steps."""
    if jobs and jobs[-1].state == DONE and jobs[-1].log.is_file():
        print(jobs[-1].log.read_text().rstrip())
    failed = [f"{job.step.name} ({_why(job)})" for job in jobs if job.state == FAILED]
    if failed:
        left = sum(job.state == LEFT for job in jobs)
        behind = f"; {left} steps that depend on them were not run" if left else ""
        raise UserError(f"failed: {'; '.join(failed)}{behind}; run the same command again to retry them")


def _why(job: Job) -> str:
    if job.why is not None:
        return job.why
    return f"{job.log}: {read_end(job.log).last}" if job.log.is_file() else "it never began, or was cancelled"
