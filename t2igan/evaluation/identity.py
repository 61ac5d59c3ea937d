"""Identity of an experiment: runs with equal configurations, except for the keys left out here, are repetitions."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from t2igan.earlier import renamed
from t2igan.errors import UserError
from t2igan.evaluation.protocol import hash_of
from t2igan.evaluation.record import SubjectCard
from t2igan.files import write_whole
from t2igan.plain_files import parse_json, read_text, read_yaml
from t2igan.typed import fits
from t2igan.zoo import WEIGHTS, locate

SEEDS = ("seed_everything", "model.seed", "data.seed")
# All keys that may differ between repetitions. Any other key makes another experiment, also devices and precision.
LEFT_OUT = frozenset(
    {
        *SEEDS,
        # where the run is, and how it was asked for
        *("config", "run", "fresh", "allow", "trainer.default_root_dir"),
        # what is displayed and logged
        *("trainer.logger", "trainer.log_every_n_steps", "trainer.profiler"),
        *("trainer.enable_progress_bar", "trainer.enable_model_summary", "trainer.enable_autolog_hparams"),
        # speed levers change only rounding, except TF32 and bf16; the latter shows in trainer.precision
        *(f"levers.{name}" for name in ("allocator", "doubling", "repeated", "pointwise", "by_matrix")),
        *(f"levers.{name}" for name in ("folding", "fused_adam", "channels_last", "joint_pass", "compile")),
        *(f"levers.{name}" for name in ("shared_penalty", "second_order", "bf16")),
        # the same numbers in less memory
        "model.recompute",
        # data workers: batches depend only on seed, epoch and number
        "data.num_workers",
    }
)
# Presets of levers that change only rounding; `fast` may use TF32.
EXACT_SPEEDS = ("plain", "exact")
# Options of the scores for selecting a checkpoint that change none of their values.
NO_CHOICE = frozenset({"batch_size", "weights", "download"})
LENGTH = frozenset({"min_steps", "max_steps", "min_epochs", "max_epochs", "max_time"})
# Configuration of a run before it was resumed with a changed one.
BEFORE = "config-before-{}.yaml"
# Changes of such a run with their steps, one JSON object per line.
CHANGES = "changes.jsonl"
# Prefix of its keys that are not options but inputs of the training, given by content.
READ = "inputs."
OPTIONS = dict[str, Any] | None
# Errors from reading a damaged configuration.
FORM = {"data": OPTIONS, "trainer": OPTIONS, "levers": OPTIONS, "ckpt_path": str | None, "run": str | None}
# Callbacks that do not influence the training.
ONLOOKERS = ("SampleGrid", "Scores")


@dataclass(frozen=True)
class RunIdentity:
    """Experiment, seed and generator that identify a training.

    Attributes:
        experiment: sha256 of its configuration without the keys left out, None if unknown.
        training_seed: seed of the run.
        generator: class of its generator, None for the module's default.
    """

    experiment: str | None = None
    training_seed: int | None = None
    generator: str | None = None


def identity_of(card: SubjectCard) -> RunIdentity:
    """Identity of a record's run, from the record or else from the configuration in the run's folder."""
    if card.kind != "checkpoint":
        return RunIdentity(generator=card.generator)
    if card.experiment is not None:
        return RunIdentity(card.experiment, card.training_seed, card.generator)
    return RunIdentity() if card.path is None else read_identity(card.path)


def run_folder_of(checkpoint: str | Path) -> Path | None:
    """Folder of the run that a checkpoint belongs to, None for a single checkpoint."""
    try:
        path = locate(checkpoint)
    except UserError:  # recorded with a zoo that contained more
        return None
    if path.name == WEIGHTS:  # exported: the files of the run's folder are beside it
        return path.parent
    return path.parent.parent if path.parent.name == "checkpoints" else None


def read_config(checkpoint: str | Path) -> dict[str, Any] | None:
    """``config.yaml`` of the run that a checkpoint belongs to, None if there is no training configuration."""
    folder = run_folder_of(checkpoint)
    return None if folder is None else _read_training(folder / "config.yaml")


def _read_training(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        config = read_yaml(path)
    except UserError:
        return None
    settled = _settled(config)
    return settled if _is_training(settled) else None


def _is_training(config: Any) -> bool:
    """Whether plain data has the form of a training's configuration, in the keys that are used here."""
    if not isinstance(config, dict) or not isinstance(config.get("model"), dict):
        return False
    if not all(fits(config.get(key), kind) for key, kind in FORM.items()):
        return False
    model, trainer = config["model"], config.get("trainer") or {}
    if not fits(model.get("init_args"), OPTIONS):
        return False
    return fits(trainer.get("callbacks"), list[Any] | None) and fits(trainer.get("default_root_dir"), str | None)


