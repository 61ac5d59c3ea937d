from pathlib import Path

import pytest

from t2igan.benchmark.launchers.base import Handle, Launcher
from t2igan.benchmark.ledger import Ledger
from t2igan.benchmark.logs import read_words
from t2igan.benchmark.runner import DONE, FAILED, LEFT, RUNNING, Runner
from t2igan.benchmark.steps import Step


class Scripted(Handle):
    def __init__(self, code, token=None):
        self.code, self.token, self.stopped = code, token, False

    def poll(self):
        return self.code

    def stop(self):
        self.stopped = True


class ScriptedLauncher(Launcher):
    """Ends steps with the codes that a test wants."""

    def __init__(self, codes=(), tokens=False, slots=9):
        self.codes, self.tokens, self.slots = dict(codes), tokens, slots
        self.started, self.attached = [], []

    def start(self, step, log):
        self.started.append(step.name)
        log.write_text(f"{step.name} began\n")
        return Scripted(self.codes.get(step.name, 0), f"token of {step.name}" if self.tokens else None)

    def attach(self, token):
        self.attached.append(token)
        return Scripted(0, token)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("t2igan.benchmark.runner.POLL_SECONDS", 0.0)


def step(name, *after, anyway=False, command=("list", "models")):
    return Step(name, list(command), list(after), name, anyway=anyway)


def run(tmp_path, steps, launcher):
    runner = Runner(steps, tmp_path, launcher, Ledger(tmp_path))
    return {job.step.name: job.state for job in runner.run(lambda jobs: None)}


def test_a_report_is_made_though_a_cell_failed(tmp_path):
    steps = [step("a"), step("b"), step("behind a", "a"), step("report", "behind a", "b", anyway=True)]
    launcher = ScriptedLauncher({"a": 1})
    assert run(tmp_path, steps, launcher) == {"a": FAILED, "b": DONE, "behind a": LEFT, "report": DONE}
    again = ScriptedLauncher()
    assert set(run(tmp_path, steps, again).values()) == {DONE}
    assert again.started == ["a", "behind a", "report"]  # b was done; the report is made anew


def test_what_stands_on_something_done_anew_is_done_anew(tmp_path):
    run(tmp_path, [step("a"), step("b", "a")], ScriptedLauncher())
    changed = [step("a", command=["list", "data"]), step("b", "a")]
    launcher = ScriptedLauncher()
    run(tmp_path, changed, launcher)
    assert launcher.started == ["a", "b"]


def test_no_more_than_the_slots_at_a_time(tmp_path):
    most = []
    runner = Runner([step(name) for name in "abcd"], tmp_path, ScriptedLauncher(slots=2), Ledger(tmp_path))
    runner.run(lambda jobs: most.append(sum(job.state == RUNNING for job in jobs)))
    assert max(most) == 2


def test_a_step_that_outlived_its_runner_is_found_again(tmp_path):
    launcher = ScriptedLauncher({"a": None}, tokens=True)
    runner = Runner([step("a")], tmp_path, launcher, Ledger(tmp_path))

    def kill(jobs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.run(kill)
    assert runner.jobs[0].handle.stopped
    later = ScriptedLauncher(tokens=True)
    assert run(tmp_path, [step("a")], later) == {"a": DONE}
    assert (later.started, later.attached) == ([], ["token of a"])


def test_a_failed_job_is_not_looked_for_again(tmp_path):
    run(tmp_path, [step("a")], ScriptedLauncher({"a": 1}, tokens=True))
    later = ScriptedLauncher(tokens=True)
    run(tmp_path, [step("a")], later)
    assert (later.started, later.attached) == (["a"], [])


def test_words_of_a_log(tmp_path):
    log = tmp_path / "x.log"
    assert read_words(log).last == ""
    log.write_text("begun\nstep 1,120/4,000, 0.31 s each, 14.9 min left, loss_d 1.2\n\rcheckpoint written\n")
    words = read_words(log)
    assert (words.last, words.step, words.minutes) == ("checkpoint written", "1,120/4,000", 14.9)
    log.write_text("no step 3/4 with a time\n")
    assert read_words(log).step == ""
    assert Path(log).is_file()
