import sys

import pytest

from t2igan.cli import quick_fit
from t2igan.cli.main import main


@pytest.mark.parametrize("verb", quick_fit.VERBS)
def test_the_quick_keys_are_those_of_the_real_parser(verb, monkeypatch):
    from t2igan.cli.fit import SuiteCLI, run

    with pytest.raises(SystemExit):
        run(verb, ["--help"])
    roots = {option.partition(".")[0] for option in SuiteCLI.options}
    assert {key for key in roots if not key.startswith("-")} <= quick_fit.root_keys(verb) | {"verbose"}
    trainer = {option.split(".")[1] for option in SuiteCLI.options if option.startswith("trainer.")}
    assert trainer <= set(quick_fit._trainer_arguments("__init__"))


@pytest.mark.parametrize("words", [["--config", "a=1-b=2.yaml"], ["--config=a=1-b=2.yaml"], ["-c", "a=1-b=2.yaml"]])
def test_a_files_name_may_have_an_equals_sign(words):
    assert quick_fit.config_files(["--trainer.max_steps=3", *words, "--run", "x=1"]) == ["a=1-b=2.yaml"]


def test_help_of_a_class_names_the_program(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["__main__.py"])
    with pytest.raises(SystemExit):
        main(["fit", "--model.help", "SSAGAN"])
    assert capsys.readouterr().out.startswith("usage: t2igan fit ")
