import json
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from t2igan.benchmark.reading import read_plan
from t2igan.errors import UserError

DAMSM = "model: {class_path: DAMSM}\n"
STREAM = "model: {class_path: STREAM, init_args: {damsm: runs/small/damsm/checkpoints/last.ckpt}}\n"
MIRROR = """
model:
  class_path: MirrorGAN
  init_args:
    damsm: runs/small/damsm/checkpoints/last.ckpt
    generator_losses:
      - {class_path: Redescription, init_args: {captioner: runs/small/stream/checkpoints/last.ckpt}}
data: {class_path: DrawnBirds, init_args: {store: somewhere.h5, image_size: 32}}
"""
PLAIN = MIRROR.replace("damsm: runs/small/damsm", "damsm: runs/bought/damsm")


@pytest.fixture
def place(tmp_path, monkeypatch, drawn_birds_store):
    """A folder with experiments, a store and a plan's head."""
    monkeypatch.chdir(tmp_path)
    folder = Path("experiments/small")
    folder.mkdir(parents=True)
    for name, text in {"damsm": DAMSM, "stream": STREAM, "mirrorgan": MIRROR}.items():
        (folder / f"{name}.yaml").write_text(text)
    Path("birds.h5").symlink_to(drawn_birds_store)
    return folder


def plan(**changes):
    data = {
        "store": "birds.h5",
        "models": ["experiments/small/mirrorgan.yaml"],
        "protocols": ["drawn-birds/quick"],
    }
    top = {"folder": "out", "seeds": [0, 1], "datasets": {"birds": data}}
    for key, value in changes.items():
        (top if key in ("seeds", "wandb", "evaluate", "launcher", "grid") else data)[key] = value
    Path("plan.yaml").write_text(yaml.safe_dump(top))
    return read_plan(Path("plan.yaml"))


def cells(**changes):
    return plan(**changes).phases[1]()


def option(step, name):
    return step.command[step.command.index(f"--{name}") + 1]


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


def address(step):
    return Path(option(step, "run")).parent.name


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


def test_a_given_damsm_is_scored_with(place):
    given = "runs/small/damsm/checkpoints/last.ckpt"
    Path(given).parent.mkdir(parents=True)
    Path(given).write_bytes(b"weights")
    scores = next(step for step in cells(given=[given]) if step.command[0] == "evaluate")
    assert option(scores, "damsm") == given


def test_a_dry_run_says_what_comes_and_what_will_be_missing(place, capsys):
    from t2igan.cli.main import main

    Path("birds.h5").unlink()
    plan(prepare="drawn-birds", seeds=[0], grid={"model.lr_generator": [0.1, 0.2]})
    main(["benchmark", "plan.yaml", "--dry_run", "true"])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("then")] == [
        f"then birds · mirrorgan-lr_generator={rate}-seed0: fit, evaluate by drawn-birds/quick"
        for rate in (0.1, 0.2)
    ]
    missing = [line for line in lines if line.startswith("missing")]
    assert any("fd-classifier of drawn-birds/quick lacks `classifier`" in line for line in missing)
    assert not any("r-precision" in line for line in missing)
    assert not list(Path("out").rglob("*.ckpt"))


def test_a_checkpoint_that_is_given_is_not_trained(place):
    given = "runs/small/damsm/checkpoints/last.ckpt"
    with pytest.raises(UserError, match="not there"):
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
    with pytest.raises(UserError, match=r"birds\.h5 is not there"):
        plan().phases[0]()
    prepared = plan(prepare="drawn-birds --image_size 32")
    assert [step.command for step in prepared.phases[0]()] == [
        ["prepare", "drawn-birds", "--image_size", "32", "--out", "birds.h5"]
    ]
    assert prepared.phases[1]() == []


def test_everything_that_is_missing_is_said_at_once(place):
    (place / "mirrorgan.yaml").write_text(PLAIN)
    with pytest.raises(UserError) as error:
        cells(models=["experiments/small/mirrorgan.yaml", "experiments/small/nothing.yaml"])
    message = str(error.value)
    assert "runs/bought/damsm/checkpoints/last.ckpt" in message
    assert "nothing.yaml: no such file" in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": ["a"]}, r"seeds\[0\]: 'a' is not of type int"),
        ({"seeds": [-1]}, "seeds must be"),
        ({"seeds": []}, "seeds must be"),
        ({"baselines": ["fake"]}, r"datasets\.birds\.baselines\[0\]: 'fake' is not one of real, untrained"),
        ({"models": ["a/x.yaml", "b/x.yaml"]}, "two entries called x"),
        ({"models": [{"name": "x"}]}, r"datasets\.birds\.models\[0\]\.config is missing"),
        (
            {"models": [{"config": "x.yaml", "seed": 1}]},
            r"models\[0\]\.seed: unknown key; there are config, name, set, grid",
        ),
        ({"classifier": {"config": "x.yaml", "seed": -1}}, r"birds\.classifier\.seed: -1 is below 0"),
        ({"prepare": "a 'b"}, "prepare of data set birds is no command line"),
        ({"wandb": "sometimes"}, r"wandb\.mode: 'sometimes' is not one of online, offline, disabled"),
        ({"colour": "red"}, "colour: unknown key; there are"),
        ({"models": "x.yaml"}, r"datasets\.birds\.models: 'x\.yaml' is not a list"),
    ],
)
def test_a_matrix_that_is_none(place, changes, words):
    with pytest.raises(UserError, match=words):
        plan(**changes)


def test_a_protocol_that_is_none(place):
    with pytest.raises(UserError, match="quack"):
        plan(protocols=["drawn-birds/quack"]).phases[0]()


def test_runs_of_the_report(place):
    report = cells()[-1]
    assert [Path(run).name for run in json.loads(option(report, "runs"))] == ["mirrorgan-seed0", "mirrorgan-seed1"]
