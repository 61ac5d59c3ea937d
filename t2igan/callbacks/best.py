"""The best checkpoint of a run, by a score."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from t2igan.evaluation.subjects.chosen import Choice
from t2igan.models.suite_module import SELECTED
from t2igan.reporting.numbers import direction


class BestCheckpoint:
    """Keeps ``checkpoints/best-<metric>.ckpt`` of a run.

    Args:
        metric: name of the score.
    """

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self.choice: Choice | None = None
        self._saving: Choice | None = None

    def path(self, trainer: pl.Trainer) -> Path:
        """Of the checkpoint."""
        return Path(trainer.default_root_dir) / "checkpoints" / f"best-{self.metric}.ckpt"

    def offer(self, trainer: pl.Trainer, choice: Choice) -> bool:
        """Save where the value is better than all before; on all ranks. Whether it is."""
        if not math.isfinite(choice.value):
            return False
        lead = 1.0 if self.choice is None else direction(self.metric) * (choice.value - self.choice.value)
        if lead <= 0:
            return False
        self._saving = choice
        draft = self.path(trainer).with_suffix(".new")
        try:
            trainer.save_checkpoint(draft)
        finally:
            self._saving = None
        if trainer.is_global_zero:
            draft.replace(self.path(trainer))  # a kill leaves the one before, or this one
        self.choice = choice
        return True

    def mark(self, checkpoint: dict[str, Any]) -> None:
        """Write into the checkpoint at hand what chose it, if it is the best one that is being saved."""
        if self._saving is not None:
            checkpoint[SELECTED] = asdict(self._saving)

    def state_dict(self) -> dict[str, Any] | None:
        """For the run's checkpoints."""
        choice = self._saving or self.choice
        return None if choice is None else asdict(choice)

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Take up again."""
        self.choice = None if state is None else Choice(**state)
