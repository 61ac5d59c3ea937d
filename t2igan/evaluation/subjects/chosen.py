"""Which checkpoint of a run is meant, and what chose it."""

from dataclasses import dataclass
from pathlib import Path

from t2igan.errors import UserError

BEST, LAST = "best-*.ckpt", "last.ckpt"


@dataclass(frozen=True)
class Choice:
    """What chose a checkpoint.

    Attributes:
        metric: name of the score.
        value: its value.
        step: step of the training.
        protocol: name of the protocol.
        selection: ``test``, or ``val-classes``.
    """

    metric: str
    value: float
    step: int
    protocol: str
    selection: str

    @property
    def rule(self) -> str:
        """What is the same for all seeds of an experiment, for the record."""
        return f"{self.selection}: best {self.metric} of {self.protocol}"


def checkpoint_of(path: str | Path) -> Path:
    """The checkpoint that is meant by a path: the file itself; of a run's folder the best one, else the last.

    Raises:
        UserError: the folder holds none, or several best ones.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    best = sorted(folder.glob(BEST))
    if len(best) > 1:
        names = ", ".join(str(one) for one in best)
        raise UserError(f"{path} holds several best checkpoints: name the one that is meant: {names}")
    found = best[0] if best else folder / LAST
    if not found.is_file():
        raise UserError(f"{path} holds no checkpoint ({BEST} or {LAST} under checkpoints): train with t2igan fit")
    return found
