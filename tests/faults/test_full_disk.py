"""A disk that is full: one line, and what was whole still is."""

import subprocess

import pytest
from harness import fit_words, last, run, same_end

from t2igan.models.suite_module import read_checkpoint


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 4 MB, which holds one checkpoint of these trainings and not two."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_fit_on_a_disk_that_fills_up(homes, whole, tally, small_disk):
    probe = tally("fit on a file system that fills up: one line, the checkpoint whole; with room the same end")
    words = fit_words(homes.ssagan, small_disk / "run")
    saves = ["--trainer.callbacks+=RunCheckpoints", "--trainer.callbacks.every_n_steps=4"]
    full = run(*words, *saves)
    told = "the disk is full" in full.stderr and "Traceback" not in full.stderr
    step = read_checkpoint(last(small_disk / "run"))["global_step"]
    probe.note(full.returncode == 2 and told and step == 4, f"{full.returncode}, step {step}: {full.stderr[-300:]}")
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    done = run(*words)
    probe.note(done.returncode == 0 and same_end(small_disk / "run", whole), done.stderr[-300:])
    probe.check()
