"""Keep the checkpoint of a run with the best value of a metric."""

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
        metric: name of the metric, which also names the file.
    """

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self.choice: Choice | None = None
        self._saving: Choice | None = None

    def path(self, trainer: pl.Trainer) -> Path:
        """Path of the best checkpoint."""
        return Path(trainer.default_root_dir) / "checkpoints" / f"best-{self.metric}.ckpt"

    def offer(self, trainer: pl.Trainer, choice: Choice) -> bool:
        """Save a checkpoint if the value is better than all before, and return whether it is; call on all ranks."""
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
            draft.replace(self.path(trainer))  # atomic: a kill leaves either the previous one or this one
        self.choice = choice
        return True

    def mark(self, checkpoint: dict[str, Any]) -> None:
        """Add the metric and its value to ``checkpoint`` if it is the best one that is being saved."""
        if self._saving is not None:
            checkpoint[SELECTED] = asdict(self._saving)

    def state_dict(self) -> dict[str, Any] | None:
        """Best value so far and its step, stored in the run's checkpoints."""
        choice = self._saving or self.choice
        return None if choice is None else asdict(choice)

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Restore the best value so far."""
        self.choice = None if state is None else Choice(**state)
