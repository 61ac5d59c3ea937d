import json
import shlex
import signal
import subprocess
import sys

import pytest

from t2igan.benchmark.reading import read_plan
from t2igan.benchmark.runner import DONE, RUNNING, WAITING, Job
from t2igan.benchmark.steps import Step
from t2igan.cli import benchmark
from t2igan.cli.main import main

AFTER = "folder: x\nsteps: [{name: a, run: b, after: [c]}]\n"


def write_plan(tmp_path, *commands):
    steps = "".join(f"  - {{name: step {k}, run: {command}}}\n" for k, command in enumerate(commands))
    path = tmp_path / "plan.yaml"
    path.write_text(f"folder: {tmp_path / 'plan'}\nsteps:\n{steps}")
    return str(path)


def ledger(tmp_path):
    return json.loads((tmp_path / "plan" / "plan.json").read_text())


def test_steps_that_are_done_are_left_out(tmp_path, capfd):
    plan = write_plan(tmp_path, "list generators", "list protocols")
    main(["benchmark", plan])
    assert "drawn-birds/quick" in capfd.readouterr().out
    assert "SSAGAN" in (tmp_path / "plan/logs/step-0.log").read_text()
    (tmp_path / "plan/logs/step-0.log").unlink()
    main(["benchmark", plan])
    assert not (tmp_path / "plan/logs/step-0.log").exists()
    assert set(ledger(tmp_path)) == {"step 0", "step 1"}


def test_what_a_dry_run_shows_can_be_typed(tmp_path, capfd):
    command = """report a.jsonl --runs '["runs/a b", "runs/c"]'"""
    (tmp_path / "plan.yaml").write_text(
        f"folder: {tmp_path / 'plan'}\nsteps:\n  - name: one\n    run: >-\n      {command}\n"
    )
    main(["benchmark", str(tmp_path / "plan.yaml"), "--dry_run", "true"])
    shown = next(line for line in capfd.readouterr().out.splitlines() if line.startswith("    t2igan"))
    assert shlex.split(shown) == ["t2igan", *shlex.split(command)]
    assert not (tmp_path / "plan").exists()


def test_a_changed_step_runs_again(tmp_path, capfd):
    main(["benchmark", write_plan(tmp_path, "list generators")])
    main(["benchmark", write_plan(tmp_path, "list data")])
    assert "DrawnBirds" in capfd.readouterr().out


def test_a_step_that_fails_does_not_stop_the_others_but_what_needs_it(tmp_path, capfd):
    path = tmp_path / "plan.yaml"
    path.write_text(f"""
folder: {tmp_path / "plan"}
launcher: {{kind: local, jobs: 2}}
steps:
  - {{name: broken, run: list nothing}}
  - {{name: sound, run: list generators, after: []}}
  - {{name: needy, run: list data, after: [broken]}}
""")
    with pytest.raises(SystemExit) as exit_:
        main(["benchmark", str(path)])
    assert exit_.value.code == 2
    captured = capfd.readouterr()
    assert "failed: broken" in captured.err
    assert "say what to list" in captured.err
    assert list(ledger(tmp_path)) == ["sound"]
    assert not (tmp_path / "plan/logs/needy.log").exists()


def test_steps_die_with_the_benchmark(tmp_path):
    """Else a restart would meet its own orphans in the run folders."""
    code = "from t2igan.benchmark.orphans import end_with; end_with(1)"
    done = subprocess.run([sys.executable, "-c", code], timeout=20)
    assert done.returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("folder: x\n", "steps is missing"),
        ("folder: x\nsteps: [{name: a}]\n", "steps[0].run is missing"),
        ("folder: x\nstep: []\n", "step: unknown key (did you mean steps?)"),
        ("- folder: x\n", "must hold keys and values"),
        (AFTER, "not an earlier step"),
        ("a: [", "not YAML"),
    ],
)
def test_a_plan_that_is_none(tmp_path, capsys, text, words):
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(SystemExit):
        main(["benchmark", str(tmp_path / "plan.yaml")])
    error = capsys.readouterr().err
    assert words in error
    assert "plan.yaml" in error


def test_a_plan_that_is_not_there(capsys):
    with pytest.raises(SystemExit):
        main(["benchmark", "nowhere.yaml"])
    assert "nowhere.yaml" in capsys.readouterr().err


def test_commands_are_split_as_a_shell_does(tmp_path):
    plan = read_plan_of(tmp_path, "sample --caption 'a red bird'")
    assert plan.phases[0]()[0].command == ["sample", "--caption", "a red bird"]


def read_plan_of(tmp_path, command):
    path = tmp_path / "plan.yaml"
    path.write_text(f'folder: x\nsteps:\n  - {{name: s, run: "{command}"}}\n')
    return read_plan(path)


def test_without_a_terminal_a_line_says_how_far_it_is(tmp_path, capsys):
    (tmp_path / "b.log").write_text("step 120/1080, 0.50 s each, 8.0 min left, loss_g 1.00\n")
    (tmp_path / "c.log").write_text("reading\n")
    jobs = [Job(Step(name, ["fit"], [], name), tmp_path / f"{name}.log") for name in "abcd"]
    for job, state in zip(jobs, (DONE, RUNNING, RUNNING, WAITING)):
        job.state, job.seconds = state, 130.0
    lines = benchmark._Lines(every_seconds=0)
    lines(jobs)
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 4 steps done; b: 120/1080, 8 min left; c: 2 min"
    lines.every_seconds = 30
    lines(jobs)
    assert capsys.readouterr().out == "", "the next one comes half a minute later"


def test_what_was_deleted_is_made_again(tmp_path, capfd):
    """A report then had no row of what stood in the deleted file; a dry run called it done."""
    written = tmp_path / "attngan.safetensors"
    plan = write_plan(tmp_path, f"export zoo:drawn-birds/attngan --out {written}")
    for expected in ("to do", "done"):
        main(["benchmark", plan, "--dry_run", "true"])
        assert f"step 0 [{expected}]" in capfd.readouterr().out
        main(["benchmark", plan])
    written.unlink()
    main(["benchmark", plan, "--dry_run", "true"])
    assert "step 0 [to do]" in capfd.readouterr().out
    main(["benchmark", plan])
    assert written.is_file()
