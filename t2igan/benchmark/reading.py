"""Reads a plan file: a list of steps, or a matrix."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from t2igan.benchmark.grid import expand, expect_grid
from t2igan.benchmark.keys import expect_keys, expect_kind, expect_texts, launcher_settings, words
from t2igan.benchmark.matrix import DataSet, Matrix
from t2igan.benchmark.steps import Plan, Step
from t2igan.benchmark.trainings import Wanted
from t2igan.errors import UserError
from t2igan.plain_files import read_yaml
from t2igan.shipped import known_experiment, with_experiments

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
        phases = [matrix.preparation, matrix.cells]
        return Plan(matrix.folder, launcher_settings(path, content), phases, matrix.outlook)
    expect_keys(path, "the plan", content, {"folder", "steps"}, {"launcher"})
    expect_kind(path, "folder", content["folder"], str, "a path")
    steps = _steps(path, content["steps"])
    return Plan(Path(content["folder"]), launcher_settings(path, content), [lambda: steps])


def _steps(path: Path, entries: Any) -> list[Step]:
    expect_kind(path, "steps", entries, list, "a list")
    steps: list[Step] = []
    for position, entry in enumerate(entries, start=1):
        expect_keys(path, f"step {position}", entry, {"name", "run"}, {"after"})
        for key in ("name", "run"):
            expect_kind(path, f"{key} of step {position}", entry[key], str, "a text")
        before = [step.name for step in steps]
        after = entry.get("after", before)
        expect_texts(path, f"after of step {position}", after)
        unknown = sorted(set(after) - set(before))
        if unknown or entry["name"] in before:
            what = f"waits for {unknown[0]!r}, which is no earlier step" if unknown else "has the name of another"
            raise UserError(f"{path}: step {position} ({entry['name']}) {what}")
        command = words(path, f"run of step {position}", entry["run"])
        steps.append(Step(entry["name"], [*with_experiments(command)], after, cell=entry["name"]))
    return steps


def read_matrix(path: Path, content: dict[str, Any]) -> Matrix:
    """The matrix of a plan file.

    Raises:
        UserError: a key is missing, unknown or wrong.
    """
    expect_keys(
        path, "the plan", content, {"folder", "datasets"}, {"launcher", "seeds", "evaluate", "wandb", "grid"}
    )
    expect_kind(path, "folder", content["folder"], str, "a path")
    expect_kind(path, "datasets", content["datasets"], dict, "a mapping of names to data sets")
    seeds = content.get("seeds", [0])
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise UserError(f"{path}: seeds must be a list of whole numbers from 0 on, it is {seeds!r}")
    evaluate = content.get("evaluate", {})
    expect_kind(path, "evaluate", evaluate, dict, "a mapping of options of `t2igan evaluate`")
    grid = expect_grid(path, "the plan", content.get("grid", {}))
    datasets = [_data_set(path, name, entry, grid) for name, entry in content["datasets"].items()]
    folder = Path(content["folder"])
    return Matrix(path.stem, folder, datasets, seeds, evaluate, _wandb(path, content.get("wandb")))


def _data_set(path: Path, name: str, entry: Any, grid: dict[str, list[Any]]) -> DataSet:
    where = f"data set {name}"
    lists = ("models", "protocols", "independent_damsm", "baselines", "given")
    expect_keys(path, where, entry, {"store", "models", "protocols"}, {"prepare", "classifier", *lists})
    for key in lists:
        expect_kind(path, f"{key} of {where}", entry.get(key, []), list, "a list")
    for key in ("protocols", "baselines", "given"):
        expect_texts(path, f"{key} of {where}", entry.get(key, []))
    for key in ("store", "prepare"):
        expect_kind(path, f"{key} of {where}", entry.get(key, ""), str, "a text")
    words(path, f"prepare of {where}", entry.get("prepare", ""))
    baselines = entry.get("baselines", [])
    if unknown := sorted(set(baselines) - set(BASELINES)):
        raise UserError(f"{path}: no baseline {unknown[0]!r}; there are {', '.join(BASELINES)}")
    models = [own for each in entry["models"] for own in _models(path, each, grid)]
    independent_damsm = [_wanted(path, own) for own in entry.get("independent_damsm", [])]
    for own in (models, independent_damsm):
        labels = [(each.name, each.seed) for each in own]
        if twice := [label[0] for label in labels if labels.count(label) > 1]:
            raise UserError(f"{path}: {where} has two entries called {twice[0]}: give them `name`s of their own")
    classifier = _wanted(path, entry["classifier"]) if "classifier" in entry else None
    given = frozenset(entry.get("given", []))
    store, prepare, protocols = entry["store"], entry.get("prepare", ""), entry["protocols"]
    return DataSet(name, store, prepare, models, protocols, independent_damsm, classifier, baselines, given)


def _models(path: Path, entry: Any, grid: dict[str, list[Any]]) -> Iterator[Wanted]:
    """An entry of ``models``: one training, or each of the plan's grid and of its own."""
    own = dict(entry) if isinstance(entry, dict) else {"config": entry}
    more = expect_grid(path, "an entry", own.pop("grid", {}))
    yield from expand(path, _wanted(path, own, seeded=False), {**grid, **more})


def _wanted(path: Path, entry: Any, seeded: bool = True) -> Wanted:
    """A configuration file alone, or with a name, a seed and changes."""
    if isinstance(entry, str):
        entry = {"config": entry}
    expect_keys(path, "an entry", entry, {"config"}, {"name", "set"} | ({"seed"} if seeded else set()))
    for key in ("config", "name"):
        expect_kind(path, f"{key} of an entry", entry.get(key, ""), str, "a text")
    seed = entry.get("seed")
    if seed is not None and (type(seed) is not int or seed < 0):
        raise UserError(f"{path}: seed of {entry['config']} must be a whole number from 0 on, it is {seed!r}")
    config = Path(known_experiment(entry["config"]) or entry["config"])
    changes = entry.get("set", {})
    expect_kind(path, f"set of {config}", changes, dict, "a mapping of options of `t2igan fit`")
    return Wanted(entry.get("name", config.stem), config, seed, changes)


def _wandb(path: Path, value: Any) -> dict[str, Any]:
    """Mode and further settings of wandb; nothing without it."""
    if value is None:
        return {}
    settings = {"mode": value} if isinstance(value, str) else value
    expect_keys(path, "wandb", settings, {"mode"}, {"project", "entity"})
    for key, setting in settings.items():
        expect_kind(path, f"wandb {key}", setting, str, "a text")
    if settings["mode"] not in WANDB_MODES:
        raise UserError(f"{path}: wandb must be one of {', '.join(WANDB_MODES)}, it is {settings['mode']!r}")
    return settings
