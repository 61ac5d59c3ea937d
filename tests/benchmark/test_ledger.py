import pytest
from test_runner import ScriptedLauncher, run, step

from t2igan.benchmark.ledger import Ledger
from t2igan.benchmark.runner import DONE, Runner

pytestmark = pytest.mark.usefixtures("no_waiting")


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
