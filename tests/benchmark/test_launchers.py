import os
import shutil
import signal
import subprocess
import sys
import time
import types

import pytest

from t2igan.benchmark.launchers import make_launcher
from t2igan.benchmark.launchers.base import INTERRUPTED
from t2igan.benchmark.launchers.local import LocalHandle, LocalLauncher, visible_gpus
from t2igan.benchmark.launchers.slurm import SlurmHandle
from t2igan.benchmark.steps import Step
from t2igan.cpus import available_cpus
from t2igan.errors import UserError


def step(*command):
    return Step("a step", list(command), [], "a cell", {"T2IGAN_TEST": "1"})


def finish(handle, seconds=60):
    end = time.monotonic() + seconds
    while handle.poll() is None and time.monotonic() < end:
        time.sleep(0.1)
    return handle.poll()


def test_a_process_of_this_machine(tmp_path):
    launcher = make_launcher({"kind": "local", "jobs": 2}, tmp_path)
    good = launcher.start(step("list", "generators"), tmp_path / "good.log")
    bad = launcher.start(step("list", "nothing"), tmp_path / "bad.log")
    assert finish(good) == 0
    assert finish(bad) == 2
    assert "SSAGANGenerator" in (tmp_path / "good.log").read_text()


def test_every_training_has_a_gpu_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert visible_gpus() == ["3", "5"]
    launcher = LocalLauncher(tmp_path)
    assert launcher.slots == 2
    handles = [launcher.start(step(verb, "--help"), tmp_path / "x.log") for verb in ("sample", "list", "sample")]
    assert [handle.gpu for handle in handles] == ["3", None, "5"]
    for handle in handles:
        handle.stop()


@pytest.mark.parametrize(
    ("cores", "jobs", "slots", "threads"),
    [(1, 4, 1, "1"), (2, 4, 2, "1"), (4, 4, 4, "1"), (16, 4, 4, "4"), (4, None, 1, "4")],
)
def test_steps_share_the_cores_that_there_are(tmp_path, monkeypatch, cores, jobs, slots, threads):
    monkeypatch.setattr("t2igan.cpus.available_cores", lambda: cores)
    monkeypatch.setattr("t2igan.benchmark.launchers.local.available_cores", lambda: cores)
    monkeypatch.setattr("t2igan.cpus.GIVEN_THREADS", None)
    seen = {}
    monkeypatch.setattr(
        "t2igan.benchmark.launchers.base.subprocess.Popen", lambda *_, **options: seen.update(options)
    )
    launcher = LocalLauncher(tmp_path, jobs=jobs, gpus=[])
    launcher.start(step("list", "generators"), tmp_path / "x.log")
    assert launcher.slots == slots and seen["env"]["OMP_NUM_THREADS"] == threads
    assert seen["env"]["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "moon"}, "unknown kind 'moon'; choose one of local, ray, slurm"),
        ({"kind": "local", "job": 2}, "local has no option 'job'; its options are jobs, gpus"),
        ({"kind": "local", "jobs": 0}, "at least 1"),
    ],
)
def test_a_launcher_that_is_none(tmp_path, settings, words):
    with pytest.raises(UserError, match=words):
        make_launcher(settings, tmp_path)


