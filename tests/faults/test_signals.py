"""Stop signals: a checkpoint of that moment, one line, the exit code; and the same command ends the same."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from harness import curve, fit_words, kill, last, run, same_end, start, times, wait_until

CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGUSR1: 143, signal.SIGUSR2: 143}


def test_stopped_at_random_moments(homes, whole, tally, tmp_path):
    """Validation after every step, so that half of the signals fall into it."""
    codes = tally("fit sent SIGTERM, SIGINT, SIGUSR1, SIGUSR2: exit code, one line, a checkpoint of that moment")
    ends = tally("fit stopped by a signal, resumed: equal to the last bit")
    moments = random.Random(1)
    for number, (name, code) in enumerate(list(CODES.items()) * times(1, 6)):
        folder = tmp_path / str(number)
        words = fit_words(
            homes.ssagan, folder, "--trainer.val_check_interval", 1, "--trainer.check_val_every_n_epoch", "null"
        )
        process = start(*words)
        wait_until(lambda folder=folder: len(curve(folder)) > 1, process)
        time.sleep(moments.uniform(0, 0.3))
        seen = len(curve(folder))
        process.send_signal(name)
        out, err = process.communicate(timeout=60)
        told = "Traceback" not in err and err.count("; saved ") == 1 and "the same command continues" in err
        if process.returncode == 0:  # it had come to its end before
            codes.note("wrote" in out, f"{name.name}: 0 without an end")
        else:
            step = torch.load(last(folder), weights_only=True)["global_step"]
            codes.note(
                process.returncode == code and told and step >= seen, f"{name.name}: {process.returncode} {err}"
            )
        done = run(*words)
        ends.note(
            done.returncode == 0 and same_end(folder, whole), f"{name.name} at step {seen}: {done.stderr[-300:]}"
        )
    codes.check()
    ends.check()


def test_workers_that_are_signalled_too(homes, tally, tmp_path):
    """A terminal and SLURM signal every process, workers that load data among them."""
    probe = tally("fit with loading workers, all processes signalled at once")
    for number, (name, code) in enumerate(list(CODES.items()) * times(1, 4)):
        folder = tmp_path / str(number)
        words = fit_words(homes.ssagan, folder, "--data.num_workers", 2, "--trainer.max_steps", 1000)
        process = start(*words)
        wait_until(lambda folder=folder: len(curve(folder)) > 3, process)
        returned = kill(process, name)
        saved = last(folder).is_file() and torch.load(last(folder), weights_only=True)["global_step"] > 3
        probe.note(returned == code and saved, f"{name.name}: {returned}, saved {saved}")
    probe.check()


@pytest.mark.parametrize("who", ["a process that loads data", "another process of this command"])
def test_one_of_the_processes_is_killed(homes, tally, tmp_path, who):
    """As a kernel does that runs out of memory."""
    probe = tally(f"fit, {who} killed: one line, nobody is left")
    several = ("--data.num_workers", 2) if "loads" in who else ("--trainer.devices", 2)
    process = start(*fit_words(homes.ssagan, tmp_path / "run", "--trainer.max_steps", 1000, *several), anew=True)
    wait_until(lambda: len(curve(tmp_path / "run")) > 2, process)
    listed = subprocess.run(["pgrep", "-g", str(process.pid), "-f", "t2igan"], capture_output=True, text=True)
    others = [int(number) for number in listed.stdout.split() if int(number) != process.pid]
    os.kill(others[0], signal.SIGKILL)
    err = process.communicate(timeout=90)[1]
    told = process.returncode == 2 and f"t2igan fit: {who} was killed" in err.splitlines()[-1]
    # Lightning looks after its processes every five seconds, and may be the first to see that one is gone.
    lightning = process.returncode == -signal.SIGKILL and "Child process with PID" in err.splitlines()[-1]
    ended = told or (lightning and "another" in who)
    probe.note(ended and "Traceback" not in err, f"{process.returncode}: {err[-500:]}")
    wait_until(lambda: not any(Path(f"/proc/{number}").exists() for number in others), seconds=30)
    probe.check()


def test_a_signal_before_the_first_step(homes, tmp_path):
    process = start(*fit_words(homes.ssagan, tmp_path / "run"), anew=True)
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (143, -signal.SIGTERM)
    assert "Traceback" not in err
    assert not last(tmp_path / "run").is_file()


def test_two_processes_stop_at_the_same_step(homes, tally, tmp_path):
    probe = tally("fit on 2 processes, one of them sent SIGTERM")
    words = fit_words(homes.ssagan, tmp_path / "run", "--trainer.devices", 2, "--trainer.max_steps", 1000)
    process = start(*words, anew=True)
    wait_until(lambda: len(curve(tmp_path / "run")) > 2, process)
    process.send_signal(signal.SIGTERM)
    err = process.communicate(timeout=90)[1]
    step = (
        torch.load(last(tmp_path / "run"), weights_only=True)["global_step"]
        if last(tmp_path / "run").is_file()
        else 0
    )
    probe.note(process.returncode == 143 and step > 2, f"{process.returncode}, step {step}: {err[-500:]}")
    probe.check()
