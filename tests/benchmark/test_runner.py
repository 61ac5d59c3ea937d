import pytest

from t2igan.benchmark.launchers.base import Handle, Launcher
from t2igan.benchmark.ledger import Ledger
from t2igan.benchmark.runner import DONE, FAILED, LEFT, RUNNING, Runner
from t2igan.benchmark.steps import Step
from t2igan.progress import Progress

pytestmark = pytest.mark.usefixtures("no_waiting")


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


@pytest.mark.parametrize(("step", "first", "second"), [(5, False, False), (6, True, False), (9, True, False)])
def test_a_phase_is_done_while_the_next_is_under_way_in_the_same_folder(monkeypatch, step, first, second):
    """It would have been trained again, which trains nothing, and failed for ever."""
    monkeypatch.setattr("t2igan.benchmark.steps.read_progress", lambda path: Progress(step, 0, 12, -1, False))
    phases = [("fit", "--run", "a", "--trainer.max_steps", "6"), ("fit", "--run=a", "--trainer.max_steps=12")]
    assert [Step("phase", words, (), "").shortfall() is None for words in phases] == [first, second]
    assert Step("no length", ("fit", "--run", "a"), (), "").shortfall() is not None
