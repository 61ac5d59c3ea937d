"""Schema of the YAML file of a plan."""

from dataclasses import dataclass, field
from typing import Any, Literal

from t2igan.schema import FromFile, at_least


@dataclass(frozen=True)
class StepEntry(FromFile):
    """One entry of ``steps`` in a plan file.

    Attributes:
        name: readable name of the step; no two steps share one.
        run: the command line that follows ``t2igan``.
        after: names of the steps that must be done first; None is all before it.
    """

    name: str
    run: str
    after: list[str] | None = None


@dataclass(frozen=True)
class StepsFile(FromFile):
    """A plan file that lists its steps one by one.

    Attributes:
        folder: folder of whatever the plan makes.
        steps: the steps, in the order in which they are run.
        launcher: ``kind`` and that launcher's options.
    """

    folder: str
    steps: list[StepEntry]
    launcher: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ConfigEntry(FromFile):
    """A training, given by its configuration file.

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
    """A training that serves the generators: a DAMSM, a classifier or a captioner.

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
    """One entry of ``datasets`` in a matrix plan file.

    Attributes:
        store: path of the HDF5 store.
        models: the generators that are trained on this data set.
        protocols: evaluation protocols, by name or YAML file.
        prepare: command line that follows ``t2igan prepare`` and writes the store; empty if the plan does not
            prepare it.
        independent_damsm: DAMSMs that score only: no generator is trained against them.
        classifier: the evaluation classifier, None for none.
        baselines: reference rows of the leaderboard, such as real images.
        given: existing checkpoints that are used instead of being trained.
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
        mode: mode of wandb: online, offline or disabled.
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
