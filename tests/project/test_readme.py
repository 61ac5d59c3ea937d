"""What the README shows is what the command takes."""

import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from test_experiments import OnlyParse

from t2igan.benchmark.reading import read_plan
from t2igan.cli import fit, parsing
from t2igan.cli.main import VERBS, main
from t2igan.evaluation.protocol import load_protocol

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


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


def test_your_own_generator_takes_one_file_and_one_yaml(tmp_path, monkeypatch, drawn_birds_store):
    (code,) = blocks("python")
    config = next(block for block in blocks("yaml") if "mine.Mine" in block)
    (tmp_path / "mine.py").write_text(code)
    small = (
        config.replace("datasets/drawn-birds/drawn-birds-64.h5", str(drawn_birds_store))
        .replace("damsm: runs/quickstart/damsm/checkpoints/last.ckpt", "damsm: null\n    damsm_weight: 0")
        .replace(
            "max_steps: 100", "max_steps: 2, limit_val_batches: 0, accelerator: cpu, enable_progress_bar: false"
        )
        .replace("channels: 16", "channels: 2")
    )
    assert small.count(str(drawn_birds_store)) == 1
    (tmp_path / "mine.yaml").write_text(small)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    main(["fit", "--config", "mine.yaml"])
    checkpoint = tmp_path / "runs" / "mine" / "checkpoints" / "last.ckpt"
    main(["sample", "--checkpoint", str(checkpoint), "--caption", "a red bird", "--n", "1", "--out", "drawn"])
    assert (tmp_path / "drawn" / "c000_s00.png").is_file()


def test_table_and_picture_of_the_quickstart_are_there():
    assert "QUICKSTART" not in README
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file()
