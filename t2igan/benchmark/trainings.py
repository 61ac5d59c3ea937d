"""Resolve the trainings that another training depends on.

A configuration of the suite names checkpoints where training leaves them: ``runs/cub/damsm/checkpoints/last.ckpt``
is what ``experiments/cub/damsm.yaml`` trains. A plan trains it in a folder of its own and names that one instead.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from t2igan.errors import UserError
from t2igan.evaluation.identity import SEEDS, experiment_of
from t2igan.evaluation.protocol import hash_of
from t2igan.files import write_whole
from t2igan.plain_files import read_yaml
from t2igan.progress import LAST
from t2igan.shipped import known_experiment
from t2igan.user_modules import find_modules_of, source_digests, word_for

CHECKPOINT = re.compile(r"runs/(?P<name>.+)/checkpoints/[^/]+\.ckpt")
MODEL_KEY = re.compile(r"model\.(init_args\.)?[^.]+")
EXPERIMENTS = "experiments"
DAMSM_KEY = "damsm"  # key of the DAMSM that a model is trained against
# Keys of identity.SEEDS in a configuration file.
SEED_KEYS = tuple(tuple(key.replace(".", ".init_args.").split(".")) for key in SEEDS)


@dataclass(frozen=True)
class Wanted:
    """A training that a plan names.

    Attributes:
        name: name of the run's folder and of the table's row.
        config: path of the YAML file that `t2igan fit` takes.
        seed: seed of everything random; None takes the configuration's, else 0.
        changes: options of the command line, by their dotted keys.
        is_model: whether it is a generator of the matrix (its noise has a seed of its own).
    """

    name: str
    config: Path
    seed: int | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    is_model: bool = False

    @property
    def command(self) -> list[str]:
        """The `t2igan fit` command line with the configuration file that the plan names."""
        return ["fit", "--config", str(self.config), *changed_words(self.changes)]


@dataclass(frozen=True)
class Training:
    """A training with its content-addressed folder.

    Attributes:
        label: name and seed, such as ``ssagan-seed1``.
        folder: folder of the run.
        config: the configuration that it is started with, written by :meth:`write`.
        content: parsed content of that file.
        changes: options of the command line, by their dotted keys.
        needs: trainings whose checkpoints it reads, by the key that names them.
        allow: modules of one's own that it names, as ``--allow`` takes them.
    """

    label: str
    folder: Path
    config: Path
    content: Mapping[str, Any]
    changes: Mapping[str, Any]
    needs: Mapping[str, "Training"]
    allow: tuple[str, ...] = ()

    @property
    def checkpoint(self) -> Path:
        """Path of the checkpoint that the training writes."""
        return self.folder / LAST

    @property
    def damsm(self) -> str | None:
        """The DAMSM that it is trained against, one of the plan's or one that was given; None without one."""
        return _arguments(self.content).get(DAMSM_KEY)

    @property
    def command(self) -> list[str]:
        """The command line that runs the training."""
        return ["fit", "--config", str(self.config), "--run", str(self.folder), *changed_words(self.changes)]

    def write(self) -> None:
        """Write the configuration into the run's folder."""
        write_whole(self.config, yaml.safe_dump(dict(self.content), sort_keys=False).encode())


