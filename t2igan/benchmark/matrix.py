"""A matrix plan: data sets x models x seeds x protocols, as steps."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from t2igan.benchmark.lacking import lacking
from t2igan.benchmark.steps import Step
from t2igan.benchmark.trainings import Training, Trainings, Wanted, changed_words
from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.evaluation.protocol import load_protocol


@dataclass(frozen=True)
class DataSet:
    """A data set of a matrix plan, with everything that is trained and scored on it.

    Attributes:
        name: heading of the data set in the table.
        store: path of the HDF5 store.
        prepare: command line that follows ``t2igan prepare`` and writes the store; empty if the plan does not
            prepare it.
        models: trainings of generators.
        protocols: evaluation protocols, by name or YAML file.
        independent_damsm: DAMSMs that score only: no generator is trained against them.
        classifier: the evaluation classifier, None for none.
        baselines: reference rows of the leaderboard, such as real images.
        given: existing checkpoints that are used instead of being trained.
    """

    name: str
    store: str
    prepare: str
    models: list[Wanted]
    protocols: list[str]
    independent_damsm: list[Wanted]
    classifier: Wanted | None
    baselines: list[str]
    given: frozenset[str]


@dataclass(frozen=True)
class Matrix:
    """A matrix plan: data sets x models x seeds x protocols.

    Attributes:
        name: title of the plan, the stem of its file.
        folder: folder of all runs, logs and reports of the plan.
        datasets: each with its models and protocols.
        seeds: seeds of each model.
        evaluate: options of ``t2igan evaluate``.
        wandb: settings of wandb (``mode``, ``project``, ``entity``); empty for no tracking.
    """

    name: str
    folder: Path
    datasets: list[DataSet]
    seeds: list[int]
    evaluate: Mapping[str, Any] = field(default_factory=dict)
    wandb: Mapping[str, Any] = field(default_factory=dict)

    @property
    def records(self) -> Path:
        """Path of the file that all scores are appended to."""
        return self.folder / "records.jsonl"

    @property
    def to_wandb(self) -> list[str]:
        """Options that make `evaluate` and `report` log to wandb; empty if the plan does not track."""
        return ["--wandb", self.wandb["mode"]] if self.wandb else []

    @property
    def project(self) -> dict[str, str]:
        """Environment variables that name the plan's wandb project."""
        if not self.wandb:
            return {}
        named = {"WANDB_PROJECT": self.wandb.get("project", self.name), "WANDB_MODE": self.wandb["mode"]}
        return named | ({"WANDB_ENTITY": self.wandb["entity"]} if "entity" in self.wandb else {})

    @property
    def commands(self) -> list[list[str]]:
        """A command for each training and store, and one with the options of all scores."""
        named = [own for data in self.datasets for own in (*data.models, *data.independent_damsm, data.classifier)]
        prepared = [["prepare", *shlex.split(data.prepare)] for data in self.datasets if data.prepare]
        scores = ["evaluate", "--real", "true", "--store", "x", "--protocol", "x", *changed_words(self.evaluate)]
        return [*(own.command for own in named if own is not None), *prepared, scores]

    # ------------------------------------------------------------------------------------------------ steps

    def preparation(self) -> list[Step]:
        """Stores that are missing and can be made.

        Raises:
            UserError: a store is missing and the plan does not say how it is prepared, or a protocol is unknown.
        """
        steps, problems = [], []
        for data in self.datasets:
            for protocol in data.protocols:
                load_protocol(protocol)
            problems += [f"given: {path} does not exist" for path in sorted(data.given) if not Path(path).is_file()]
            if Path(data.store).is_file():
                continue
            if not data.prepare:
                problems.append(f"{data.store} does not exist: prepare it, or give {data.name} a `prepare`")
            command = ["prepare", *shlex.split(data.prepare), "--out", data.store]
            steps.append(Step(f"{data.name} store", command, [], f"{data.name} · store"))
        if problems:
            raise UserError("; ".join(problems))
        return steps

    def cells(self) -> list[Step]:
        """Trainings, scores and the report, of all data sets whose store is there.

        Raises:
            UserError: a configuration or a checkpoint that one names is missing.
        """
        steps, problems, shown = [], [], []
        for data in self.datasets:
            if not Path(data.store).is_file():
                continue
            trainings = Trainings(self.folder, data.store, open_store(data.store).fingerprint, data.given)
            cells = _Cells(self, data, trainings)
            steps += cells.steps()
            shown += [str(training.folder) for training in cells.models]
            problems += trainings.problems
        if problems:
            raise UserError("; ".join(dict.fromkeys(problems)))
        if steps:
            command = [
                "report",
                str(self.records),
                "--out",
                str(self.folder / "report"),
                "--runs",
                json.dumps(shown),
            ]
            protocols = [load_protocol(protocol) for data in self.datasets for protocol in data.protocols]
            for module in sorted({word for protocol in protocols for word in protocol.allow}):
                command += ["--allow", module]
            command += self.to_wandb
            before = [step.name for step in steps]
            steps.append(Step("report", command, before, "report", self.project, anyway=True))
        return steps

    def outlook(self) -> list[str]:
        """Steps that follow once a missing store is written, and the metrics that will lack their networks."""
        lines: list[str] = []
        for data in self.datasets:
            there = Path(data.store).is_file()
            fingerprint = open_store(data.store).fingerprint if there else ""
            trainings = Trainings(self.folder, data.store, fingerprint, data.given)
            cells = _Cells(self, data, trainings)
            if not there:
                lines += [f"then {data.name} · {line}" for line in cells.outlook()]
            lines += [f"missing, {data.name}: {line}" for line in cells.lacking()]
            lines += [f"missing: {problem}" for problem in trainings.problems]
        return list(dict.fromkeys(lines))


