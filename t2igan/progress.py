"""How far a checkpoint was trained of how much, read from the checkpoint alone."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

KEY = "progress"


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
        return Progress(**content)
    except TypeError:
        return None


def read_progress(path: Path) -> Progress | None:
    """The progress in a checkpoint's file; None where there is none, or the file cannot be read.

    Weights are not read: the file is mapped.
    """
    import torch  # takes seconds, and most of what `benchmark` does needs none of it

    try:
        return progress_of(torch.load(path, map_location="cpu", mmap=True, weights_only=True))
    except Exception:
        # Whatever is wrong with the file: it says nothing.
        return None