@pytest.mark.parametrize(("kind", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_package_that_is_missing(tmp_path, monkeypatch, kind, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=f"t2igan\\[{kind}\\]"):
        make_launcher({"kind": kind}, tmp_path)


def test_a_ray_cluster_that_cannot_serve(tmp_path):
    pytest.importorskip("ray", reason="the optional package ray is not installed")
    with pytest.raises(UserError, match=r"no Ray cluster at '127\.0\.0\.1:1'"):
        make_launcher({"kind": "ray", "address": "127.0.0.1:1"}, tmp_path)


@pytest.fixture(scope="module")
def ray_launcher(tmp_path_factory):
    pytest.importorskip("ray", reason="the optional package ray is not installed")
    launcher = make_launcher({"kind": "ray"}, tmp_path_factory.mktemp("ray"))
    yield launcher
    launcher.close()


@pytest.mark.slow
def test_a_task_of_ray(ray_launcher, tmp_path):
    handles = [
        ray_launcher.start(step("list", "generators"), tmp_path / "good.log"),
        ray_launcher.start(step("list", "nothing"), tmp_path / "bad.log"),
    ]
    assert [finish(handle) for handle in handles] == [0, 2]
    assert "SSAGANGenerator" in (tmp_path / "good.log").read_text()


@pytest.mark.slow
def test_a_task_of_ray_is_interrupted(ray_launcher, tmp_path):
    log = tmp_path / "long.log"
    handle = ray_launcher.start(step("prepare", "drawn-birds", "--root", str(tmp_path / "birds")), log)
    while not log.is_file():
        time.sleep(0.1)
    time.sleep(2)
    handle.stop()
    assert handle.poll() == INTERRUPTED
    assert not subprocess.run(["pgrep", "-f", str(tmp_path / "birds")], capture_output=True).stdout


@pytest.mark.slow
def test_ray_leaves_sigterm_to_the_command(ray_launcher, tmp_path, monkeypatch):
    """Not to a handler of its own, and not in the midst of its calls, where an exception would be lost."""
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    came, calls = [], []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(len(calls)))
    wait = ray_launcher.ray.wait

    def interrupted(*args, **kwargs):
        signal.raise_signal(signal.SIGTERM)
        calls.append(wait(*args, **kwargs))
        return calls[-1]

    try:
        handle = ray_launcher.start(step("list", "generators"), tmp_path / "good.log")
        monkeypatch.setattr(ray_launcher.ray, "wait", interrupted)
        handle.poll()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert came == [1]


@pytest.fixture
def slurm_launcher(tmp_path):
    pytest.importorskip("submitit", reason="the optional package submitit is not installed")
    if shutil.which("sinfo") is None or subprocess.run(["sinfo"], capture_output=True).returncode:
        pytest.skip("there is no SLURM on this machine")
    return make_launcher({"kind": "slurm", "gpus": 0, "cpus": 1, "minutes": 10}, tmp_path)


@pytest.mark.parametrize(("given", "threads"), [(None, "3"), ("5", "5")])
def test_a_job_of_slurm_follows_its_cpus(tmp_path, monkeypatch, given, threads):
    """Also where SLURM does not bind its tasks: then what loads and renders counts by the variable."""
    submitit = pytest.importorskip("submitit")
    jobs = []
    monkeypatch.setattr(submitit.SlurmExecutor, "affinity", lambda: 1)
    monkeypatch.setattr(submitit.SlurmExecutor, "__init__", lambda self, **_: None)
    monkeypatch.setattr(submitit.SlurmExecutor, "update_parameters", lambda self, **_: None)

    def submit(self, job):
        jobs.append(job)
        return types.SimpleNamespace(job_id="7")

    monkeypatch.setattr(submitit.SlurmExecutor, "submit", submit)
    monkeypatch.setattr("t2igan.benchmark.launchers.slurm.GIVEN_THREADS", given)
    make_launcher({"kind": "slurm", "gpus": 0, "cpus": 3}, tmp_path).start(step("list"), tmp_path / "x.log")
    variables = jobs[0].command.environment
    assert variables["OMP_NUM_THREADS"] == threads and variables["OMP_WAIT_POLICY"] == "PASSIVE"
    assert available_cpus(tmp_path, variables) == min(3, len(os.sched_getaffinity(0)))


def test_a_job_that_slurm_refuses_is_one_line(tmp_path, monkeypatch):
    submitit = pytest.importorskip("submitit")
    monkeypatch.setattr(submitit.SlurmExecutor, "affinity", lambda: 1)
    monkeypatch.setattr(submitit.SlurmExecutor, "__init__", lambda self, **_: None)
    monkeypatch.setattr(submitit.SlurmExecutor, "update_parameters", lambda self, **_: None)

    def submit(self, job):
        raise submitit.core.utils.FailedJobError("sbatch: error: Unable to contact\nslurm controller")

    monkeypatch.setattr(submitit.SlurmExecutor, "submit", submit)
    with pytest.raises(UserError, match="refused the job: sbatch: error: Unable to contact slurm controller"):
        make_launcher({"kind": "slurm", "gpus": 0}, tmp_path).start(step("list"), tmp_path / "x.log")


def test_a_job_of_slurm_is_found_again(slurm_launcher, tmp_path):
    token = slurm_launcher.start(step("list", "generators"), tmp_path / "good.log").token
    assert finish(slurm_launcher.attach(token)) == 0
    assert "SSAGANGenerator" in (tmp_path / "good.log").read_text()
    assert slurm_launcher.close() == ""


def test_a_job_of_slurm_that_is_cancelled(slurm_launcher, tmp_path, monkeypatch):
    monkeypatch.setattr("t2igan.benchmark.launchers.slurm.QUEUE_SECONDS", 1.0)
    command = step("prepare", "drawn-birds", "--root", str(tmp_path / "birds"))
    handle = slurm_launcher.start(command, tmp_path / "long.log")
    assert handle.token in slurm_launcher.close()
    subprocess.run(["scancel", handle.token], check=True)
    assert finish(handle) == 1


class JobOfSubmitit:
    """What a handle asks of a job of submitit."""

    job_id = 7

    def __init__(self, folder):
        self.folder = folder

    @property
    def paths(self):
        return types.SimpleNamespace(result_pickle=self.folder / "result")

    def exception(self):
        return None

    def result(self):
        return int(self.paths.result_pickle.read_text())


@pytest.fixture
def queued(tmp_path, monkeypatch):
    """A handle of a job; whether `squeue` knows it, and what it left, are files."""
    monkeypatch.setattr("t2igan.benchmark.launchers.slurm.QUEUE_SECONDS", -1.0)
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text(f"#!/bin/sh\ncat {tmp_path}/state || {{ echo Invalid job id specified >&2; exit 1; }}\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{squeue.parent}:{os.environ['PATH']}")
    return SlurmHandle(JobOfSubmitit(tmp_path))


def test_a_job_that_is_queued_again_has_not_failed(queued, tmp_path):
    """`scontrol requeue` ends a training, which saves and gives 143; SLURM starts the same job once more."""
    (tmp_path / "result").write_text("143")
    (tmp_path / "state").write_text("PENDING\n")
    assert [queued.poll() for _ in range(3)] == [None] * 3
    (tmp_path / "result").write_text("0")
    assert queued.poll() == 0


def test_a_job_that_failed_and_is_not_in_the_queue(queued, tmp_path):
    (tmp_path / "result").write_text("143")
    (tmp_path / "state").write_text("COMPLETING\n")
    assert queued.poll() is None
    (tmp_path / "state").unlink()
    assert queued.poll() == 143


def test_a_job_that_leaves_nothing(queued, tmp_path):
    """Its files may arrive later than the news that it is gone."""
    (tmp_path / "state").write_text("")  # a queue that has forgotten it
    assert [queued.poll(), queued.poll()] == [None, 1]


def test_an_interrupt_reaches_the_command(tmp_path):
    """Ctrl-C in a launcher's worker must not leave the command behind."""
    code = (
        "import pathlib; from t2igan.benchmark.launchers.base import Command; import sys;"
        f"sys.exit(Command(['prepare', 'drawn-birds', '--root', {str(tmp_path / 'birds')!r}],"
        f"pathlib.Path({str(tmp_path / 'x.log')!r}), pathlib.Path({str(tmp_path)!r}), {{}})())"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"OMP_NUM_THREADS": "1"})
    while not (tmp_path / "birds").is_dir():
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == INTERRUPTED
    assert "interrupted" in (tmp_path / "x.log").read_text()


def test_a_step_is_asked_once_to_end(tmp_path):
    """A second signal would make a training end without a checkpoint."""
    sent = []
    process = types.SimpleNamespace(send_signal=sent.append, wait=lambda: sent.append("waited for"))
    handle = LocalHandle(process, None)
    handle.ask()
    handle.stop()
    assert sent == [signal.SIGINT, "waited for"]


def test_a_plan_in_the_background_of_a_script_stops_its_steps():
    """A shell makes what it starts with & deaf to Ctrl-C, and so all that a plan starts in its turn."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        handle = LocalHandle(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]), None)
        handle.stop()
    finally:
        signal.signal(signal.SIGINT, before)
        handle.process.kill()
    assert handle.poll() == -signal.SIGTERM
