"""Wall time of a plan, whole and from nothing, on some of the machine's CPUs.

``python -m benchmarks.quickstart --cpus "[1, 2, 4]"``: each time in a new folder, bound as ``taskset`` binds, one
after the other; nothing else should be running. Takes an hour or two.
"""

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import jsonargparse

from benchmarks.results import append


def measure(plan: Path, cpus: int, log: Path) -> dict[str, Any]:
    """Run a plan on the first ``cpus`` CPUs of this process's.

    Raises:
        SystemExit: there are fewer, or the plan fails.
    """
    own = sorted(os.sched_getaffinity(0))
    if cpus > len(own):
        raise SystemExit(f"benchmarks: {cpus} CPUs wanted, {len(own)} are there")
    with tempfile.TemporaryDirectory() as folder, log.open("w") as said:
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "t2igan", "benchmark", str(plan.absolute())],
            cwd=folder,
            stdout=said,
            stderr=subprocess.STDOUT,
            preexec_fn=partial(os.sched_setaffinity, 0, own[:cpus]),
            env={key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"},
        )
        seconds = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"benchmarks: {plan} failed on {cpus} CPUs, see {log}")
    return {"plan": plan.name, "cpus": cpus, "seconds": seconds, "load": os.getloadavg()[2]}


def main(
    cpus: list[int] = [1, 2, 4],  # noqa: B006 (never changed)
    plan: Path = Path("experiments/quickstart.yaml"),
    out: Path = Path("quickstart.jsonl"),
) -> None:
    """Time a plan.

    Args:
        cpus: how many, one after the other.
        plan: to run.
        out: file of JSON lines that the results are added to; logs go beside it.
    """
    for count in cpus:
        found = measure(plan, count, out.with_suffix(f".{count}.log"))
        print(f"{plan.name} on {count} CPUs: {found['seconds'] / 60:.1f} min", flush=True)
        append(out, [found])


if __name__ == "__main__":
    jsonargparse.CLI(main, as_positional=False)
