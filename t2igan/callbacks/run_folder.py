"""The curves in a run's folder (``metrics.csv``), which survive kills and resumes."""

import csv
import re
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.utilities import rank_zero_only

from t2igan.evaluation.continuing import note_inputs, write_history
from t2igan.evaluation.history import History
from t2igan.lightning_private import log_every_n_steps, set_loggers_step
from t2igan.models.suite_module import SuiteModule

CURVES = "metrics.csv"
# Columns that do not change when a step is repeated, unlike its speed.
OF_A_STEP = ("train/", "gradients/", "lr/")


class _KeepingWriter(ExperimentWriter):
    """Appends to an existing file; Lightning's own writer deletes it."""

    def _check_log_dir_exists(self) -> None:
        self.metrics_keys = sorted(set().union(*read_curves(Path(self.metrics_file_path))))

    def rewind(self, step: int, last: dict[str, float] | None) -> None:
        """Keep the rows before ``step``; ``last`` is appended if a kill prevented it from being written."""
        path = Path(self.metrics_file_path)
        rows = [row for row in read_curves(path) if row["step"] < step]
        if last and not any(row["step"] == last["step"] and last.keys() <= row.keys() for row in rows):
            rows.append(last)
        if not rows:
            if step and path.is_file():  # a resumed run without any row: its header is damaged
                path.replace(path.with_suffix(".damaged"))
            path.unlink(missing_ok=True)
            self.metrics_keys = []
            return
        self.metrics_keys = sorted(set().union(*rows))
        draft = path.with_suffix(".new")
        with draft.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.metrics_keys)
            writer.writeheader()
            writer.writerows(rows)
        draft.replace(path)


class RunCurves(CSVLogger):
    """``metrics.csv`` of a run, which survives kills and resumes; every row is written at once."""

    def __init__(self, folder: str | Path) -> None:
        super().__init__(str(folder), name="", version="", flush_logs_every_n_steps=1)

    @property
    def experiment(self) -> _KeepingWriter:
        """The CSV writer, created on first access."""
        writer = self._experiment
        if not isinstance(writer, _KeepingWriter):
            writer = self._experiment = _KeepingWriter(self.log_dir)
        return writer

    @rank_zero_only
    def rewind(self, step: int, last: dict[str, float] | None = None) -> None:
        """Drop the rows from ``step`` on, which are about to be logged again."""
        self.experiment.rewind(step, last)


def read_curves(path: Path) -> list[dict[str, float]]:
    """Rows of a ``metrics.csv`` without their blank cells; truncated and damaged lines are skipped."""
    if not path.is_file():
        return []
    # A power cut leaves megabytes of NUL in place of the last rows.
    text = re.sub("\0+", "?", path.read_bytes().decode(errors="replace"))
    lines = [line for line in text.splitlines() if len(line) <= csv.field_size_limit()]
    numbers = [_numbers(row) for row in csv.DictReader(lines, quoting=csv.QUOTE_NONE)]
    return [row for row in numbers if row is not None]


def _numbers(row: dict[str, str | None]) -> dict[str, float] | None:
    """A row as numbers; None for a truncated or damaged row."""
    try:
        values = {key: float(cell) for key, cell in row.items() if cell}
        step = int(values["step"])
    except (KeyError, OverflowError, TypeError, ValueError):
        return None
    return None if None in row.values() else values | {"step": step}


class ContinueCurves(Callback):
    """Rewinds the run's curves to the step at which training resumes.

    A checkpoint is written before its step is logged, so it carries that step's values along.
    """

    KEY = "last_curves_row"

    def __init__(self) -> None:
        self._last: dict[str, float] | None = None

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict) -> None:
        """Store the values of the last step in the checkpoint, if it is a logged one."""
        step = trainer.global_step - 1
        if trainer.training and (step + 1) % log_every_n_steps(trainer) == 0:
            logged = trainer.logged_metrics.items()
            values = {key: float(value) for key, value in logged if key.startswith(OF_A_STEP)}
            checkpoint[self.KEY] = values | {"step": step, "epoch": trainer.current_epoch}

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict) -> None:
        """Read the values of the last step."""
        self._last = checkpoint.get(self.KEY)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Drop the rows that were logged after the checkpoint's step."""
        self._rewind(trainer)
        self._last = None

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the row of the last step, which is missing if the run was killed right after it."""
        if self._last is not None:
            self._rewind(trainer)

    def _rewind(self, trainer: pl.Trainer) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, RunCurves):
                logger.rewind(trainer.global_step, self._last)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Log under ``global_step``: after some resumes Lightning's own counter for loggers lags behind it."""
        set_loggers_step(trainer, trainer.global_step)


class ChangedInputs(Callback):
    """Reports and records changed inputs when a run is resumed: its store, networks, code of the user's own."""

    def __init__(self) -> None:
        self._before: dict[str, str] = {}

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict) -> None:
        """Take up what it read until then."""
        own = checkpoint["t2igan"]
        self._before = own.get("inputs", {}) | _store(own["dataset"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Only now is it known that there is a step left to do."""
        if not isinstance(pl_module, SuiteModule) or not trainer.is_global_zero:
            return
        now, step = pl_module.inputs | _store(pl_module.dataset), trainer.global_step
        history, names = note_inputs(History(**(pl_module.history or {})), self._before, now, step)
        if names:
            pl_module.history = history.to_dict()
            write_history(Path(trainer.default_root_dir), history)
        for name in names:
            print(f"{name} has changed since step {step}: the run continues with the new one")


def _store(dataset: dict[str, str]) -> dict[str, str]:
    return {"store": dataset["fingerprint"]} if "fingerprint" in dataset else {}
