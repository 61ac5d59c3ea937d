import json
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from matrix_plans import address, cells, option, plan

from t2igan.errors import UserError


def test_a_given_damsm_is_scored_with(place):
    given = "runs/small/damsm/checkpoints/last.ckpt"
    Path(given).parent.mkdir(parents=True)
    Path(given).write_bytes(b"weights")
    scores = next(step for step in cells(given=[given]) if step.command[0] == "evaluate")
    assert option(scores, "damsm") == given


def test_a_checkpoint_that_is_given_is_not_trained(place):
    given = "runs/small/damsm/checkpoints/last.ckpt"
    with pytest.raises(UserError, match="does not exist"):
        cells(given=[given])
    Path(given).parent.mkdir(parents=True)
    Path(given).write_bytes(b"weights")
    first = next(step for step in cells(given=[given]) if step.cell.endswith("mirrorgan-seed0"))
    content = yaml.safe_load(Path(option(first, "config")).read_text())
    assert content["model"]["init_args"]["damsm"] == given
    before = address(first)
    Path(given).write_bytes(b"other weights")
    assert address(next(step for step in cells(given=[given]) if "mirrorgan" in step.cell)) != before


def test_networks_that_score_and_baselines(place):
    (place / "classifier.yaml").write_text("model: {class_path: EvaluationClassifier}\n")
    steps = cells(
        independent_damsm=[{"config": "experiments/small/damsm.yaml", "seed": 1}],
        classifier="experiments/small/classifier.yaml",
        baselines=["real", "untrained"],
        evaluate={"skip_missing": True},
    )
    real, first, second = [step.command for step in steps if step.command[0] == "evaluate"]
    damsms = [word for before, word in pairwise(first) if before == "--damsm"]
    assert [Path(damsm).parents[1].name for damsm in damsms] == ["damsm-seed0", "damsm-seed1"]
    assert "--real" in real and "--untrained" in first and "--untrained" not in second
    assert first[first.index("--skip_missing") + 1] == "true"
    assert "classifier-seed0" in first[first.index("--classifier") + 1]


def test_tracking_has_a_project_for_the_plan_and_a_group_for_each_model(place):
    steps = [step for step in cells(wandb="offline") if step.command[0] == "fit"]
    assert all(step.command[-2:] == ["--trainer.logger", "WandbLogger"] for step in steps)
    assert {step.environment["WANDB_PROJECT"] for step in steps} == {"plan"}
    assert steps[-1].environment["WANDB_RUN_GROUP"] == address(steps[-1])
    assert steps[-1].environment["WANDB_TAGS"] == "birds"
    assert [address(step) for step in steps] == [address(step) for step in cells() if step.command[0] == "fit"]


def test_a_store_is_prepared_first(place):
    Path("birds.h5").unlink()
    with pytest.raises(UserError, match=r"birds\.h5 does not exist"):
        plan().phases[0]()
    prepared = plan(prepare="drawn-birds --image_size 32")
    assert [step.command for step in prepared.phases[0]()] == [
        ["prepare", "drawn-birds", "--image_size", "32", "--out", "birds.h5"]
    ]
    assert prepared.phases[1]() == []


def test_runs_of_the_report(place):
    report = cells()[-1]
    assert [Path(run).name for run in json.loads(option(report, "runs"))] == ["mirrorgan-seed0", "mirrorgan-seed1"]
