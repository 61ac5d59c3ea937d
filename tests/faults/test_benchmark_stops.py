"""Stop signals in a plan: a half-trained step is neither done nor scored, and the same command ends the same."""

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from harness import LONG, curve, fit_words, last, run, start, wait_until

from t2igan.benchmark.launchers.local import LocalLauncher
from t2igan.benchmark.ledger import Ledger, LedgerEntry
from t2igan.benchmark.runner import DONE, WAITING, Runner
from t2igan.benchmark.steps import Step
from t2igan.evaluation.subjects.generated import load_checkpoint_subject
from t2igan.models.digest import seal
from t2igan.progress import progress_of, read_progress, trained_by


@pytest.fixture(scope="module")
def slurm() -> None:
    pytest.importorskip("submitit", reason="the optional package submitit is not installed")
    if shutil.which("sinfo") is None or subprocess.run(["sinfo"], capture_output=True).returncode:
        pytest.skip("there is no SLURM on this machine")


def write_plan(folder: Path, homes, launcher: str, steps: int = 60) -> Path:
    plan = folder / "plan.yaml"
    fit = f"fit --config {homes.ssagan} --run {folder}/run --trainer.max_steps {steps}"
    plan.write_text(
        f"folder: {folder}/plan\nlauncher: {launcher}\n"
        f"steps:\n  - {{name: fit, run: {fit}}}\n  - {{name: behind, run: list models}}\n"
    )
    return plan


def pid_of_fit(folder: Path) -> int:
    found = subprocess.run(["pgrep", "-f", f"t2igan fit .*--run {folder}/run"], capture_output=True, text=True)
    return int(found.stdout.split()[0])


def steps_done(folder: Path) -> set[str]:
    ledger = folder / "plan" / "plan.json"
    entries = json.loads(ledger.read_text()) if ledger.is_file() else {}
    return {name for name, entry in entries.items() if entry["seconds"] is not None}


LAUNCHERS = {"local": "local", "ray": "ray", "slurm": "{kind: slurm, gpus: 0, cpus: 1, minutes: 10}"}


@pytest.mark.parametrize("kind", LAUNCHERS)
@pytest.mark.parametrize("whom", ["the training", "the plan"])
def test_sigterm_in_a_plan(homes, tally, tmp_path, request, kind, whom):
    if kind == "ray":
        pytest.importorskip("ray", reason="the optional package ray is not installed")
    if kind == "slurm":
        request.getfixturevalue("slurm")
    if kind == "ray" and not LONG and whom == "the plan":
        pytest.skip("a Ray cluster takes long to start: `make faults`")
    probe = tally(f"SIGTERM to {whom}, launcher {kind}: not done, not scored, the same command ends it")
    steps = 600 if (kind, whom) == ("ray", "the plan") else 60  # a task is cancelled some seconds later
    plan = write_plan(tmp_path, homes, LAUNCHERS[kind], steps)
    process = start("benchmark", plan)
    wait_until(lambda: len(curve(tmp_path / "run")) > 2, process)
    if whom == "the training":
        os.kill(pid_of_fit(tmp_path), signal.SIGTERM)
        code = 2
    else:
        process.send_signal(signal.SIGTERM)
        code = 143
    err = process.communicate(timeout=120)[1]
    returned = process.returncode == code and "Traceback" not in err
    outlives = kind == "slurm" and whom == "the plan"
    if not outlives:
        progress = read_progress(last(tmp_path / "run"))
        halfway = progress is not None and 2 < progress.step < steps and not progress.finished
        probe.note(returned and halfway and not steps_done(tmp_path), f"{process.returncode}: {progress} {err}")
    # A second cluster takes as long to start as the first.
    elsewhere = ["--launcher", "local"] if kind == "ray" and not LONG else []
    done = run("benchmark", plan, *elsewhere)
    ended = read_progress(last(tmp_path / "run"))
    probe.note(done.returncode == 0 and ended.finished and steps_done(tmp_path) == {"fit", "behind"}, done.stderr)
    probe.check()


def test_a_benchmark_that_is_killed_leaves_a_checkpoint_and_nobody(homes, tally, tmp_path):
    probe = tally("benchmark killed (SIGKILL) while training: the training saves and ends")
    plan = write_plan(tmp_path, homes, "local")
    process = start("benchmark", plan)
    wait_until(lambda: len(curve(tmp_path / "run")) > 2, process)
    fit = pid_of_fit(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not Path(f"/proc/{fit}").exists(), seconds=60)
    probe.note(read_progress(last(tmp_path / "run")) is not None)
    probe.check()