def _settled(config: Any) -> Any:
    """A configuration with plain values and current names."""
    return _plain(renamed(config))


def _plain(value: Any) -> Any:
    """Convert YAML values that JSON lacks, such as dates and infinity."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    finite = isinstance(value, float) and math.isfinite(value)
    return value if finite or isinstance(value, str | int | None) else str(value)


def read_identity(
    checkpoint: str | Path,
    fingerprint: str | None = None,
    inputs: Mapping[str, str] | None = None,
    selected: bool = False,
) -> RunIdentity:
    """Identity of the run that a checkpoint belongs to; with empty fields if its configuration is missing.

    Args:
        checkpoint: file within the run's folder.
        fingerprint: fingerprint of the training store, None if unknown.
        inputs: sha256 of the content of checkpoints that its training read, by the key that names them.
        selected: whether a metric selected it; metric and interval of the selection are then part of the identity.
    """
    config = read_config(checkpoint)
    if config is None:
        return RunIdentity()
    content = {**experiment_of(config, fingerprint), "inputs": dict(inputs or {})}
    earlier = [one for path in _earlier(checkpoint) if (one := _read_training(path)) is not None]
    if begun := sorted(
        {_of_any_length(one, fingerprint) for one in earlier} - {_of_any_length(config, fingerprint)}
    ):
        content["begun_as"] = begun
    if replaced := sorted({f"{each['key']} {each['before']}" for each in _changed_inputs(checkpoint)}):
        content["inputs_before"] = replaced
    if selected:
        content["chosen_by"] = _choosing(config)
    seed = config.get("seed_everything")
    generator = (config["model"].get("init_args") or {}).get("generator")
    return RunIdentity(
        hash_of(content),
        seed if type(seed) is int else None,
        generator.get("class_path") if isinstance(generator, dict) else None,
    )


def _earlier(checkpoint: str | Path) -> list[Path]:
    folder = run_folder_of(checkpoint)
    return [] if folder is None else sorted(folder.glob(BEFORE.format("*")))


def _of_any_length(config: Mapping[str, Any], fingerprint: str | None = None) -> str:
    """Hash of an experiment without its length, so that a prolonged run keeps its identity."""
    return hash_of(experiment_of(_without_length(dict(config)), fingerprint))


def keep_earlier(folder: Path, config: Mapping[str, Any]) -> Path | None:
    """Save the old configuration of a run that continues as another experiment.

    Args:
        folder: folder of the run.
        config: configuration with which it continues.

    Returns:
        Path of the saved configuration; None if the experiment is the same, possibly prolonged.

    Raises:
        UserError: it cannot be written.
    """
    before = _before(folder, config)
    if before is None or _of_any_length(before) == _of_any_length(_settled(config)):
        return None
    kept = folder / BEFORE.format(_of_any_length(before)[:8])
    try:
        kept.write_bytes((folder / "config.yaml").read_bytes())
    except OSError as error:
        raise UserError(f"{kept}: not written ({error.strerror}): free space, or give another --run") from error
    return kept


def _before(folder: Path, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The configuration that a run had, without defaults that had no effect, which earlier versions wrote."""
    before, now = _read_training(folder / "config.yaml"), config["model"]
    if before is not None and before["model"].get("class_path") == now.get("class_path"):
        said = before["model"].get("init_args") or {}
        before["model"]["init_args"] = {key: value for key, value in said.items() if key in now["init_args"]}
    return before


def note_changes(folder: Path, config: Mapping[str, Any], step: int | None) -> list[dict[str, Any]]:
    """Record the changes with which a run continues, before its configuration is replaced.

    Args:
        folder: folder of the run.
        config: configuration with which it continues.
        step: training step at which the changes take effect.

    Returns:
        ``key``, ``before``, ``after`` and ``step`` of each change; length, seeds and display options do not count.
    """
    before = _before(folder, config)
    if before is None:
        return []
    old, new = (dict(_leaves(_without_length(experiment_of(_settled(one))))) for one in (before, config))
    found = [
        {"key": key, "before": old.get(key), "after": new.get(key), "step": step}
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]
    _add_changes(folder, found)
    return found


def note_inputs(folder: Path, before: Mapping[str, str], now: Mapping[str, str], step: int) -> list[str]:
    """Record that inputs of a training, such as the code of a user's classes, have changed their content.

    Args:
        folder: folder of the run.
        before: sha256 of each input until then, by name; inputs without an entry are ignored.
        now: sha256 of each input from this step on, by name.
        step: training step from which the new content is used.

    Returns:
        Names of the inputs that changed.
    """
    names = [name for name in sorted(before) if name in now and before[name] != now[name]]
    _add_changes(
        folder, [{"key": READ + name, "before": before[name], "after": now[name], "step": step} for name in names]
    )
    return names


