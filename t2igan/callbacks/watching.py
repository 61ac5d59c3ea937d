"""Callbacks that log gradient norms, learning rates, speed and the best validation values.

Values go to every logger of the run. None of the callbacks changes the training, and none waits for the device
between logged steps.
"""

import math
import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from t2igan.lightning_private import loggers_step, step_is_logged

# The better direction of each quantity that the suite's modules are validated by.
BETTER = {
    "val/loss": "min",
    "val/perplexity": "min",
    "val/damsm": "min",
    "val/redescription": "min",
    "val/top1_of_batch": "max",
    "val/accuracy": "max",
    "val/bleu_4": "max",
    "val/rouge_l": "max",
}


def networks_of(module: pl.LightningModule) -> dict[str, nn.Module]:
    """The networks of a module by the names under which they are logged: its own, or those of its parts."""
    own = getattr(module, "networks", None)
    return dict(module.named_children()) if own is None else own()


def parameter_counts(module: pl.LightningModule) -> dict[str, int]:
    """Number of parameters of each network that has any."""
    counts = {name: sum(each.numel() for each in part.parameters()) for name, part in networks_of(module).items()}
    return {name: count for name, count in counts.items() if count}


class GradientNorms(Callback):
    """Logs ``gradients/<network>``, the norm before clipping, and ``lr/<network>``, the rate of the step taken.

    Where an optimiser takes two steps in a batch, as discriminators with a separate gradient penalty do, the norm
    at the second is ``gradients/<network>_second``.
    """

    def __init__(self) -> None:
        self._values: dict[str, Tensor | float] = {}

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Measure the gradients that are about to be applied."""
        if not step_is_logged(trainer):
            return
        owners = {each: name for name, part in networks_of(pl_module).items() for each in part.parameters()}
        gradients: dict[str, list[Tensor]] = {}
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                name = owners.get(parameter, "other")
                self._values[f"lr/{name}"] = group["lr"]
                if parameter.grad is not None:
                    gradients.setdefault(name, []).append(parameter.grad)
        for name, each in gradients.items():
            key = f"gradients/{name}"
            self._values[f"{key}_second" if key in self._values else key] = get_total_norm(each)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log at the end of the step; within it Lightning would drop what the step has logged before."""
        if self._values:
            pl_module.log_dict(self._values)
            self._values = {}


class Speed(Callback):
    """Logs ``speed/images_per_second`` of all devices, and ``speed/waiting_for_data``, the share of time spent so.

    Both are of the steps since the last row; validation and the writing of checkpoints are left out.
    """

    def __init__(self) -> None:
        self._images, self._working, self._waiting = 0, 0.0, 0.0
        self._since = 0.0
        self._only_waits = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock at the first batch; what precedes it is preparation."""
        self._images, self._working, self._waiting = 0, 0.0, 0.0
        self._only_waits = False

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Stop counting time as waiting for data."""
        now = time.perf_counter()
        if self._only_waits:
            self._waiting += now - self._since
        self._since = now

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch and log the speed when due."""
        now = time.perf_counter()
        self._working += now - self._since
        self._images += len(batch) * trainer.world_size
        self._since, self._only_waits = now, True
        if step_is_logged(trainer):
            seconds = self._working + self._waiting
            values = {"images_per_second": self._images / seconds, "waiting_for_data": self._waiting / seconds}
            pl_module.log_dict({f"speed/{name}": value for name, value in values.items()})
            self._images, self._working, self._waiting = 0, 0.0, 0.0

    def leave_out(self) -> None:
        """Exclude the time until the next batch: it is neither training nor waiting for data."""
        self._only_waits = False

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See :meth:`leave_out`."""
        self.leave_out()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See :meth:`leave_out`."""
        self.leave_out()

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict) -> None:
        """See :meth:`leave_out`."""
        self.leave_out()


class BestSoFar(Callback):
    """Logs ``best/val/<quantity>`` after each validation, for the quantities in ``BETTER``, across resumptions."""

    def __init__(self) -> None:
        self.best: dict[str, float] = {}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare with the best values so far and log them."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        values = {key: float(value) for key, value in trainer.callback_metrics.items() if key in BETTER}
        self.best = improved(self.best, values)
        row = {f"best/{key}": self.best[key] for key in values if key in self.best}
        if row:
            for logger in trainer.loggers:
                logger.log_metrics(row, step=loggers_step(trainer))

    def state_dict(self) -> dict[str, float]:
        """The best values, for the checkpoint."""
        return dict(self.best)

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Restore the best values."""
        self.best = dict(state_dict)


def improved(best: Mapping[str, float], values: Mapping[str, float]) -> dict[str, float]:
    """``best`` with what of ``values`` is better, or new; what is not a number never is."""
    result = dict(best)
    for key, value in values.items():
        choose = min if BETTER[key] == "min" else max
        if math.isfinite(value):
            result[key] = choose(value, best.get(key, value))
    return result
