"""One run, one folder: configuration, curves, checkpoints, pictures."""

import csv
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.utilities import rank_zero_only

CURVES = "metrics.csv"


class RunCurves(CSVLogger):
    """``metrics.csv`` of a run, which survives a resume: Lightning's own logger deletes what is there."""

    def __init__(self, folder: str | Path, flush_logs_every_n_steps: int = 20) -> None:
        super().__init__(str(folder), name="", version="", flush_logs_every_n_steps=flush_logs_every_n_steps)
        self._kept: list[dict[str, float]] = []

    @property
    def experiment(self) -> Any:
        """The writer; what an earlier part of the run wrote is read before the writer removes it."""
        if self._experiment is None:
            self._kept = read_curves(Path(self.log_dir) / CURVES)
        return super().experiment

    @rank_zero_only
    def rewind(self, step: int) -> None:
        """Take the earlier part of the run back in, up to ``step``: what follows is about to be done again."""
        writer = self.experiment
        kept, self._kept = self._kept, []
        writer.metrics = [row for row in kept if row["step"] < step] + writer.metrics
        if writer.metrics:
            self.save()


def read_curves(path: Path) -> list[dict[str, float]]:
    """Rows of a ``metrics.csv``, blank cells left out; a torn last line is dropped."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = [_numbers(row) for row in rows]
    return [row for row in numbers if row is not None]


def _numbers(row: dict[str, str | None]) -> dict[str, float] | None:
    """A row as numbers; None for one that was cut off while it was written."""
    try:
        values = {key: float(cell) for key, cell in row.items() if cell}
    except (TypeError, ValueError):
        return None
    if None in row.values() or "step" not in values:
        return None
    return values | {"step": int(values["step"])}


class ContinueCurves(Callback):
    """Tells the run's curves where training starts."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep what was logged before the checkpoint's step."""
        for logger in trainer.loggers:
            if isinstance(logger, RunCurves):
                logger.rewind(trainer.fit_loop.epoch_loop._batches_that_stepped)


def default_run_folder(config_files: list[str]) -> Path:
    """``runs/<where the last configuration file lies under experiments>/<its name>``."""
    if not config_files:
        return Path("runs") / "unnamed"
    path = Path(config_files[-1]).with_suffix("")
    parts = path.parts
    if "experiments" in parts:
        return Path("runs", *parts[parts.index("experiments") + 1 :])
    return Path("runs") / path.name
