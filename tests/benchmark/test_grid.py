from pathlib import Path

import pytest
import yaml
from matrix_plans import DAMSM, address, cells, option, plan

from t2igan.errors import UserError


def test_a_grid_makes_an_experiment_of_each_combination(place):
    grid = {"model.lr_generator": [0.0001, 0.0002], "model.text_mode": ["frozen", "joint"]}
    steps = [step for step in cells(seeds=[0], grid=grid) if "mirrorgan" in step.cell and step.command[0] == "fit"]
    assert [step.cell.removeprefix("birds · ") for step in steps] == [
        f"mirrorgan-lr_generator={rate}-text_mode={mode}-seed0"
        for rate in ("0.0001", "0.0002")
        for mode in ("frozen", "joint")
    ]
    assert len({address(step) for step in steps}) == 4
    assert steps[2].command[-4:] == ["--model.lr_generator", "0.0002", "--model.text_mode", "frozen"]
    entry = {"config": "experiments/small/mirrorgan.yaml", "grid": {"model.lr_generator": [0.1, 0.2]}}
    own = [step for step in cells(models=[entry], seeds=[0]) if step.cell.startswith("birds · mirrorgan-lr")]
    assert len({address(step) for step in own if step.command[0] == "fit"}) == 2


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ({"model.lr_generator": 0.1}, r"grid\.model\.lr_generator: 0\.1 is not a list"),
        ({"model.lr_generator": []}, "must be a list of values"),
        ({"model.lr_generator": [0.1, 0.1]}, "has a value twice"),
        ([0.1], r"grid: \[0\.1\] is not a mapping"),
    ],
)
def test_what_is_no_grid_is_refused(place, grid, words):
    with pytest.raises(UserError, match=words):
        plan(grid=grid)


def test_a_damsm_that_a_grid_names_is_trained_and_scored_with(place):
    (place / "other.yaml").write_text("seed_everything: 1\n" + DAMSM)
    damsms = [f"runs/small/{name}/checkpoints/last.ckpt" for name in ("damsm", "other")]
    entry = {"config": "experiments/small/mirrorgan.yaml", "grid": {"model.damsm": damsms}}
    steps = cells(models=[entry], seeds=[0])
    scores = [step for step in steps if step.command[0] == "evaluate"]
    assert ["damsm-seed0" in option(scores[0], "damsm"), "other-seed1" in option(scores[1], "damsm")] == [True] * 2
    models = [step for step in steps if step.command[0] == "fit" and "mirrorgan" in step.cell]
    named = [yaml.safe_load(Path(option(step, "config")).read_text())["model"]["init_args"] for step in models]
    assert [own["damsm"] for own in named] == [option(step, "damsm") for step in scores]
