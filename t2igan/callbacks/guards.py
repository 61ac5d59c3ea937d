"""Guards: stop a training with non-finite values before they are saved, and warn of mode collapse.

Logged values and gradient norms are checked at every step, on the device; the host reads the result two
steps later (:mod:`t2igan.callbacks.reading`), so that nothing waits. Weights, averages, statistics and the states
of the optimisers are checked before any checkpoint is written, after all pending values have been
read: non-finite values are never saved.
"""

import math
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from t2igan.callbacks.reading import LateReader
from t2igan.callbacks.saving import last_checkpoint
from t2igan.callbacks.watching import networks_of
from t2igan.errors import UserError
from t2igan.lightning_private import logged_in_step, scales_losses
from t2igan.nn.finite import first_non_finite, tensors_in
from t2igan.progress import read_progress
from t2igan.ranges import Whole, check_ranges

OF_A_STEP = "train/"
MARGIN = f"{OF_A_STEP}margin"
SATURATED_MARGIN = 20.0
"""Logits between real and generated images at which a sigmoid's gradient is below 5e-5."""
MARGIN_STEPS = 100
LEAST_DIVERSITY = 0.02

Groups = list[tuple[str, list[nn.Parameter]]]


class Guards(Callback):
    """Stops a training at non-finite values, and warns of mode collapse.

    Args:
        non_finite: ``stop``, or ``skip`` to leave out a step whose gradients are not finite and to count it
            (``guards/skipped`` in the curves); the device is then waited for once an optimiser's step.
        patience: steps skipped one after another that stop training all the same.
    """

    def __init__(self, non_finite: Literal["stop", "skip"] = "stop", patience: Whole = 50) -> None:
        check_ranges(type(self), {"patience": patience}, Guards.__init__)
        self.non_finite, self.patience = non_finite, patience
        self.skipped, self._in_a_row = 0, 0
        self._late = LateReader()
        self._groups: dict[int, Groups] = {}
        self._norms: dict[str, Tensor] = {}
        self._margins: dict[str, deque[float]] = {}

    # ------------------------------------------------------------------ steps

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Measure the gradients of each network."""
        if scales_losses(trainer):
            return  # with a gradient scaler, infinite gradients are normal in half precision
        if id(optimizer) not in self._groups:
            self._groups[id(optimizer)] = _groups(pl_module, optimizer)
        norms = {}
        for name, parameters in self._groups[id(optimizer)]:
            gradients = [each.grad for each in parameters if each.grad is not None]
            if gradients:
                norms[f"the gradient norm of {name}"] = get_total_norm(gradients).float()
        if self.non_finite == "stop":
            self._norms |= norms
        elif norms:
            self._skip_unless_finite(trainer, optimizer, norms)

    def _skip_unless_finite(
        self, trainer: pl.Trainer, optimizer: torch.optim.Optimizer, norms: Mapping[str, Tensor]
    ) -> None:
        wrong = [name for name, norm in norms.items() if not math.isfinite(norm.item())]
        if not wrong:
            self._in_a_row = 0
            return
        self.skipped, self._in_a_row = self.skipped + 1, self._in_a_row + 1
        if self._in_a_row > self.patience:
            self._stop(trainer, f"{wrong[0]} is not finite {self._in_a_row} times in a row", trainer.global_step)
        rank_zero_warn(f"step {trainer.global_step}: {wrong[0]} is not finite; skipped, {self.skipped} in all")
        optimizer.zero_grad(set_to_none=True)  # optimisers skip parameters without a gradient

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Queue the step's values for reading, and check those that have arrived."""
        logged = {name: value for name, value in logged_in_step(trainer).items() if name.startswith(OF_A_STEP)}
        if self.non_finite == "skip":
            logged = {name: value for name, value in logged.items() if name.startswith(MARGIN)}
            pl_module.log("guards/skipped", float(self.skipped))
        values = logged | self._norms
        self._norms = {}
        if values:
            stacked = torch.stack([value.detach().float().reshape(()) for value in values.values()])
            self._late.put((trainer.global_step, list(values)), stacked)
        self._look(trainer)

    def _look(self, trainer: pl.Trainer, everything: bool = False) -> None:
        for (step, names), values in self._late.take(everything):
            numbers = dict(zip(names, values.tolist()))
            wrong = [name for name, number in numbers.items() if not math.isfinite(number)]
            if wrong and self.non_finite == "stop":
                self._stop(trainer, f"{wrong[0]} is {numbers[wrong[0]]:g}", step)
            for name, number in numbers.items():
                if name.startswith(MARGIN):
                    self._watch_margin(name, number, step)

    def _stop(self, trainer: pl.Trainer, what: str, step: int) -> None:
        good = last_checkpoint(Path(trainer.default_root_dir))
        kept = "no checkpoint was written before"
        if good.is_file():
            kept = f"the last good checkpoint is {good} ({read_progress(good) or 'of an earlier version'})"
        raise UserError(
            f"{what} at step {step}: training stopped, and nothing of this was saved; {kept}. Lower the learning "
            "rates, clip gradients (model.init_args.clip), or add the callback Guards with non_finite: skip"
        )

    # ------------------------------------------------------------- checkpoints

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict) -> None:
        """Refuse to save non-finite values.

        Raises:
            UserError: the training has failed.
        """
        self._look(trainer, everything=True)
        name = first_non_finite(checkpoint["state_dict"])
        if name is None:
            states = {f"the state of optimiser {k}": each for k, each in enumerate(checkpoint["optimizer_states"])}
            name = first_non_finite(dict(tensors_in(states)))
        healthy = trainer.strategy.reduce_boolean_decision(name is None)
        if not healthy:
            self._stop(trainer, f"{name or 'what another process trained'} is not finite", trainer.global_step)

    def state_dict(self) -> dict[str, int]:
        """Number of steps skipped so far."""
        return {"skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Restore the number of skipped steps."""
        self.skipped = state_dict["skipped"]

    # ---------------------------------------------------------------- collapse

    def _watch_margin(self, name: str, value: float, step: int) -> None:
        """Warn once when a discriminator has separated real from generated images almost perfectly for a while."""
        recent = self._margins.setdefault(name, deque(maxlen=MARGIN_STEPS))
        before = len(recent) == MARGIN_STEPS and sum(recent) / MARGIN_STEPS > SATURATED_MARGIN
        recent.append(value)
        mean = sum(recent) / len(recent)
        if len(recent) == MARGIN_STEPS and mean > SATURATED_MARGIN and not before:
            rank_zero_warn(
                f"step {step}: {name} was {mean:.1f} on average over {MARGIN_STEPS} steps (above "
                f"{SATURATED_MARGIN:g} a discriminator is saturated, and the generator learns nothing from it)"
            )


def diversity(images: Tensor) -> float:
    """Diversity of images: their standard deviation per pixel in units of the range 255, averaged over all pixels.

    Args:
        images: uint8 (B, 3, H, W).
    """
    return (images.float().std(dim=0, correction=0).mean() / 255).item()


def warn_of_equal_images(generated: Tensor, real: Tensor, step: int) -> None:
    """Warn if generated images of different captions are nearly equal.

    Args:
        generated: uint8 (B, 3, H, W).
        real: uint8 (B, 3, H, W), real images of the same captions.
        step: training step that the message names.
    """
    own, others = diversity(generated), diversity(real)
    if len(generated) > 1 and own < LEAST_DIVERSITY * others:
        rank_zero_warn(
            f"step {step}: the {len(generated)} generated images of the sample sheet hardly differ (diversity "
            f"{own:.4f}, real images {others:.4f}): the generator has collapsed, or learnt nothing yet"
        )


def _groups(module: pl.LightningModule, optimizer: torch.optim.Optimizer) -> Groups:
    """The parameters of an optimiser by the network that they belong to."""
    owners = {each: name for name, part in networks_of(module).items() for each in part.parameters()}
    groups: dict[str, list[nn.Parameter]] = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            groups.setdefault(owners.get(parameter, "other"), []).append(parameter)
    return list(groups.items())
