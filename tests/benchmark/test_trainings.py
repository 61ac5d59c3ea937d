import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from matrix_plans import DAMSM, MIRROR, address, cells, option

from t2igan.errors import UserError


def test_what_a_model_needs_is_trained_first_and_once(place):
    steps = cells()
    verbs = [step.command[0] for step in steps]
    labels = [step.cell.rpartition(" ")[2] for step in steps]
    assert labels[:2] == ["damsm-seed0", "stream-seed0"]
    assert verbs == ["fit", "fit", "fit", "evaluate", "fit", "evaluate", "report"]
    damsm, stream, first, scores, second, _, report = steps
    assert stream.after == [damsm.name]
    assert set(first.after) == set(second.after) == {damsm.name, stream.name}
    assert first.name in scores.after and damsm.name in scores.after
    assert report.anyway and len(report.after) == 6


def test_configurations_name_what_the_plan_trains(place):
    damsm, stream, first, scores, second, *_ = cells()
    content = yaml.safe_load(Path(option(first, "config")).read_text())
    assert content["model"]["init_args"]["damsm"] == f"{option(damsm, 'run')}/checkpoints/last.ckpt"
    loss = content["model"]["init_args"]["generator_losses"][0]["init_args"]
    assert loss["captioner"] == f"{option(stream, 'run')}/checkpoints/last.ckpt"
    assert content["data"]["init_args"]["store"] == "birds.h5"
    assert option(scores, "damsm") == content["model"]["init_args"]["damsm"]
    other = yaml.safe_load(Path(option(second, "config")).read_text())
    for each, seed in ((content, 0), (other, 1)):
        seeds = each["seed_everything"], each["model"]["init_args"]["seed"], each["data"]["init_args"]["seed"]
        assert seeds == (seed,) * 3
    assert "seed" not in yaml.safe_load(Path(option(damsm, "config")).read_text())["model"].get("init_args", {})


def test_seeds_share_the_address_and_nothing_else(place):
    runs = [
        Path(option(step, "run"))
        for step in cells()
        if step.cell.startswith("birds · mirrorgan") and step.command[0] == "fit"
    ]
    assert runs[0].parent == runs[1].parent
    assert [run.name for run in runs] == ["mirrorgan-seed0", "mirrorgan-seed1"]


