"""What stands in the YAML file of a plan."""

from dataclasses import dataclass, field
from typing import Any, Literal

from t2igan.schema import FromFile, at_least


@dataclass(frozen=True)
class StepEntry(FromFile):
    """A step of a plan of steps.

    Attributes:
        name: in words.
        run: the command line behind ``t2igan``.
        after: names of the steps that must be done first; None is all before it.
    """

    name: str
    run: str
    after: list[str] | None = None


@dataclass(frozen=True)
class StepsFile(FromFile):
    """A plan of steps.

    Attributes:
        folder: folder of whatever the plan makes.
        steps: in order.
        launcher: ``kind`` and that launcher's options.
    """

    folder: str
    steps: list[StepEntry]
    launcher: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ConfigEntry(FromFile):
    """Something that a configuration file trains.

    Attributes:
        config: configuration file.
        name: for folder and table; None is the file's.
        set: options of `t2igan fit` by their dotted keys.
    """

    config: str
    name: str | None = None
    set: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingEntry(ConfigEntry):
    """A training beside the models: a DAMSM, a classifier.

    Attributes:
        seed: seed of everything random.
    """

    seed: int | None = at_least(0, None)


@dataclass(frozen=True)
class ModelEntry(ConfigEntry):
    """A generator of a matrix; its seeds are the matrix's.

    Attributes:
        grid: options of `t2igan fit` -> values, each combination of which is a training.
    """

    grid: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class DataSetEntry(FromFile):
    """A data set of a matrix.

    Attributes:
        store: path.
        models: generators.
        protocols: names or files.
        prepare: command line behind ``t2igan prepare`` that writes the store; empty for none.
        independent_damsm: DAMSMs that no generator sees.
        classifier: the evaluation classifier, None for none.
        baselines: rows beside the models'.
        given: checkpoints that are not trained but taken as they are.
    """

    store: str
    models: list[ModelEntry]
    protocols: list[str]
    prepare: str = ""
    independent_damsm: list[TrainingEntry] = field(default_factory=list)
    classifier: TrainingEntry | None = None
    baselines: list[Literal["real", "untrained"]] = field(default_factory=list)
    given: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class WandbEntry(FromFile):
    """How a matrix is tracked.

    Attributes:
        mode: mode of wandb.
        project: None is the plan's name.
        entity: None is the user's own.
    """

    mode: Literal["online", "offline", "disabled"]
    project: str | None = None
    entity: str | None = None


@dataclass(frozen=True)
class MatrixFile(FromFile):
    """A matrix: data sets x models x seeds x protocols.

    Attributes:
        folder: folder of whatever the plan makes.
        datasets: by name.
        launcher: ``kind`` and that launcher's options.
        seeds: seeds of each model.
        evaluate: options of `t2igan evaluate`.
        wandb: None tracks nothing.
        grid: grid of every model, beside its own.
    """

    folder: str
    datasets: dict[str, DataSetEntry]
    launcher: dict[str, Any] = field(default_factory=dict)
    seeds: list[int] = field(default_factory=lambda: [0])
    evaluate: dict[str, Any] = field(default_factory=dict)
    wandb: WandbEntry | None = None
    grid: dict[str, list[Any]] = field(default_factory=dict)