def test_an_exit_code_of_0_is_not_believed(homes, whole, tmp_path):
    """What was recorded as done and is not is trained on, too."""
    step = Step("fit", fit_words(homes.ssagan, tmp_path / "run"), [], "fit")
    assert "does not say" in step.shortfall()
    half = run(*fit_words(homes.ssagan, tmp_path / "run", "--trainer.max_steps", 4))
    assert half.returncode == 0
    assert step.shortfall() is None  # 4 steps were its end
    checkpoint = torch.load(last(tmp_path / "run"), weights_only=True)
    checkpoint["t2igan"]["progress"] |= {"finished": False, "max_steps": 14}
    torch.save(checkpoint, last(tmp_path / "run"))
    assert "step 4 of 14, not at its end" in step.shortfall()
    done = Step("whole", fit_words(homes.ssagan, whole), [], "fit")
    ledger = Ledger(tmp_path)
    for each in (step, done):
        ledger.write(each.name, LedgerEntry(each.fingerprint, seconds=1.0))
    assert [job.state for job in Runner([step, done], tmp_path, LocalLauncher(tmp_path), ledger).jobs] == [
        WAITING,
        DONE,
    ]
    assert Step("list", ["list", "models"], [], "x").shortfall() is None


def test_the_checkpoint_of_a_command_line():
    assert trained_by(["fit", "--config", "a/experiments/cub/x.yaml"]) == Path("runs/cub/x/checkpoints/last.ckpt")
    assert trained_by(["fit", "--config=x.yaml", "--run=there"]) == Path("there/checkpoints/last.ckpt")
    assert trained_by(["evaluate", "--config", "x.yaml"]) is None


def test_progress_is_read_without_torch(whole):
    code = (
        "import sys; from pathlib import Path; from t2igan.progress import read_progress;"
        f"print(read_progress(Path({str(last(whole))!r}))); sys.exit('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (told.returncode, told.stdout) == (0, "step 14 of 14\n")


@pytest.mark.parametrize(
    "harm", [{"step": "x"}, {"step": None}, {"finished": "no"}, {"finished": 1}, {"max_steps": 1.5}, {"more": 1}]
)
def test_progress_of_wrong_types_says_nothing(harm):
    good = {"step": 3, "epoch": 0, "max_steps": 14, "max_epochs": -1, "finished": False}
    assert progress_of({"t2igan": {"progress": good}}) is not None
    assert progress_of({"t2igan": {"progress": good | harm}}) is None


@pytest.mark.parametrize("how", ["a place far away in the memo", "compressed"])
def test_progress_of_a_hostile_file_says_nothing_in_little_memory(tmp_path, how):
    """Eight bytes could take gigabytes."""
    content, kind = b"\x80\x02}r\xff\xff\xff\x07.", zipfile.ZIP_STORED
    if how == "compressed":
        content, kind = b"\x80\x04\x8e" + (2**28).to_bytes(8, "little") + bytes(2**28) + b".", zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(tmp_path / "last.ckpt", "w", kind) as archive:
        archive.writestr("last/data.pkl", content)
    program = (
        "from pathlib import Path; from t2igan.progress import read_progress\n"
        f"assert read_progress(Path({str(tmp_path / 'last.ckpt')!r})) is None\n"
        "(line,) = (each for each in open('/proc/self/status') if each.startswith('VmHWM'))\n"
        "assert int(line.split()[1]) < 2**17, line"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


def test_evaluate_says_that_a_training_is_not_finished(whole, tmp_path):
    checkpoint = torch.load(last(whole), weights_only=True)
    checkpoint["t2igan"]["progress"] |= {"step": 5, "finished": False}
    seal(checkpoint)
    torch.save(checkpoint, tmp_path / "half.ckpt")
    with pytest.warns(UserWarning, match="its training is not finished: step 5 of 14"):
        subject = load_checkpoint_subject(tmp_path / "half.ckpt", "ema")
    assert subject.card.training.progress["step"] == 5
    assert subject.notes == ["its training is not finished: step 5 of 14"]
    assert not load_checkpoint_subject(last(whole), "ema").notes
