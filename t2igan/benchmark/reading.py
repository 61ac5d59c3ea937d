"""Reads a plan file: a list of steps, or a matrix."""

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from t2igan.benchmark.files import (
    ConfigEntry,
    DataSetEntry,
    MatrixFile,
    ModelEntry,
    StepEntry,
    StepsFile,
    TrainingEntry,
)
from t2igan.benchmark.grid import check_grid, expand
from t2igan.benchmark.matrix import DataSet, Matrix
from t2igan.benchmark.steps import Plan, Step
from t2igan.benchmark.trainings import Wanted
from t2igan.errors import UserError
from t2igan.plain_files import read_yaml
from t2igan.schema import checked_mapping, read_as
from t2igan.shipped import known_experiment, with_experiments


def read_plan(path: Path) -> Plan:
    """Read a plan file and check its keys.

    Raises:
        UserError: the file is missing, or a key of it is missing, unknown or wrong.
    """
    if not path.is_file():
        raise UserError(f"no plan at {path}")
    content = dict(checked_mapping(read_yaml(path), path, "folder: runs/plan"))
    if "model" in content and not {"datasets", "steps"} & {*content}:
        raise UserError(f"{path} describes a training, not a plan; run it with `t2igan fit --config {path}`")
    content = _spelled_out(content)
    if "datasets" in content:
        file = read_as(MatrixFile, content, path)
        matrix = _matrix(path, file)
        phases = [matrix.preparation, matrix.cells]
        return Plan(matrix.folder, file.launcher, phases, matrix.outlook, matrix.commands)
    file = read_as(StepsFile, content, path)
    steps = _steps(path, file.steps)
    return Plan(Path(file.folder), file.launcher, [lambda: steps], commands=[step.command for step in steps])


def _spelled_out(content: dict[str, Any]) -> dict[str, Any]:
    """A plan without abbreviations: a file's name alone is a training's ``config``, and so on."""
    datasets = content.get("datasets")
    if isinstance(datasets, dict):
        content["datasets"] = {name: _data_set_spelled_out(entry) for name, entry in datasets.items()}
    shorts = {"launcher": "kind", "wandb": "mode"}
    return {key: _long(value, shorts[key]) if key in shorts else value for key, value in content.items()}


def _data_set_spelled_out(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    spelled = dict(entry)
    for key in ("models", "independent_damsm"):
        if isinstance(entry.get(key), list):
            spelled[key] = [_long(each, "config") for each in entry[key]]
    if "classifier" in entry:
        spelled["classifier"] = _long(entry["classifier"], "config")
    return spelled


def _long(value: Any, key: str) -> Any:
    return {key: value} if isinstance(value, str) else value


def _steps(path: Path, entries: list[StepEntry]) -> list[Step]:
    steps: list[Step] = []
    for position, entry in enumerate(entries, start=1):
        before = [step.name for step in steps]
        after = before if entry.after is None else entry.after
        unknown = sorted(set(after) - set(before))
        if unknown or entry.name in before:
            what = (
                f"waits for {unknown[0]!r}, which is not an earlier step" if unknown else "has the name of another"
            )
            raise UserError(f"{path}: step {position} ({entry.name}) {what}")
        command = _words(path, f"run of step {position}", entry.run)
        if not command:
            raise UserError(
                f"{path}: run of step {position} ({entry.name}) is empty; give a command such as `list models`"
            )
        steps.append(Step(entry.name, [*with_experiments(command)], after, cell=entry.name))
    return steps


def _matrix(path: Path, file: MatrixFile) -> Matrix:
    if not file.seeds or min(file.seeds) < 0:
        raise UserError(f"{path}: seeds must be a list of whole numbers from 0 on, it is {file.seeds!r}")
    check_grid(path, "the plan", file.grid)
    datasets = [_data_set(path, name, entry, file.grid) for name, entry in file.datasets.items()]
    wandb = {} if file.wandb is None else {key: own for key, own in asdict(file.wandb).items() if own is not None}
    return Matrix(path.stem, Path(file.folder), datasets, file.seeds, file.evaluate, wandb)


def _data_set(path: Path, name: str, entry: DataSetEntry, grid: dict[str, list[Any]]) -> DataSet:
    where = f"data set {name}"
    _words(path, f"prepare of {where}", entry.prepare)
    models = [own for each in entry.models for own in _models(path, each, grid)]
    independent_damsm = [_wanted(each) for each in entry.independent_damsm]
    for own in (models, independent_damsm):
        labels = [(each.name, each.seed) for each in own]
        if twice := [label[0] for label in labels if labels.count(label) > 1]:
            raise UserError(f"{path}: {where} has two entries called {twice[0]}: give each its own `name`")
    classifier = None if entry.classifier is None else _wanted(entry.classifier)
    return DataSet(
        name,
        entry.store,
        entry.prepare,
        models,
        entry.protocols,
        independent_damsm,
        classifier,
        [*entry.baselines],
        frozenset(entry.given),
    )


def _models(path: Path, entry: ModelEntry, grid: dict[str, list[Any]]) -> Iterator[Wanted]:
    """An entry of ``models``: one training, or each of the plan's grid and of its own."""
    check_grid(path, entry.config, entry.grid)
    yield from expand(path, _wanted(entry), {**grid, **entry.grid})


def _wanted(entry: ConfigEntry) -> Wanted:
    config = Path(known_experiment(entry.config) or entry.config)
    if config.suffix in (".ckpt", ".safetensors"):
        raise UserError(f"{config} is a checkpoint: name the configuration that trains it, such as damsm.yaml")
    seed = entry.seed if isinstance(entry, TrainingEntry) else None
    return Wanted(config.stem if entry.name is None else entry.name, config, seed, entry.set)


def _words(path: Path, where: str, command: str) -> list[str]:
    """A command line in words; a quotation mark without a partner is refused."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UserError(f"{path}: {where} is not a command line ({error}): {command!r}") from error
