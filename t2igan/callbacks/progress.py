"""Progress of a training: a bar in a terminal, single lines at intervals in a log file."""

import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar, RichProgressBar

from t2igan.lightning_private import log_every_n_steps
from t2igan.ranges import Seconds, check_ranges


class StepBar(RichProgressBar):
    """Lightning's bar, which shows the batches of an epoch, with the steps of the whole training before it.

    The losses beside it are those of steps that are logged: to read them at every step would wait for the device.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reset the displayed losses."""
        super().on_train_start(trainer, pl_module)
        self._read: dict[str, Any] = {}

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """The losses of the last logged step."""
        if not trainer.training or not self._read or trainer.global_step % max(1, log_every_n_steps(trainer)) == 0:
            self._read = super().get_metrics(trainer, pl_module)
        return self._read

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the bar."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if self.progress is not None and self.train_progress_bar_id is not None:
            self.progress.update(self.train_progress_bar_id, description=self._get_train_description(0))

    def _get_train_description(self, current_epoch: int) -> str:
        total = self.trainer.estimated_stepping_batches
        return f"step {self.trainer.global_step:,} of {total:,.0f}; epoch {self.trainer.current_epoch + 1}"


class LineProgress(ProgressBar):
    """Prints step, steps in all, seconds a step, time left and the newest losses.

    Args:
        every_seconds: time between two lines.
        first_seconds: time before the first one.
    """

    def __init__(self, every_seconds: Seconds = 10.0, first_seconds: Seconds = 2.0) -> None:
        super().__init__()
        seconds = {"every_seconds": every_seconds, "first_seconds": first_seconds}
        check_ranges(type(self), seconds, LineProgress.__init__)
        self.every_seconds, self.first_seconds = every_seconds, first_seconds
        self._enabled = True
        self._wait = first_seconds
        self._since, self._printed = (0.0, 0), False

    def disable(self) -> None:
        """Stop printing (Lightning calls this on all ranks but the first)."""
        self._enabled = False

    def enable(self) -> None:
        """Resume printing."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._wait = self.first_seconds
        self._since, self._printed = (time.monotonic(), trainer.global_step), False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Print a line if the interval has passed."""
        then, step = self._since
        seconds = time.monotonic() - then
        if not self._enabled or seconds < self._wait or trainer.global_step == step:
            return
        self._print(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the last step, if any line was printed before: it may lie between two lines."""
        if self._enabled and self._printed and trainer.global_step > self._since[1]:
            self._print(trainer, pl_module)

    def _print(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        then, step = self._since
        per_step = (time.monotonic() - then) / (trainer.global_step - step)
        self._wait, self._printed = self.every_seconds, True
        self._since = (time.monotonic(), trainer.global_step)
        total = trainer.estimated_stepping_batches
        left = per_step * (total - trainer.global_step)
        metrics = self.get_metrics(trainer, pl_module).items()
        losses = {key: float(value) for key, value in metrics if "loss" in key and not isinstance(value, dict)}
        words = " ".join(f"{key.removeprefix('train/')} {value:.2f}" for key, value in losses.items())
        print(
            f"step {trainer.global_step}/{total:.0f}, {per_step:.2f} s each, {left / 60:.1f} min left, {words}",
            flush=True,
        )
