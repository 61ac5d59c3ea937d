"""Times the suite's training steps beside the released code's way: interleaved, medians and spread, as ratios.

Each way is a process of its own; they take turns step by step, and a process that measures the device's best
convolution takes its turn with them. ``ratio`` is the released way's median over the suite's; ``shared`` the same
where the released way has the suite's allocator, too; ``share`` is what the way computes over what the best
convolution would compute in its time. Where the released code itself has been timed (see ``RECORDED``),
``recorded`` is its seconds over the suite's, each times the peak measured in the same run. ``--each true`` tells
instead what each lever is worth: the step with all but one of them beside that with all.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import jsonargparse
from rich.console import Console
from rich.table import Table

from benchmarks.results import append
from benchmarks.systems import LEVERS, WIDTHS, Case
from benchmarks.worker import COUNT
from t2igan.nn.levers import Levers

# Seconds of the released code itself at batch 4, 256 px, DAMSM at batch 16, two threads, and the convolution peak
# of that run in GFLOP/s.
RECORDED = {"attngan": 5.9203, "mirrorgan": 6.29, "ssagan": 8.2961, "damsm": 1.8724}
RECORDED_PEAK = 231.6
RECORDED_BATCH = {"damsm": 16}
PEAK, ORIGINAL, SHARED = "peak", "original", "original, allocator"
# Until the allocator has all the memory that a step needs, pages of it are filled with zeros.
WARM_UP = 2
# Levers that are measured together: each is a process that holds a training.
AT_ONCE = 3

Way = dict[str, Any]


def ways(compared: Sequence[str]) -> dict[str, Way]:
    """What the workers are told, by name: ``exact``, ``plain``, ``plain +doubling``, ``exact -allocator``.

    Raises:
        SystemExit: there is no such preset or lever.
    """
    found = {}
    known = [each.name for each in fields(Levers)]
    for text in compared:
        if text in (PEAK, ORIGINAL, SHARED):
            found[text] = {"name": text.split(",")[0], "allocator": text == SHARED}
            continue
        preset, *named = text.split()
        levers = {word[1:]: word[0] == "+" for word in named}
        wrong = [name for name in levers if name not in known] + [preset] * (
            preset not in ("plain", "exact", "fast")
        )
        if wrong:
            raise SystemExit(f"benchmarks: no way {wrong[0]!r}; levers are {', '.join(known)}")
        found[text] = {"name": "suite", "speed": preset, "levers": levers}
    return found


class Worker:
    """A process that does steps one way."""

    def __init__(self, case: Case, way: Way, threads: int) -> None:
        words = [json.dumps(asdict(case)), json.dumps(way | {"threads": threads})]
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.worker", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "KMP_BLOCKTIME": "0", "GOMP_SPINCOUNT": "0"},
        )
        self.read()

    def read(self) -> dict[str, float]:
        """Its next line of JSON; Lightning may print between them."""
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"benchmarks: a worker stopped\n{self.process.stderr.read()[-2000:]}")

    def step(self, word: str = "") -> dict[str, float]:
        """Let it do one; ``COUNT`` it."""
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self.read()

    def end(self) -> None:
        """Close its input, which ends it."""
        self.process.stdin.close()
        self.process.wait()


def measure(case: Case, compared: Sequence[str], rounds: int, threads: int) -> dict[str, list[dict[str, float]]]:
    """What each way took in each round, and what it computes; the rounds of the warm-up do not count."""
    workers = {name: Worker(case, way, threads) for name, way in ways([PEAK, *compared]).items()}
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
    for number in range(WARM_UP + rounds):
        for name, worker in workers.items():
            result = worker.step()
            if number >= WARM_UP:
                taken[name].append(result)
    for name, worker in workers.items():
        if name != PEAK:
            taken[name][-1] |= worker.step(COUNT)
        worker.end()
    return taken


def summary(case: Case, taken: dict[str, list[dict[str, float]]], clock: str) -> list[dict[str, Any]]:
    """One row for each way."""
    peak_key = "gflops" if clock == "wall" else "gflops_per_cpu_second"
    peak = statistics.median(each[peak_key] for each in taken[PEAK])
    medians = {
        name: statistics.median(each[clock] for each in rows) for name, rows in taken.items() if name != PEAK
    }
    rows = []
    for name, seconds in medians.items():
        spread = [each[clock] for each in taken[name]]
        row = {
            **asdict(case),
            "way": name,
            "clock": clock,
            "seconds": seconds,
            "fastest": min(spread),
            "slowest": max(spread),
            "peak_mib": max(each["peak_mib"] for each in taken[name]),
            "conv_peak_gflops": peak,
            "gflop": taken[name][-1]["gflop"],
            "share": taken[name][-1]["gflop"] / seconds / peak,
        }
        for key, base in (("ratio", ORIGINAL), ("shared", SHARED), ("plain_ratio", "plain")):
            row[key] = medians[base] / seconds if base in medians else None
        released = case.size == 256 and case.narrower == 1 and case.batch == RECORDED_BATCH.get(case.system, 4)
        recorded = RECORDED.get(case.system) if released else None
        row["recorded"] = recorded * RECORDED_PEAK / (seconds * peak) if recorded else None
        rows.append(row)
    return rows


def show(rows: Sequence[dict[str, Any]]) -> None:
    """The rows as a table."""
    names = ("system", "way", "seconds", "spread", "ratio", "shared", "over plain", "recorded", "share", "MiB")
    table = Table(*names)
    for row in rows:
        ratios = [row[key] for key in ("ratio", "shared", "plain_ratio", "recorded")]
        table.add_row(
            row["system"],
            row["way"],
            f"{row['seconds']:.3f}",
            f"{row['fastest']:.3f} to {row['slowest']:.3f}",
            *("" if value is None else f"{value:.2f}" for value in ratios),
            f"{row['share']:.0%}",
            f"{row['peak_mib']:.0f}",
        )
    Console(width=150 if not sys.stdout.isatty() else None).print(table)


def measure_each(case: Case, rounds: int, threads: int, clock: str) -> list[dict[str, Any]]:
    """What the step takes with all levers but one, for each that concerns the system."""
    levers, rows = ("allocator", "fused_adam", *LEVERS[case.system]), []
    for first in range(0, len(levers), AT_ONCE):
        without = {lever: f"exact -{lever}" for lever in levers[first : first + AT_ONCE]}
        taken = summary(case, measure(case, ["exact", *without.values()], rounds, threads), clock)
        seconds = taken[0]["seconds"]
        for lever, row in zip(without, taken[1:], strict=True):
            rows.append({**row, "lever": lever, "exact": seconds, "worth": row["seconds"] / seconds})
    return rows


def show_each(rows: Sequence[dict[str, Any]]) -> None:
    """What each lever is worth as a table."""
    table = Table("system", "lever", "seconds without", "with all", "times as fast", "MiB without")
    for row in rows:
        numbers = (f"{row['seconds']:.3f}", f"{row['exact']:.3f}", f"{row['worth']:.2f}", f"{row['peak_mib']:.0f}")
        table.add_row(row["system"], row["lever"], *numbers)
    Console(width=150 if not sys.stdout.isatty() else None).print(table)


def main(
    systems: list[str] = list(WIDTHS),  # noqa: B006 (never changed)
    compared: list[str] = [ORIGINAL, SHARED, "exact"],  # noqa: B006 (never changed)
    batch: int = 4,
    size: int = 256,
    narrower: int = 1,
    rounds: int = 3,
    threads: int = 2,
    clock: str = "wall",
    each: bool = False,
    out: Path | None = None,
) -> None:
    """Time training steps.

    Args:
        systems: which.
        compared: ways, e.g. ``plain``, ``exact``, ``plain +doubling``, ``exact -allocator``, ``original``,
            ``original, allocator``.
        batch: images a step.
        size: side of the images.
        narrower: divides the released widths of the networks.
        rounds: steps of each way that count.
        threads: of each process; one way works at a time.
        clock: ``wall``, or ``cpu`` for a machine that others use, too, with one thread.
        each: tell what each lever is worth, in place of ways.
        out: file of JSON lines that the rows are added to.
    """
    every = []
    for system in systems:
        case = Case(system, batch, size, narrower)
        if each:
            rows = measure_each(case, rounds, threads, clock)
        else:
            rows = summary(case, measure(case, compared, rounds, threads), clock)
        every += rows
        (show_each if each else show)(rows)
        append(out, rows)
    if len(systems) > 1:
        (show_each if each else show)(every)


if __name__ == "__main__":
    jsonargparse.CLI(main, as_positional=False)
