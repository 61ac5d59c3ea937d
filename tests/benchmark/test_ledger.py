import pytest
from test_runner import ScriptedLauncher, run, step

from t2igan.benchmark.ledger import Ledger, LedgerEntry
from t2igan.benchmark.runner import DONE, Runner
from t2igan.errors import UserError

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


DAMAGED = [
    b"",  # what a power cut leaves
    b"\0\0",
    b"\xff",
    b'{"a": {"finger',
    b"[]",
    b'{"a": 3}',
    b'{"a": {}}',
    b'{"a": {"fingerprint": 3}}',
    b'{"a": {"fingerprint": "x", "seconds": "long"}}',
    b'{"a": {"fingerprint": "x", "days": 3}}',
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_one_is_named(tmp_path, content):
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises(UserError, match=r"plan\.json.*: delete it") as caught:
        Ledger(tmp_path)
    assert "\n" not in str(caught.value)
    assert Ledger(tmp_path, fresh=True).find("a", "x") is None


def test_what_is_written_is_read(tmp_path):
    entry = LedgerEntry("x", seconds=1.5)
    Ledger(tmp_path).write("a", entry)
    assert Ledger(tmp_path).find("a", "x") == entry
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]