class Trainings:
    """All trainings on one store; a network that two models need is trained once.

    Args:
        folder: folder of the plan.
        store: path of the data set's store.
        fingerprint: fingerprint of the store.
        given: existing checkpoints that are used instead of being trained.

    Attributes:
        found: the trainings, each after those that it needs.
        problems: one message for each missing file.
    """

    def __init__(self, folder: Path, store: str, fingerprint: str, given: frozenset[str] = frozenset()) -> None:
        self.folder, self.store, self.fingerprint, self.given = folder, store, fingerprint, given
        self.found: list[Training] = []
        self.problems: list[str] = []
        self._known: dict[str, Training | None] = {}

    def add(self, wanted: Wanted) -> Training | None:
        """Add a training and all that it needs; None if its configuration cannot be read."""
        content = self._read(wanted.config)
        if content is None:
            return None
        if wanted.seed is None:
            own = content.get("seed_everything")
            wanted = replace(wanted, seed=own if type(own) is int else 0)
        key = hash_of({"config": str(wanted.config), "seed": wanted.seed, "changes": dict(wanted.changes)})
        if key not in self._known:
            self._known[key] = None  # ends the recursion of a configuration that needs itself
            self._known[key] = self._resolve(wanted, content)
        return self._known[key]

    def _resolve(self, wanted: Wanted, content: dict[str, Any]) -> Training:
        needs: dict[str, Training] = {}
        sources: dict[str, str] = {}

        def trained(key: str, value: str) -> str:
            match = CHECKPOINT.fullmatch(value)
            if match is None:
                return value
            config = _root(wanted.config) / f"{match['name']}.yaml"
            if not config.is_file() and not Path(value).is_file():
                config = Path(known_experiment(match["name"]) or config)  # of a copy outside experiments
            trained_here = value not in self.given and config.is_file()
            training = self.add(Wanted(config.stem, config)) if trained_here else None
            if training is None:
                sources[value] = self._sha256(wanted.config, value, config)
                return value
            needs[key] = training
            sources[str(training.checkpoint)] = f"{training.folder.parent.name}/{training.label}"
            return str(training.checkpoint)

        # A checkpoint set by the plan is trained like one named by the configuration.
        # One that it replaces, by a model of the zoo or a file from elsewhere, is neither trained nor scored with.
        named = _arguments(content)
        moved = {key: value for key, value in wanted.changes.items() if _names_checkpoint(key, value, named)}
        for key, value in moved.items():
            _put(content, ("model", "init_args", key.rpartition(".")[2]), value)
        changes = {key: value for key, value in wanted.changes.items() if key not in moved}
        content = _replaced(content, trained)
        _put(content, ("data", "init_args", "store"), self.store)
        plain = _replaced(experiment_of(content, self.fingerprint), lambda _, value: sources.get(value, value))
        modules = sorted({each for each in find_modules_of(content, wanted.config) if source_digests([each])})
        code = {"code": source_digests(modules)} if modules else {}
        # All changes count: two entries of a plan that differ only in them need separate folders.
        address = hash_of({"config": plain, "changes": dict(wanted.changes), **code})[:10]
        allow = tuple(map(word_for, modules))
        if allow:
            content["allow"] = list(allow)  # the configuration is written to another folder
        for path in SEED_KEYS:
            if path[0] != "model" or wanted.is_model:
                _put(content, path, wanted.seed)
        label = f"{wanted.name}-seed{wanted.seed}"
        folder = self.folder / "runs" / f"{wanted.name}-{address}" / label
        config = self.folder / "configs" / f"{wanted.name}-{address}-seed{wanted.seed}.yaml"
        self.found.append(Training(label, folder, config, content, changes, needs, allow))
        return self.found[-1]

    def _read(self, config: Path) -> dict[str, Any] | None:
        try:
            content = read_yaml(config)
        except UserError as error:
            self.problems.append(str(error))
            return None
        if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
            self.problems.append(f"{config} has no model")
            return None
        return content

    def _sha256(self, config: Path, checkpoint: str, trains_it: Path) -> str:
        path = Path(checkpoint)
        if path.is_file():
            return hashlib.sha256(path.read_bytes()).hexdigest()
        self.problems.append(
            f"{config} needs {checkpoint}, which does not exist, and there is no {trains_it} to train it"
        )
        return ""


def _root(config: Path) -> Path:
    """The folder that configurations are named from: ``experiments``, else the configuration's own."""
    parts = config.parts
    return Path(*parts[: parts.index(EXPERIMENTS) + 1]) if EXPERIMENTS in parts else config.parent


def _arguments(content: Mapping[str, Any]) -> Mapping[str, Any]:
    return content["model"].get("init_args") or {}


def _names_checkpoint(key: str, value: Any, named: Mapping[str, Any]) -> bool:
    """Whether a change of a model's key names a checkpoint that a plan may train, or takes the place of one."""
    before = named.get(key.rpartition(".")[2])
    texts = [text for text in (value, before) if isinstance(text, str)]
    return bool(MODEL_KEY.fullmatch(key)) and any(CHECKPOINT.fullmatch(text) for text in texts)


def _replaced(value: Any, replace: Callable[[str, str], str], key: str = "") -> Any:
    """A copy, with ``replace(key, text)`` in place of every text."""
    if isinstance(value, dict):
        return {name: _replaced(inner, replace, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, replace, key) for inner in value]
    return replace(key, value) if isinstance(value, str) else value


def _put(content: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        content = content.setdefault(key, {})
    content[path[-1]] = value


def changed_words(changes: Mapping[str, Any]) -> list[str]:
    """Changes of a configuration as options of the command line."""
    return [word for key, value in changes.items() for word in (f"--{key}", as_word(value))]


def as_word(value: Any) -> str:
    """A YAML value as the command line takes it."""
    return value if isinstance(value, str) else json.dumps(value)
