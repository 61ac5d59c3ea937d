"""How far a run is: where its folder lies, and how far its checkpoint was trained of how much."""

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
    """How far a training was when it saved.

    Attributes:
        step: steps taken.
        epoch: epochs begun before it.
        max_steps: that it was to take, -1 for no limit.
        max_epochs: that it was to take, -1 for no limit.
        finished: whether it had reached its end: the steps or epochs asked for, its time limit, an early stop.
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
        """Plain values, for a checkpoint or a record."""
        return asdict(self)


def progress_of(checkpoint: Mapping[str, Any]) -> Progress | None:
    """What a checkpoint says; None for one that does not say (imported, or of an earlier version)."""
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
    """The progress in a checkpoint's file; None where there is none, or the file cannot be read.

    Neither weights nor torch are loaded, and nothing in the file is executed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:  # no checkpoint is, and it may be endless
                return None
            with archive.open(name) as file:
                return progress_of(_PlainValues(file).load())
    except Exception:  # whatever is wrong with the file: it says nothing
        return None


class _Nothing(dict):
    """Stands for whatever is not a plain value, and takes all that a pickle does to it."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None: ...


class _PlainValues(pickle._Unpickler):
    """Reads the plain values of a checkpoint; every class is :class:`_Nothing`.

    The unpickler in Python: that in C takes gigabytes for eight bytes that name a place far away in its memo.
    """

    def find_class(self, module: str, name: str) -> type:
        """No class of the file is looked for."""
        return _Nothing

    def persistent_load(self, key: Any) -> None:
        """No tensor is read."""


def default_run_folder(config_files: Sequence[str]) -> Path:
    """``runs/<where the last configuration file lies under experiments>/<its name>``."""
    if not config_files:
        return Path("runs") / "unnamed"
    path = Path(config_files[-1]).with_suffix("")
    parts = path.parts
    if "experiments" in parts:
        return Path("runs", *parts[parts.index("experiments") + 1 :])
    return Path("runs") / path.name


def trained_by(words: Sequence[str]) -> Path | None:
    """The checkpoint that a command line (the words after ``t2igan``) trains; None where it trains none."""
    if not words or words[0] != "fit":
        return None
    pairs = [tuple(word.split("=", 1)) for word in words if "=" in word] + list(pairwise(words))
    options = [(key, value) for key, value in pairs if key in ("--run", "--config", "-c")]
    runs = [value for key, value in options if key == "--run"]
    folder = Path(runs[-1]) if runs else default_run_folder([value for key, value in options if key != "--run"])
    return folder / LAST
