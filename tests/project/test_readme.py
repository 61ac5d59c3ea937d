"""What the README and docs/ show is what the command takes."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from test_experiments import OnlyParse

from t2igan.benchmark.reading import read_plan
from t2igan.cli import fit, parsing
from t2igan.cli.main import VERBS
from t2igan.evaluation.protocol import load_protocol

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [README, *(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md")))]


def blocks(language):
    return [block for page in PAGES for block in re.findall(rf"```{language}\n(.*?)```", page, re.S)]


def commands():
    text = "\n".join(blocks("bash")).replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in text.splitlines() if line.startswith("t2igan ")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_command_is_accepted(words, monkeypatch, tmp_path):
    _, verb, *rest = words
    assert verb in VERBS
    if verb == "fit":
        monkeypatch.chdir(ROOT)
        settings = {"subclass_mode_model": True, "subclass_mode_data": True, "auto_configure_optimizers": False}
        monkeypatch.setattr(OnlyParse, "words", words)
        fit.import_classes()
        with torch.device("meta"):
            OnlyParse(pl.LightningModule, pl.LightningDataModule, args=["fit", *rest], **settings)
        return
    module = importlib.import_module(VERBS[verb][0])
    if verb == "list":
        module.run(verb, rest)
        return
    if verb == "doctor":
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as told:  # 1: something is missing in an empty folder
            module.run(verb, rest)
        assert told.value.code == 1
        return
    if "--allow" in words:  # the module lies where the command is typed
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("t2igan.nn.config._allowed", set())
        (tmp_path / f"{words[words.index('--allow') + 1]}.py").touch()
    taken = {}
    monkeypatch.setattr(
        module, "call", lambda function, argv, name: taken.update(parsing.parse(function, argv, name))
    )
    module.run(verb, rest)
    assert taken
    if verb == "evaluate":
        assert load_protocol(taken["protocol"])


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^make (\S+)", "\n".join(blocks("bash")), re.M)
    assert set(targets) == {"quickstart", "test"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M)


def test_the_plan_that_is_shown_is_a_plan(tmp_path, monkeypatch, drawn_birds_store):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    (tmp_path / "plan.yaml").write_text(next(block for block in blocks("yaml") if "seeds:" in block))
    plan = read_plan(Path("plan.yaml"))
    store = Path(plan.phases[0]()[0].command[-1])
    store.parent.mkdir(parents=True)
    store.symlink_to(drawn_birds_store)
    trained = [step for step in plan.phases[1]() if step.command[0] == "fit"]
    assert len([step for step in trained if "--model.text_mode" in step.command]) == 3


def test_table_and_image_of_the_quickstart_are_there():
    assert "QUICKSTART" not in README
    for image in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / image).is_file()


def test_pages_link_to_what_is_there():
    assert len(README.splitlines()) < 150
    for folder, page in [(ROOT, README), *zip([ROOT / "docs"] * len(PAGES[1:]), PAGES[1:])]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page):
            assert (folder / target).exists(), target


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_a_page_begins_with_what_it_is_for(page):
    title, empty, first, *_ = page.read_text(encoding="utf-8").splitlines()
    assert title.startswith("# ") and not empty
    assert re.match(r"[\w`]", first) and not first.startswith("```"), first
