"""The checkpoint of a run to use, and the metric that selected it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from t2igan.errors import UserError
from t2igan.typed import fits
from t2igan.zoo import WEIGHTS

BEST, LAST = "best-*.ckpt", "last.ckpt"


@dataclass(frozen=True)
class Choice:
    """The metric value by which a checkpoint was selected.

    Attributes:
        metric: name of the metric.
        value: value of the metric at that step.
        step: training step of the checkpoint.
        protocol: name of the protocol.
        selection: images of the selection: ``test`` or ``val-classes``.
    """

    metric: str
    value: float
    step: int
    protocol: str
    selection: str

    @property
    def rule(self) -> str:
        """The selection rule, which is the same for all seeds of an experiment."""
        return f"{self.selection}: best {self.metric} of {self.protocol}"


def choice_in(path: str | Path, selected: Mapping[str, Any]) -> Choice:
    """What a checkpoint says that chose it.

    Args:
        path: path of the checkpoint, for errors.
        selected: what it says.

    Raises:
        UserError: it is no such thing.
    """
    hints = get_type_hints(Choice)
    if selected.keys() != hints.keys() or not all(fits(value, hints[key]) for key, value in selected.items()):
        raise UserError(f"{path} is not a complete checkpoint: its selection is {dict(selected)!r:.60}")
    return Choice(**selected)


def checkpoint_of(path: str | Path) -> Path:
    """Resolve a path to a checkpoint: a file itself; in a run's folder the best checkpoint, else the last.

    In a folder of ``export --to zoo`` it is the weights.

    Raises:
        UserError: the folder has no checkpoint, or several best ones; the file is ONNX.
    """
    path = Path(path)
    if path.suffix == ".onnx":
        raise UserError(f"{path} is for other programs (docs/export.md): give the checkpoint it was exported from")
    if not path.is_dir():
        return path
    if (path / WEIGHTS).is_file():
        return path / WEIGHTS
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    best = sorted(folder.glob(BEST))
    if len(best) > 1:
        names = ", ".join(str(one) for one in best)
        raise UserError(f"{path} holds several best checkpoints: name one of them: {names}")
    found = best[0] if best else folder / LAST
    if not found.is_file():
        raise UserError(f"{path} holds no checkpoint ({BEST} or {LAST} under checkpoints): train with t2igan fit")
    return found


def checkpoint_or_folder(path: str | Path) -> Path:
    """Resolve the path of a network that may be a folder of another library: only a run's folder becomes a file.

    Raises:
        UserError: the run's folder has no checkpoint, or several best ones.
    """
    return checkpoint_of(path) if (Path(path) / "checkpoints").is_dir() else Path(path)