def test_a_class_of_ones_own_is_found_trained_anew_and_allowed(place, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("t2igan.user_modules._beside", [])
    monkeypatch.setattr("t2igan.user_modules._added", [])
    own = place / "nets_of_a_plan.py"
    own.write_text("x = 1\n")
    config = yaml.safe_load(MIRROR)
    config["model"]["init_args"]["generator"] = {"class_path": "nets_of_a_plan.Mine"}
    (place / "mirrorgan.yaml").write_text(yaml.safe_dump(config))
    *_, first, scores, _, _, report = cells()
    assert yaml.safe_load(Path(option(first, "config")).read_text())["allow"] == [str(own)]
    assert option(scores, "allow") == str(own) and "--allow" not in report.command
    before = address(first)
    own.write_text("x = 1  # a comment\n")
    assert address(cells()[2]) == before
    own.write_text("x = 2\n")
    assert address(cells()[2]) != before
    own.unlink()
    with pytest.raises(UserError, match=r"no module .nets_of_a_plan.: looked for nets_of_a_plan\.py in .*small"):
        cells()


def test_what_scores_a_training_is_trained_with_the_seed_of_its_own_file(place):
    (place / "other.yaml").write_text("seed_everything: 1\n" + DAMSM)
    scores = {"independent_damsm": ["runs/small/other/checkpoints/last.ckpt"], "protocol": "drawn-birds/quick"}
    config = yaml.safe_load(MIRROR) | {"trainer": {"callbacks": [{"class_path": "Scores", "init_args": scores}]}}
    (place / "mirrorgan.yaml").write_text(yaml.safe_dump(config))
    steps = cells(independent_damsm=["experiments/small/other.yaml"])
    (other,) = [step for step in steps if step.command[0] == "fit" and "other" in step.name]
    assert yaml.safe_load(Path(option(other, "config")).read_text())["seed_everything"] == 1
    models = [step for step in steps if step.command[0] == "fit" and "mirrorgan" in step.name]
    assert len(models) == 2 and all(other.name in step.after for step in models)
    (own,) = yaml.safe_load(Path(option(models[0], "config")).read_text())["trainer"]["callbacks"]
    assert own["init_args"]["independent_damsm"] == [f"{option(other, 'run')}/checkpoints/last.ckpt"]
    evaluate = next(step for step in steps if step.command[0] == "evaluate")
    damsms = [word for before, word in pairwise(evaluate.command) if before == "--damsm"]
    assert "damsm-" in damsms[0] and damsms[1] == own["init_args"]["independent_damsm"][0]


def test_a_copy_outside_experiments_is_trained_on_what_is_shipped_unless_it_is_there(place):
    alone = yaml.safe_load(MIRROR)
    del alone["model"]["init_args"]["generator_losses"]
    alone["model"]["init_args"]["damsm"] = "runs/quickstart/damsm/checkpoints/last.ckpt"
    Path("mine").mkdir()
    Path("mine/mirrorgan.yaml").write_text(yaml.safe_dump(alone))
    damsm, fit, *_ = cells(models=["mine/mirrorgan.yaml"], seeds=[0])
    assert yaml.safe_load(Path(option(damsm, "config")).read_text())["model"]["class_path"] == "DAMSM"
    trained = yaml.safe_load(Path(option(fit, "config")).read_text())["model"]["init_args"]["damsm"]
    assert trained == f"{option(damsm, 'run')}/checkpoints/last.ckpt"
    Path("runs/quickstart/damsm/checkpoints").mkdir(parents=True)
    Path("runs/quickstart/damsm/checkpoints/last.ckpt").write_bytes(b"one's own")
    fit, *_ = cells(models=["mine/mirrorgan.yaml"], seeds=[0])
    own = yaml.safe_load(Path(option(fit, "config")).read_text())["model"]["init_args"]["damsm"]
    assert own == "runs/quickstart/damsm/checkpoints/last.ckpt"


def test_the_address_follows_the_content(place):
    damsm, stream, first, *_ = cells()
    (place / "damsm.yaml").write_text(f"# a comment\n{DAMSM}")
    assert [address(step) for step in cells()[:3]] == [address(step) for step in (damsm, stream, first)]
    (place / "damsm.yaml").write_text("model: {class_path: DAMSM, init_args: {lr: 0.1}}\n")
    changed = cells()
    assert all(address(new) != address(old) for new, old in zip(changed, (damsm, stream, first)))
    again = cells(models=[{"config": "experiments/small/mirrorgan.yaml", "set": {"model.lr_generator": 0.5}}])
    assert [address(step) for step in again[:2]] == [address(step) for step in changed[:2]]
    assert address(again[2]) != address(changed[2])
    assert again[2].command[-2:] == ["--model.lr_generator", "0.5"]


def test_a_damsm_in_the_place_of_the_files_is_scored_with_and_nothing_is_trained_for_it(place):
    alone = yaml.safe_load(MIRROR)
    del alone["model"]["init_args"]["generator_losses"]
    Path("experiments/small/alone.yaml").write_text(yaml.safe_dump(alone))
    zoo = "zoo:drawn-birds/damsm"
    fit, scores, _ = cells(
        models=[{"config": "experiments/small/alone.yaml", "set": {"model.damsm": zoo}}], seeds=[0]
    )
    assert (fit.command[0], option(scores, "damsm")) == ("fit", zoo)
    assert yaml.safe_load(Path(option(fit, "config")).read_text())["model"]["init_args"]["damsm"] == zoo
