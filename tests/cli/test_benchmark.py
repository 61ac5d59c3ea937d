import json

import pytest

from t2igan.cli.benchmark import read_plan
from t2igan.cli.main import main


def write_plan(tmp_path, *commands):
    steps = "".join(f"  - {{name: step {k}, run: {command}}}\n" for k, command in enumerate(commands))
    path = tmp_path / "plan.yaml"
    path.write_text(f"folder: {tmp_path / 'plan'}\nsteps:\n{steps}")
    return str(path)


def test_steps_that_are_done_are_left_out(tmp_path, capfd):
    plan = write_plan(tmp_path, "list models", "list protocols")
    main(["benchmark", plan])
    first = capfd.readouterr().out
    assert "SSAGANGenerator" in first
    assert "done before" not in first
    main(["benchmark", plan])
    again = capfd.readouterr().out
    assert again.count("done before") == 2
    assert "SSAGANGenerator" not in again


def test_a_changed_step_runs_again(tmp_path, capfd):
    main(["benchmark", write_plan(tmp_path, "list models")])
    main(["benchmark", write_plan(tmp_path, "list data")])
    assert "DrawnBirds" in capfd.readouterr().out


def test_a_step_that_fails_does_not_stop_the_others(tmp_path, capfd):
    with pytest.raises(SystemExit) as exit_:
        main(["benchmark", write_plan(tmp_path, "list nothing", "list models")])
    assert exit_.value.code == 2
    captured = capfd.readouterr()
    assert "failed: step 0" in captured.err
    assert list(json.loads((tmp_path / "plan" / "plan.json").read_text())) == ["step 1"]


@pytest.mark.parametrize(
    ("text", "words"),
    [("folder: x\n", "the plan needs"), ("folder: x\nsteps: [{name: a}]\n", "step 1"), ("a: [", "not YAML")],
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
    assert plan.steps[0].command == ["sample", "--caption", "a red bird"]


def read_plan_of(tmp_path, command):
    path = tmp_path / "plan.yaml"
    path.write_text(f'folder: x\nsteps:\n  - {{name: s, run: "{command}"}}\n')
    return read_plan(path)
