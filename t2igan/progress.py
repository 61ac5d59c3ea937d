"""Folder of a run, and the training progress stored in its checkpoint."""

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, get_type_hints

from t2igan.typed import fits

KEY = "progress"
LAST = Path("checkpoints", "last.ckpt")
"""Of a run's folder: its newest checkpoint."""


@dataclass(frozen=True)
class Progress:
    """Progress of a training when a checkpoint was saved.

    Attributes:
        step: number of finished steps.
        epoch: index of the current epoch.
        max_steps: limit of the steps, -1 for no limit.
        max_epochs: limit of the epochs, -1 for no limit.
        finished: whether the training had ended by its limits, by its time limit or by early stopping.
    """

    step: int
    epoch: int
    max_steps: int
    max_epochs: int
    finished: bool

    def __str__(self) -> str:
        if self.max_steps > 0:
            return f"step {self.step} of {self.max_steps}"
        goal = f" of {self.max_epochs}" if self.max_epochs > 0 else ""
        return f"step {self.step}, epoch {self.epoch}{goal}"

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, for a checkpoint or a record."""
        return asdict(self)


def progress_of(checkpoint: Mapping[str, Any]) -> Progress | None:
    """Progress stored in a checkpoint, None if there is none (imported, or of an earlier version)."""
    own = checkpoint.get("t2igan")
    content = own.get(KEY) if isinstance(own, dict) else None
    if not isinstance(content, dict):
        return None
    try:
        progress = Progress(**content)
    except TypeError:
        return None
    hints = get_type_hints(Progress)
    return progress if all(fits(value, hints[key]) for key, value in asdict(progress).items()) else None


def read_progress(path: Path) -> Progress | None:
    """Read the progress from a checkpoint's file; None if there is none, or the file cannot be read."""
    return progress_of(read_plain(path))


def read_plain(path: Path) -> dict[str, Any]:
    """Read the plain values of a checkpoint's file; empty if it cannot be read.

    Neither weights nor torch are loaded, and nothing in the file is executed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            # Checkpoints are never compressed, and unpacking could be endless.
            if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
                return {}
            with archive.open(name) as file:
                content = _PlainValues(file).load()
    except Exception:  # any error: the file tells nothing
        return {}
    return content if isinstance(content, dict) else {}


class _Nothing(dict):
    """Replaces everything that is no plain value, and accepts all operations of a pickle."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None: ...


class _PlainValues(pickle._Unpickler):
    """Unpickler of a checkpoint's plain values, which replaces all classes by :class:`_Nothing`.

    Uses the Python implementation: the C one allocates gigabytes for eight bytes with a large memo index.
    """

    def find_class(self, module: str, name: str) -> type:
        """Return :class:`_Nothing` instead of importing a class."""
        return _Nothing

    def persistent_load(self, pid: Any) -> None:
        """Return None instead of reading a tensor."""


def default_run_folder(config_files: Sequence[str]) -> Path:
    """Default run folder, ``runs/<folder of the configuration below experiments>/<stem of the configuration>``.

    The ``config.yaml`` of a run continues this run; one that was copied elsewhere has the name of its folder.
    """
    if not config_files:
        return Path("runs") / "unnamed"
    path = Path(config_files[-1]).with_suffix("")
    parts = path.parts
    if "experiments" in parts:
        return Path("runs", *parts[parts.index("experiments") + 1 :])
    if path.name == "config" and path.parent.name:
        return path.parent if "runs" in parts else Path("runs") / path.parent.name
    return Path("runs") / path.name


def trained_by(words: Sequence[str]) -> Path | None:
    """The checkpoint that a command line (the words after ``t2igan``) writes, None if it trains nothing."""
    if not words or words[0] != "fit":
        return None
    pairs = [word.split("=", 1) if "=" in word else (word, after) for word, after in pairwise([*words, ""])]
    options = [(key, value) for key, value in pairs if key in ("--run", "--config", "-c")]
    runs = [value for key, value in options if key == "--run"]
    folder = Path(runs[-1]) if runs else default_run_folder([value for key, value in options if key != "--run"])
    return folder / LAST
