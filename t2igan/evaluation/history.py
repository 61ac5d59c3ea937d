"""What a checkpoint was trained with, from its first step on; the checkpoint holds it itself."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from t2igan.earlier import renamed
from t2igan.errors import UserError
from t2igan.models.digest import OWN
from t2igan.models.weights_file import SUFFIX, read_header
from t2igan.plain_files import parse_json, read_text, read_yaml
from t2igan.progress import read_plain
from t2igan.typed import fits
from t2igan.zoo import WEIGHTS, locate

KEY = "history"
CONFIG = "config.yaml"
# Configuration of a run before it was resumed with a changed one.
BEFORE = "config-before-{}.yaml"
# Changes of such a run with their steps, one JSON object per line.
CHANGES = "changes.jsonl"
OPTIONS = dict[str, Any] | None
# Errors from reading a damaged configuration.
FORM = {"data": OPTIONS, "trainer": OPTIONS, "levers": OPTIONS, "ckpt_path": str | None, "run": str | None}


@dataclass(frozen=True)
class History:
    """The configurations of a training, from its first step to that of a checkpoint.

    Attributes:
        config: resolved configuration, None if unknown.
        earlier: configurations before it was resumed with changed ones, oldest first.
        changes: ``key``, ``before``, ``after`` and ``step`` of each change, oldest first.
        origin: sha256 of the content of another run's checkpoint that it began with, None if there is none.
    """

    config: dict[str, Any] | None = None
    earlier: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    origin: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, for a checkpoint."""
        return asdict(self)


def read_history(checkpoint: str | Path) -> History:
    """History that a checkpoint holds; one of an earlier version has it in the folder of its run.

    Args:
        checkpoint: path of the file, or a name of the zoo; a missing file counts as one of an earlier version.
    """
    folder = run_folder_of(checkpoint)
    try:
        held = _held(locate(checkpoint))
    except UserError:  # recorded with a zoo that contained more
        held = None
    return held or (History() if folder is None else history_of_folder(folder))


def _held(path: Path) -> History | None:
    try:
        told = read_header(path) if path.suffix == SUFFIX else read_plain(path)
    except UserError:
        return None
    own = told.get(OWN)
    content = own.get(KEY) if isinstance(own, dict) else None
    hints = get_type_hints(History)
    if not isinstance(content, dict) or content.keys() != hints.keys():
        return None
    if not all(fits(value, hints[key]) for key, value in content.items()):
        return None
    now, earlier = settled(content["config"]), [settled(each) for each in content["earlier"]]
    if not all(map(_is_training, [*earlier, *([] if now is None else [now])])):
        return None
    return History(now, earlier, content["changes"], content["origin"])


def history_of_folder(folder: Path) -> History:
    """What the files of a run's folder say; versions without a history in the checkpoint have it there alone."""
    earlier = [read_training(path) for path in sorted(folder.glob(BEFORE.format("*")))]
    changes = read_text(folder / CHANGES).splitlines() if (folder / CHANGES).is_file() else []
    return History(
        read_training(folder / CONFIG),
        [config for config in earlier if config is not None],
        [parse_json(line, str(folder / CHANGES)) for line in changes],
    )


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
    """Configuration that a checkpoint was trained with, None if unknown."""
    return read_history(checkpoint).config


def read_changes(checkpoint: str | Path) -> list[dict[str, Any]]:
    """Changes of the configuration or of inputs while a checkpoint was trained, oldest first."""
    return read_history(checkpoint).changes


def read_training(path: Path) -> dict[str, Any] | None:
    """Configuration in a file, None if it is not that of a training."""
    if not path.is_file():
        return None
    try:
        config = settled(read_yaml(path))
    except UserError:
        return None
    return config if _is_training(config) else None


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


def settled(config: Any) -> Any:
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
