import os
import subprocess
import sys

import pytest

from t2igan import cpus

MACHINE = 8


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Eight CPUs, two to a core (0 and 4, 1 and 5, ...), none of them forbidden."""
    bind(monkeypatch, range(MACHINE))
    for cpu in range(MACHINE):
        write(
            tmp_path, f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", f"{cpu % 4},{cpu % 4 + 4}\n"
        )
    return tmp_path


def bind(monkeypatch, numbers):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(numbers), raising=False)


def free_cores(monkeypatch, count, given=None):
    monkeypatch.setattr(cpus, "available_cores", lambda: count)
    monkeypatch.setattr(cpus, "GIVEN_THREADS", given)


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def counted(root, **environment):
    return cpus.available_cpus(root, environment), cpus.available_cores(root, environment)


def test_a_core_has_two_hardware_threads(machine):
    assert counted(machine) == (8, 4)


def test_affinity(machine, monkeypatch):
    bind(monkeypatch, {0, 4, 5})
    assert counted(machine) == (3, 2)


def test_without_affinity_and_topology(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert counted(tmp_path) == (3, 3)


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", (8, 4)), ("300000 100000", (3, 3)), ("250000 100000", (2, 2)), ("50000 100000", (1, 1))],
)
def test_quota_of_a_container(machine, quota, expected):
    write(machine, "proc/self/cgroup", "0::/\n")
    write(machine, "sys/fs/cgroup/cpu.max", f"{quota}\n")
    assert counted(machine) == expected


def test_the_tightest_group_above_counts(machine):
    write(machine, "proc/self/cgroup", "0::/user.slice/job.scope\n")
    write(machine, "sys/fs/cgroup/user.slice/cpu.max", "200000 100000\n")
    write(machine, "sys/fs/cgroup/user.slice/job.scope/cpu.max", "max 100000\n")
    assert counted(machine) == (2, 2)


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_quota_of_version_1(machine, mount):
    """The group's path is the host's: inside a container only the mount itself is there."""
    write(machine, "proc/self/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n")
    write(machine, f"sys/fs/cgroup/{mount}/cpu.cfs_quota_us", "300000\n")
    write(machine, f"sys/fs/cgroup/{mount}/cpu.cfs_period_us", "100000\n")
    assert counted(machine) == (3, 3)
    write(machine, f"sys/fs/cgroup/{mount}/cpu.cfs_quota_us", "-1\n")
    assert counted(machine) == (8, 4)


def test_slurm_that_does_not_bind(machine):
    assert counted(machine, SLURM_CPUS_PER_TASK="2") == (2, 2)
    assert counted(machine, SLURM_CPUS_PER_TASK="64") == (8, 4)


@pytest.mark.parametrize(
    ("processes", "given", "threads"),
    [(1, None, 4), (2, None, 2), (3, None, 1), (9, None, 1), (2, "3", 3), (2, "3,1", 3), (2, "", 2), (2, "0", 2)],
)
def test_threads_of_processes_side_by_side(monkeypatch, processes, given, threads):
    free_cores(monkeypatch, 4, given)
    assert cpus.compute_threads(processes) == threads


def test_threads_sleep_while_they_wait(monkeypatch):
    free_cores(monkeypatch, 4)
    monkeypatch.setenv("KMP_BLOCKTIME", "200")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert cpus.child_variables(2) == {
        "OMP_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": "PASSIVE",
        "KMP_BLOCKTIME": "200",  # as the user has it
    }


def test_what_is_given_stays(monkeypatch):
    free_cores(monkeypatch, 4)
    given, free, launched = {"OMP_NUM_THREADS": "7"}, {}, {"LOCAL_WORLD_SIZE": "2"}
    for environment in (given, free, launched):
        cpus.settle_threads(environment)
    assert given == {"OMP_NUM_THREADS": "7"} | cpus.SLEEP_WHILE_WAITING and free["OMP_NUM_THREADS"] == "4"
    assert launched["OMP_NUM_THREADS"] == "2" and launched["OMP_WAIT_POLICY"] == "PASSIVE"


def test_processes_of_one_training_share_the_cores(monkeypatch):
    free_cores(monkeypatch, 4)
    settled = {"OMP_NUM_THREADS": "4"}
    assert cpus.share_threads(2, settled) == 2
    assert settled["OMP_NUM_THREADS"] == "2" and settled["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process")
def test_the_command_sets_its_threads_before_anything_is_imported():
    code = (
        "import os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from t2igan.cli.main import main\n"
        "main(['list', 'metrics']); assert 'torch' not in sys.modules\n"
        "print('threads', os.environ['OMP_NUM_THREADS'])"
    )
    variables = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=variables)
    assert "threads 1" in done.stdout, done.stderr
