"""``t2igan benchmark``: runs the steps of a plan, each in a process of its own, and leaves out what is done."""

import hashlib
import json
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from t2igan.cli.parsing import call
from t2igan.errors import UserError

console = Console()
LEDGER = "plan.json"


@dataclass(frozen=True)
class Step:
    """One step of a plan.

    Attributes:
        name: what it does, in words.
        command: the t2igan command line after ``t2igan``, split into words.
    """

    name: str
    command: list[str]

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
        folder: where the plan's ledger lies.
        steps: in order.
    """

    folder: Path
    steps: list[Step]


def run(verb: str, argv: Sequence[str]) -> None:
    """Run the verb."""
    call(benchmark, argv, verb)


def benchmark(plan: str, fresh: bool = False) -> None:
    """Run a plan. Killed at any point, the same command goes on; a step that failed does not stop the others.

    Args:
        plan: the plan, a YAML file with ``folder`` and ``steps`` (each with ``name`` and ``run``).
        fresh: run every step again.
    """
    todo = read_plan(Path(plan))
    ledger = {} if fresh else read_ledger(todo.folder)
    failed = []
    for number, step in enumerate(todo.steps, start=1):
        console.rule(f"{number}/{len(todo.steps)}  {step.name}")
        if ledger.get(step.name, {}).get("fingerprint") == step.fingerprint:
            console.print("done before")
            continue
        console.print(f"t2igan {shlex.join(step.command)}", soft_wrap=True, highlight=False)
        started = time.monotonic()
        code = subprocess.run([sys.executable, "-m", "t2igan", *step.command], check=False).returncode
        if code == 130:
            raise KeyboardInterrupt
        if code != 0:
            failed.append(step.name)
            continue
        ledger[step.name] = {"fingerprint": step.fingerprint, "seconds": round(time.monotonic() - started, 1)}
        write_ledger(todo.folder, ledger)
    _report(todo, ledger)
    if failed:
        raise UserError(f"failed: {', '.join(failed)}; the same command tries them again")


def read_plan(path: Path) -> Plan:
    """Read a plan file.

    Raises:
        UserError: the file is missing, or a key of it is missing or unknown.
    """
    if not path.is_file():
        raise UserError(f"no plan at {path}")
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {str(error).splitlines()[0]}") from error
    _expect_keys(path, "the plan", content, {"folder", "steps"})
    for position, step in enumerate(content["steps"], start=1):
        _expect_keys(path, f"step {position}", step, {"name", "run"})
    steps = [Step(step["name"], shlex.split(step["run"])) for step in content["steps"]]
    if len({step.name for step in steps}) != len(steps):
        raise UserError(f"{path}: two steps have the same name")
    return Plan(Path(content["folder"]), steps)


def _expect_keys(path: Path, where: str, value: Any, keys: set[str]) -> None:
    if not isinstance(value, dict) or set(value) != keys:
        found = sorted(value) if isinstance(value, dict) else value
        raise UserError(f"{path}: {where} needs the keys {sorted(keys)}, it has {found}")


def read_ledger(folder: Path) -> dict[str, dict[str, Any]]:
    """What is done, by the step's name."""
    file = folder / LEDGER
    return json.loads(file.read_text()) if file.is_file() else {}


def write_ledger(folder: Path, ledger: dict[str, dict[str, Any]]) -> None:
    """Write the ledger in one move, so that a kill leaves the old one or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{LEDGER}.new"
    draft.write_text(json.dumps(ledger, indent=1))
    draft.replace(folder / LEDGER)


def _report(plan: Plan, ledger: dict[str, dict[str, Any]]) -> None:
    table = Table("step", "seconds", title=f"{plan.folder}")
    for step in plan.steps:
        table.add_row(step.name, str(ledger.get(step.name, {}).get("seconds", "failed")))
    table.add_row("all", f"{sum(entry['seconds'] for entry in ledger.values()):.0f}")
    console.print(table)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    if peak:
        console.print(f"largest process: {peak:.1f} GiB")
