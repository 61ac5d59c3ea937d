"""On resume, apply optimiser options that the command changes, instead of those in the checkpoint."""

import warnings
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from t2igan.errors import UserError


class ChosenOptions(Callback):
    """Lightning restores the optimisers' learning rates and decays; this callback applies those that were changed.

    Unchanged options keep their restored value exactly; a scheduled learning rate is scaled by the change.
    """

    KEY = "optimizer_options"

    def __init__(self) -> None:
        self._chosen: list[list[dict[str, Any]]] = []
        self._earlier: list[list[dict[str, Any]]] | None = None
        self._states: int | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember the options before a checkpoint replaces them."""
        self._chosen = _options(trainer)

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict) -> None:
        """Store the options in the checkpoint."""
        checkpoint[self.KEY] = self._chosen

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict) -> None:
        """Read the options that the checkpoint was trained with."""
        self._earlier = checkpoint.get(self.KEY)
        self._states = len(checkpoint["optimizer_states"]) if "optimizer_states" in checkpoint else None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Apply the changed options; a checkpoint of an earlier version keeps its own, with a warning.

        Raises:
            UserError: the checkpoint's optimisers are not those of this model.
        """
        self._require_own_states(trainer)
        groups = [[*each.param_groups] for each in trainer.optimizers]
        if self._earlier is None and _options(trainer) != self._chosen:
            warnings.warn(
                "the checkpoint is of an earlier version and does not say which learning rates were configured: "
                "its own rates are kept, not those of the command; --fresh true starts anew with the command's",
                stacklevel=2,
            )
        for own, chosen, earlier in zip(groups, self._chosen, self._earlier or []):
            for group, new, old in zip(own, chosen, earlier):
                for key in new:
                    if key in old and new[key] != old[key]:
                        group[key] = _moved(group[key], old[key], new[key])

    def _require_own_states(self, trainer: pl.Trainer) -> None:
        """Lightning pairs optimisers with whatever states there are, and fused kernels do not look at shapes."""
        if self._states not in (None, len(trainer.optimizers)):
            raise UserError(
                f"the checkpoint holds {self._states} optimisers' states, this configuration trains with "
                f"{len(trainer.optimizers)}: give another checkpoint, or start anew with --fresh true"
            )
        for number, optimizer in enumerate(trainer.optimizers):
            for parameter, state in optimizer.state.items():
                for name, value in state.items():
                    if isinstance(value, Tensor) and value.dim() and value.shape != parameter.shape:
                        shapes = f"{tuple(value.shape)}, its weight {tuple(parameter.shape)}"
                        raise UserError(
                            f"the checkpoint's optimiser {number}: {name} has the shape {shapes}: give another "
                            "checkpoint, or start anew with --fresh true"
                        )


def _options(trainer: pl.Trainer) -> list[list[dict[str, Any]]]:
    """The plain values (numbers, booleans, None) of each parameter group of each optimiser."""
    return [
        [
            {key: value for key, value in group.items() if isinstance(value, float | int | tuple)}
            for group in each.param_groups
        ]
        for each in trainer.optimizers
    ]


def _moved(value: Any, old: Any, new: Any) -> Any:
    scheduled = isinstance(value, float) and isinstance(old, float) and isinstance(new, float)
    return value * new / old if scheduled and value != old and old else new
