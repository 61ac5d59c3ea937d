"""How many CPUs this process may really use: affinity, container quota, SLURM allocation.

``os.cpu_count()`` counts those of the machine. Threads beyond the process's share wait for each other, and by
default they do so spinning on the CPU that the others need: a step that takes 0.3 s then takes 5.

Nothing heavy is imported here: :func:`settle_threads` has to run before torch and numpy load their OpenMP and BLAS.
"""

import os
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path

THREADS = "OMP_NUM_THREADS"
GIVEN_THREADS = os.environ.get(THREADS)
"""What the user, or whoever started this process, asked for; None: nothing."""

# GNU's and Intel's OpenMP: threads that wait for others sleep at once. On a busy machine a small training step took
# 2 to 3 times as long with 2 spinning threads, and more than 10 times as long with 4.
SLEEP_WHILE_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}

_UNLIMITED = ("max", "-1")


def available_cpus(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> int:
    """Hardware threads that this process may use, at least 1; for worker processes that load and render.

    Args:
        root: root of the file system that /proc and /sys are read from.
        environment: variables; ``SLURM_CPUS_PER_TASK`` counts where SLURM does not bind its tasks.
    """
    return _within_limits(len(_affinity()), root, environment)


def available_cores(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> int:
    """Physical cores that this process may use, at least 1; two compute threads gain nothing on one core.

    Args:
        root: root of the file system that /proc and /sys are read from.
        environment: variables, as in :func:`available_cpus`.
    """
    cores = {_siblings(root, cpu) for cpu in _affinity()}
    return _within_limits(len(cores), root, environment)


def compute_threads(processes: int = 1) -> int:
    """Threads for each of several processes that compute in parallel; ``OMP_NUM_THREADS`` has precedence.

    Args:
        processes: how many share the cores of this one.
    """
    asked = (GIVEN_THREADS or "").split(",")[0].strip()
    return int(asked) if asked.isdigit() and int(asked) else max(1, available_cores() // processes)


def child_variables(processes: int) -> dict[str, str]:
    """Environment variables of parallel processes: the number of threads, and no spinning while they wait.

    Args:
        processes: how many share the cores of this one.
    """
    chosen = {key: os.environ.get(key, value) for key, value in SLEEP_WHILE_WAITING.items()}
    return {THREADS: str(compute_threads(processes)), **chosen}


def settle_threads(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set the number of threads of libraries that are imported from now on, unless it is given already.

    Args:
        environment: variables to write into.
    """
    beside = environment.get("LOCAL_WORLD_SIZE", "1")  # set by torchrun: its processes on this machine
    chosen = child_variables(int(beside) if beside.isdigit() and int(beside) else 1)
    environment.update({key: value for key, value in chosen.items() if not environment.get(key)})


def share_threads(processes: int, environment: MutableMapping[str, str] = os.environ) -> int:
    """Divide the threads of this process among several that it is about to start, itself one of them.

    Args:
        processes: processes of this machine that will compute side by side.
        environment: variables to write into; the others inherit them.

    Returns:
        Number of threads of each process.
    """
    environment.update(child_variables(processes))
    return int(environment[THREADS])


def _affinity() -> set[int]:
    """Numbers of the CPUs that the process is bound to; where that is unknown (macOS), of all."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _siblings(root: Path, cpu: int) -> str:
    """The hardware threads of the core that a CPU belongs to, such as ``0,4``; itself where that is unknown."""
    return _read(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") or str(cpu)


def _within_limits(count: int, root: Path, environment: Mapping[str, str]) -> int:
    limits = [count, *_quotas(root)]
    slurm = environment.get("SLURM_CPUS_PER_TASK", "")
    if slurm.isdigit():
        limits.append(int(slurm))
    return max(1, int(min(limits)))


def _quotas(root: Path) -> Iterator[float]:
    """CPUs that the process's control groups grant (versions 1 and 2), each of them and those above it."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            for folder in _with_parents(root / "sys/fs/cgroup", path):
                yield from _ratio(*_read(folder / "cpu.max").split())
        elif "cpu" in controllers.split(","):
            for mount in (controllers, "cpu"):
                for folder in _with_parents(root / "sys/fs/cgroup" / mount, path):
                    yield from _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _with_parents(mount: Path, path: str) -> Iterator[Path]:
    """The folder of a group below its mount, and those above it: inside a container only the last may be there."""
    group = Path(path.lstrip("/"))
    yield from (mount / part for part in (group, *group.parents))


def _ratio(quota: str = "", period: str = "") -> Iterator[float]:
    if quota and period and quota not in _UNLIMITED:
        yield int(quota) / int(period)


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
