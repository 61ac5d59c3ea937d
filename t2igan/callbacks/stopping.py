"""Stop signals: save a checkpoint, print one line, and end the training."""

import os
import signal
import subprocess
import threading
from types import FrameType
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import distributed

from t2igan.callbacks.reading import LateReader
from t2igan.callbacks.saving import RunCheckpoints
from t2igan.errors import Stopped
from t2igan.lightning_private import loops_state, requeues_itself
from t2igan.models.suite_module import SuiteModule

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)
"""What batch systems send some time before the end (``sbatch --signal=USR1@120``; submitit sends USR2)."""
_LOGGERS = (
    "pytorch_lightning.loggers",
    "lightning_fabric.loggers",
    "torch.utils.tensorboard",
    "tensorboard",
    "wandb",
)
_QUEUES = ("queue", "multiprocessing.queues")
_SOON = 0.02
"""Seconds after which a stop is tried again."""


class StopSignals(Callback):
    """Stops a training between two steps, with the state after the last of them in ``last.ckpt``.

    A signal within a step takes effect at its end. During validation, scoring, sample grids or waiting for data,
    training stops at once: none of these changes the checkpoint. A second Ctrl-C ends the process immediately,
    without a checkpoint. Several processes agree on the step, whichever of them received the signal.

    It must come before all callbacks that take time, and replaces Lightning's own handlers, after which a
    stopped training cannot be told from a finished one.

    Args:
        saver: writes the checkpoint.

    Attributes:
        began: whether the training has begun; what is refused before is refused by all processes alike.
    """

    def __init__(self, saver: RunCheckpoints) -> None:
        self.saver, self.began = saver, False
        self.received: int | None = None
        self._working = True
        self._alone = True
        self._step = 0
        self._position: dict[str, Any] | None = None
        self._stopping = False
        self._agreed = LateReader()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Install the handlers, in place of Lightning's, which restores the original ones at the end."""
        self.began = True
        self._alone, self._working, self._step = trainer.world_size == 1, True, trainer.global_step
        self._agreed = LateReader()
        if threading.current_thread() is threading.main_thread():
            self._listen()
        if self.received is None and trainer.received_sigterm:
            raise Stopped(signal.SIGTERM)

    def _listen(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._hear)
        signal.signal(signal.SIGALRM, self._stop_now)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            if number == signal.SIGINT and not self._stopping:
                raise KeyboardInterrupt
            return
        self.received = number
        # Workers that received the signal too may have ended, which is not an error now.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._stop_now(number, frame)

    def _stop_now(self, number: int, frame: FrameType | None) -> None:
        """Stop, if that harms nothing: a logger that is left while it hands a row to its thread cannot be closed.

        Somebody who waits for a queue may never be told of what is put there next, where the one before was left
        between its steps: TensorBoard's writer then takes two minutes to end.
        """
        if not self._alone or self._working or self._stopping:
            return
        if _hands_over(frame):
            signal.setitimer(signal.ITIMER_REAL, _SOON)
            return
        self._working = True  # stop only once
        # This call may come from the timer, whose signal is not the one to report.
        raise Stopped(number if self.received is None else self.received)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Defer signals until the end of the step."""
        self._working = True

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop if any process received a signal, but never between accumulated batches."""
        if trainer.global_step == self._step:
            return
        self._step = trainer.global_step
        self._position = {"loops": loops_state(trainer), "epoch": trainer.current_epoch}
        received = self.received if self._alone else self._agree(trainer)
        if received:
            raise Stopped(received)
        self._working = not self._alone
        if self._alone and self.received is not None:  # the signal arrived in the meantime
            raise Stopped(self.received)

    def _agree(self, trainer: pl.Trainer) -> int:
        """The signal that any rank received, known to all at the same step without waiting for a device."""
        told = torch.tensor([float(self.received or 0)], device=trainer.strategy.root_device)
        distributed.all_reduce(told, distributed.ReduceOp.MAX)
        self._agreed.put(trainer.global_step, told)
        return max((int(values[0]) for _, values in self._agreed.take()), default=0)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Save a checkpoint and print a line, if a signal ended the training."""
        if not isinstance(exception, Stopped) or self._stopping:
            return
        self._stopping = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self._position is None:
            return
        path = self.saver.save(trainer)
        exception.left = (
            f"saved {path} at {cast(SuiteModule, pl_module).progress()}; the same command continues from there"
        )
        if exception.number in WARNINGS and requeues_itself(trainer) and trainer.is_global_zero:
            _requeue()

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict) -> None:
        """Set the counters to the end of the last step, to agree with the weights and optimisers."""
        if self._stopping and self._position is not None:
            checkpoint.update(self._position)


def _hands_over(frame: FrameType | None) -> bool:
    """Whether a stack frame belongs to a logger, or to code that puts an item into a queue."""
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(_LOGGERS) or (module in _QUEUES and frame.f_code.co_name == "put"):
            return True
        frame = frame.f_back
    return False


def _requeue() -> None:
    """Put the SLURM job back into the queue, as Lightning would have."""
    job = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = os.environ["SLURM_JOB_ID"] if job is None else f"{job}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    subprocess.run(["scontrol", "requeue", job], check=False)
