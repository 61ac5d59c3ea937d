"""Which runs are repetitions of one experiment: the same configuration but for its seeds."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from t2igan.evaluation.record import SubjectCard

SEEDS = ("seed", "seed_everything")
# What of the Trainer's configuration makes another experiment; the rest is where and how it ran.
TRAINER_KEYS = ("max_epochs", "max_steps", "max_time", "precision", "limit_train_batches")


@dataclass(frozen=True)
class RunIdentity:
    """What a run was.

    Attributes:
        experiment: sha256 of its configuration without seeds, None where that is not known.
        training_seed: seed of the run.
        generator: class of its generator, None where the module chose it.
    """

    experiment: str | None = None
    training_seed: int | None = None
    generator: str | None = None


def identity_of(card: SubjectCard) -> RunIdentity:
    """From the record, else from the configuration in the run's folder, as far as that is there."""
    if card.kind != "checkpoint":
        return RunIdentity(generator=card.generator)
    if card.experiment is not None:
        return RunIdentity(card.experiment, card.training_seed, card.generator)
    return RunIdentity() if card.path is None else read_identity(card.path)


def run_folder_of(checkpoint: str | Path) -> Path | None:
    """The folder of the run that a checkpoint belongs to, None for a checkpoint by itself."""
    folder = Path(checkpoint).parent
    return folder.parent if folder.name == "checkpoints" else None


def read_identity(checkpoint: str | Path) -> RunIdentity:
    """Read ``config.yaml`` of the run that a checkpoint belongs to; empty where there is none."""
    folder = run_folder_of(checkpoint)
    path = None if folder is None else folder / "config.yaml"
    if path is None or not path.is_file():
        return RunIdentity()
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return RunIdentity()
    if not isinstance(config, dict) or not isinstance(config.get("model"), dict):
        return RunIdentity()
    trainer = config.get("trainer") or {}
    content = {
        "model": _without_seeds(config["model"]),
        "data": _without_seeds(config.get("data")),
        "trainer": {key: trainer.get(key) for key in TRAINER_KEYS},
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
    seed = config.get("seed_everything")
    generator = (config["model"].get("init_args") or {}).get("generator")
    return RunIdentity(
        digest,
        seed if type(seed) is int else None,
        generator.get("class_path") if isinstance(generator, dict) else None,
    )


def _without_seeds(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_seeds(inner) for key, inner in value.items() if key not in SEEDS}
    if isinstance(value, list):
        return [_without_seeds(inner) for inner in value]
    return value