def _add_changes(folder: Path, found: list[dict[str, Any]]) -> None:
    if not found:
        return
    lines = [json.dumps(each) for each in found]
    known = read_text(folder / CHANGES).splitlines() if (folder / CHANGES).is_file() else []
    text = "".join(f"{line}\n" for line in dict.fromkeys([*known, *lines]))
    write_whole(folder / CHANGES, text.encode())


class AsItWas:
    """Backup of a run's configuration files, to be restored if the run does not continue.

    Args:
        folder: folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, names = folder, ("config.yaml", CHANGES)
        self._kept = set(folder.glob(BEFORE.format("*")))
        files = [folder / name for name in names]
        self._content = {file: file.read_bytes() if file.is_file() else None for file in files}

    def put_back(self) -> None:
        """Undo :func:`keep_earlier` and :func:`note_changes`, and restore the old configuration."""
        for file, content in self._content.items():
            if content is None:
                file.unlink(missing_ok=True)
            else:
                write_whole(file, content)
        for file in set(self._folder.glob(BEFORE.format("*"))) - self._kept:
            file.unlink()


def read_changes(checkpoint: str | Path) -> list[dict[str, Any]]:
    """Changes that :func:`note_changes` recorded for a checkpoint's run, oldest first."""
    folder = run_folder_of(checkpoint)
    if folder is None or not (folder / CHANGES).is_file():
        return []
    return [parse_json(line, str(folder / CHANGES)) for line in read_text(folder / CHANGES).splitlines()]


def _changed_inputs(checkpoint: str | Path) -> list[dict[str, Any]]:
    return [each for each in read_changes(checkpoint) if str(each["key"]).startswith(READ)]


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key as on the command line, value)."""
    if not isinstance(value, Mapping):
        yield place, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, place if key == "init_args" else f"{place}.{key}".lstrip("."))


def _without_length(config: dict[str, Any]) -> dict[str, Any]:
    trainer = {key: value for key, value in (config.get("trainer") or {}).items() if key not in LENGTH}
    return {**config, "trainer": trainer}


def experiment_of(config: Mapping[str, Any], fingerprint: str | None = None) -> dict[str, Any]:
    """The part of a configuration that identifies the experiment; equal for repetitions only.

    The store is identified by its fingerprint, not its path; a run that resumed from its own checkpoint counts as
    uninterrupted.

    Args:
        config: configuration of a training, resolved or as written by the user.
        fingerprint: fingerprint of the store, None to identify it by its path.
    """
    kept = _kept(config, "")
    if fingerprint is not None:
        kept["fingerprint"] = fingerprint
        data = kept.get("data")
        options = data.get("init_args") if isinstance(data, dict) else None
        if isinstance(options, dict):
            options.pop("store", None)
    if kept.get("speed") in EXACT_SPEEDS:
        del kept["speed"]
    if not any((kept.get("levers") or {}).values()):
        kept.pop("levers", None)
    folder = (config.get("trainer") or {}).get("default_root_dir") or config.get("run")
    begun = kept.get("ckpt_path")
    if begun and folder and Path(folder) in Path(begun).parents:
        kept["ckpt_path"] = None
    return kept


def _choosing(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Options of a training's ``Scores``, which do not change the training but select among its checkpoints."""
    entries = (config.get("trainer") or {}).get("callbacks") or []
    scores = [entry for entry in entries if _looks_on(entry) and entry["class_path"].endswith("Scores")]
    return [
        {key: value for key, value in (entry.get("init_args") or {}).items() if key not in NO_CHOICE}
        for entry in scores
    ]


def _kept(value: Any, place: str) -> Any:
    if isinstance(value, Mapping):
        # As on the command line, where model.init_args.seed is model.seed.
        places = {key: place if key == "init_args" else f"{place}.{key}".lstrip(".") for key in value}
        return {key: _kept(inner, places[key]) for key, inner in value.items() if places[key] not in LEFT_OUT}
    if isinstance(value, list):
        kept = [_kept(inner, f"{place}[]") for inner in value if not _looks_on(inner)]
        return kept if kept or not value else None
    return value


def _looks_on(entry: Any) -> bool:
    """Whether a list entry is a callback of the suite that does not change the training."""
    if not isinstance(entry, Mapping):
        return False
    package, _, name = str(entry.get("class_path")).rpartition(".")
    return name in ONLOOKERS and package.partition(".")[0] in ("", "t2igan")
