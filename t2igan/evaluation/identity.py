"""Identity of an experiment: runs with equal configurations, except for the keys left out here, are repetitions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from t2igan.evaluation.history import CONFIG, read_history, read_training, run_folder_of
from t2igan.evaluation.protocol import hash_of
from t2igan.evaluation.record import SubjectCard

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
# Prefix of keys of changes that are not options but inputs of the training, given by content.
READ = "inputs."
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
    history = read_history(checkpoint)
    config = _whole_run(checkpoint, history.config) if selected else history.config
    if config is None:
        return RunIdentity()
    content = {**experiment_of(config, fingerprint), "inputs": dict(inputs or {})}
    if begun := sorted(
        {of_any_length(one, fingerprint) for one in history.earlier} - {of_any_length(config, fingerprint)}
    ):
        content["begun_as"] = begun
    changed = [each for each in history.changes if str(each["key"]).startswith(READ)]
    if replaced := sorted({f"{each['key']} {each['before']}" for each in changed}):
        content["inputs_before"] = replaced
    if steps := sorted({each["step"] for each in history.changes if isinstance(each["step"], int)}):
        content["changed_at"] = steps  # a lower rate for the last tenth is not one from the first on
    if selected:
        content["chosen_by"] = _choosing(config)
    seed = config.get("seed_everything")
    generator = (config["model"].get("init_args") or {}).get("generator")
    return RunIdentity(
        hash_of(content),
        seed if type(seed) is int else None,
        generator.get("class_path") if isinstance(generator, dict) else None,
    )


def _whole_run(checkpoint: str | Path, config: dict[str, Any] | None) -> dict[str, Any] | None:
    """Configuration of a selected checkpoint's run, which may have been prolonged since."""
    folder = run_folder_of(checkpoint)
    now = None if folder is None else read_training(folder / CONFIG)
    same = now is not None and config is not None and of_any_length(now) == of_any_length(config)
    return now if same else config


def of_any_length(config: Mapping[str, Any], fingerprint: str | None = None) -> str:
    """Hash of an experiment without its length, so that a prolonged run keeps its identity."""
    return hash_of(experiment_of(without_length(dict(config)), fingerprint))


def without_length(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without the limits of its training."""
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