class _Cells:
    """The steps of one data set."""

    def __init__(self, matrix: Matrix, data: DataSet, trainings: Trainings) -> None:
        self.matrix, self.data, self.trainings = matrix, data, trainings
        seeded = [replace(own, seed=seed, is_model=True) for own in data.models for seed in matrix.seeds]
        self.models = [training for own in seeded if (training := trainings.add(own)) is not None]
        self.independent = [
            training for own in data.independent_damsm if (training := trainings.add(own)) is not None
        ]
        self.classifier = None if data.classifier is None else trainings.add(data.classifier)

    def steps(self) -> Iterator[Step]:
        """Steps for all shared trainings, then for each model and its scores."""
        for training in self.trainings.found:
            if training not in self.models:
                yield self._fit(training)
        if "real" in self.data.baselines:
            yield from self._scores("real images", ["--real", "true"], self.models[0] if self.models else None)
        for number, model in enumerate(self.models):
            yield self._fit(model)
            untrained = ["--untrained", "true"] if number == 0 and "untrained" in self.data.baselines else []
            checkpoint = ["--checkpoint", str(model.checkpoint), *untrained]
            yield from self._scores(model.label, checkpoint, model, after=[self._name(model)])

    def outlook(self) -> Iterator[str]:
        """A line for each training, those first that others need."""
        models, scored = set(map(id, self.models)), f"fit, evaluate by {', '.join(self.data.protocols)}"
        for training in sorted(self.trainings.found, key=lambda each: id(each) in models):
            yield f"{training.label}: {scored if id(training) in models else 'fit'}"

    def lacking(self) -> Iterator[str]:
        """What metrics lack, each once, with the models where it is not so for all."""
        who: dict[str, list[str]] = {}
        labels = list(dict.fromkeys(model.label.rpartition("-")[0] for model in self.models))
        for model in self.models:
            damsm = bool(self.data.independent_damsm) or model.damsm is not None
            label = model.label.rpartition("-")[0]
            given = damsm, self.data.classifier is not None, self.matrix.evaluate
            for line in lacking(self.data.protocols, *given):
                own = who.setdefault(line, [])
                own += [label] if label not in own else []
        for line, own in who.items():
            yield line if own == labels else f"{line} ({', '.join(own)})"

    def _name(self, training: Training) -> str:
        return f"{self.data.name} {training.label} {training.folder.parent.name.rpartition('-')[2]}"

    def _cell(self, label: str) -> str:
        return f"{self.data.name} · {label}"

    def _fit(self, training: Training) -> Step:
        training.write()
        after = [self._name(need) for need in training.needs.values()]
        tracked, variables = [], {}
        if self.matrix.wandb:
            tracked = ["--trainer.logger", "WandbLogger"]
            variables = self._tracking(training)
        name, cell = self._name(training), self._cell(training.label)
        return Step(name, training.command + tracked, list(dict.fromkeys(after)), cell, variables)

    def _tracking(self, training: Training) -> dict[str, str]:
        """One project for the plan, a group for each model, tags for the data set."""
        return self.matrix.project | {
            "WANDB_RUN_GROUP": training.folder.parent.name,
            "WANDB_TAGS": self.data.name,
            "WANDB_NAME": training.label,
        }

    def _scores(
        self, label: str, subject: Sequence[str], model: Training | None, after: Sequence[str] = ()
    ) -> Iterator[Step]:
        """One step a protocol; the first DAMSM is the DAMSM that the model was trained against."""
        own = [] if model is None or model.damsm is None else [model.damsm]
        needs = [] if model is None else model.needs.values()
        networks = [*(each for each in needs if str(each.checkpoint) in own), *self.independent]
        damsms = dict.fromkeys([*own, *(str(each.checkpoint) for each in self.independent)])
        command = ["evaluate", *subject, "--store", self.data.store, "--records", str(self.matrix.records)]
        for damsm in damsms:
            command += ["--damsm", damsm]
        if self.classifier is not None:
            command += ["--classifier", str(self.classifier.checkpoint)]
            networks.append(self.classifier)
        for module in () if model is None else model.allow:
            command += ["--allow", module]
        command += changed_words(self.matrix.evaluate)
        before = [*after, *(self._name(network) for network in networks)]
        for protocol in self.data.protocols:
            name = f"{self.data.name} {label}: {protocol}"
            words = [*command, "--protocol", protocol, "--once", "true", *self.matrix.to_wandb]
            yield Step(name, words, list(dict.fromkeys(before)), self._cell(label), self.matrix.project)
