"""Reads a plan file: a list of steps, or a matrix."""

import shlex
from pathlib import Path
from typing import Any

from t2igan.benchmark.keys import expect_keys, expect_kind, launcher_settings
from t2igan.benchmark.matrix import DataSet, Matrix
from t2igan.benchmark.steps import Plan, Step
from t2igan.benchmark.trainings import Wanted
from t2igan.errors import UserError
from t2igan.plain_files import read_yaml

BASELINES = ("real", "untrained")
WANDB_MODES = ("online", "offline", "disabled")


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        UserError: the file is missing, or a key of it is missing, unknown or wrong.
    """
    if not path.is_file():
        raise UserError(f"no plan at {path}")
    content = read_yaml(path)
    if isinstance(content, dict) and "datasets" in content:
        matrix = read_matrix(path, content)
        return Plan(matrix.folder, launcher_settings(path, content), [matrix.preparation, matrix.cells])
    expect_keys(path, "the plan", content, {"folder", "steps"}, {"launcher"})
    steps = _steps(path, content["steps"])
    return Plan(Path(content["folder"]), launcher_settings(path, content), [lambda: steps])


def _steps(path: Path, entries: Any) -> list[Step]:
    expect_kind(path, "steps", entries, list, "a list")
    steps: list[Step] = []
    for position, entry in enumerate(entries, start=1):
        expect_keys(path, f"step {position}", entry, {"name", "run"}, {"after"})
        before = [step.name for step in steps]
        after = entry.get("after", before)
        expect_kind(path, f"after of step {position}", after, list, "a list of names")
        unknown = sorted(set(after) - set(before))
        if unknown or entry["name"] in before:
            what = f"waits for {unknown[0]!r}, which is no earlier step" if unknown else "has the name of another"
            raise UserError(f"{path}: step {position} ({entry['name']}) {what}")
        steps.append(Step(entry["name"], shlex.split(entry["run"]), after, cell=entry["name"]))
    return steps


def read_matrix(path: Path, content: dict[str, Any]) -> Matrix:
    """The matrix of a plan file.

    Raises:
        UserError: a key is missing, unknown or wrong.
    """
    expect_keys(path, "the plan", content, {"folder", "datasets"}, {"launcher", "seeds", "evaluate", "wandb"})
    expect_kind(path, "datasets", content["datasets"], dict, "a mapping of names to data sets")
    seeds = content.get("seeds", [0])
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int for seed in seeds):
        raise UserError(f"{path}: seeds must be a list of whole numbers, it is {seeds!r}")
    evaluate = content.get("evaluate", {})
    expect_kind(path, "evaluate", evaluate, dict, "a mapping of options of `t2igan evaluate`")
    datasets = [_data_set(path, name, entry) for name, entry in content["datasets"].items()]
    folder = Path(content["folder"])
    return Matrix(path.stem, folder, datasets, seeds, evaluate, _wandb(path, content.get("wandb")))


def _data_set(path: Path, name: str, entry: Any) -> DataSet:
    where = f"data set {name}"
    lists = ("models", "protocols", "judges", "baselines", "given")
    expect_keys(path, where, entry, {"store", "models", "protocols"}, {"prepare", "classifier", *lists})
    for key in lists:
        expect_kind(path, f"{key} of {where}", entry.get(key, []), list, "a list")
    baselines = entry.get("baselines", [])
    if unknown := sorted(set(baselines) - set(BASELINES)):
        raise UserError(f"{path}: no baseline {unknown[0]!r}; there are {', '.join(BASELINES)}")
    models = [_wanted(path, own, seeded=False) for own in entry["models"]]
    judges = [_wanted(path, own) for own in entry.get("judges", [])]
    for own in (models, judges):
        labels = [(each.name, each.seed) for each in own]
        if twice := [label[0] for label in labels if labels.count(label) > 1]:
            raise UserError(f"{path}: {where} has two entries called {twice[0]}: give them `name`s of their own")
    classifier = _wanted(path, entry["classifier"]) if "classifier" in entry else None
    given = frozenset(entry.get("given", []))
    store, prepare, protocols = entry["store"], entry.get("prepare", ""), entry["protocols"]
    return DataSet(name, store, prepare, models, protocols, judges, classifier, baselines, given)


def _wanted(path: Path, entry: Any, seeded: bool = True) -> Wanted:
    """A configuration file alone, or with a name, a seed and changes."""
    if isinstance(entry, str):
        entry = {"config": entry}
    expect_keys(path, "an entry", entry, {"config"}, {"name", "set"} | ({"seed"} if seeded else set()))
    config = Path(entry["config"])
    changes = entry.get("set", {})
    expect_kind(path, f"set of {config}", changes, dict, "a mapping of options of `t2igan fit`")
    return Wanted(entry.get("name", config.stem), config, entry.get("seed"), changes)


def _wandb(path: Path, value: Any) -> dict[str, Any]:
    """Mode and further settings of wandb; nothing without it."""
    if value is None:
        return {}
    settings = {"mode": value} if isinstance(value, str) else value
    expect_keys(path, "wandb", settings, {"mode"}, {"project", "entity"})
    if settings["mode"] not in WANDB_MODES:
        raise UserError(f"{path}: wandb must be one of {', '.join(WANDB_MODES)}, it is {settings['mode']!r}")
    return settings
