"""Everything of Lightning that the suite uses and Lightning does not promise to keep.

Written against pytorch-lightning 2.6.6. Where an upgrade breaks something, it breaks here and in
:mod:`t2igan.data.resume`, which is about nothing but the counters of its loops.
"""

from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.loops.progress import _ProcessedTracker
from pytorch_lightning.profilers import Profiler
from torch import Tensor


def loops_state(trainer: pl.Trainer) -> dict[str, Any]:
    """Where training stands, as checkpoints hold it under ``loops`` (``connectors/checkpoint_connector.py``)."""
    return trainer._checkpoint_connector._get_loops_state_dict()


def logged_in_step(trainer: pl.Trainer) -> dict[str, Tensor]:
    """What the step under way has logged, on the device, by name (``connectors/logger_connector/result.py``)."""
    results = trainer._results
    return {} if results is None else {each.meta.name: each._forward_cache for each in results.values()}


def scales_losses(trainer: pl.Trainer) -> bool:
    """Whether a scaler of half precision leaves out steps of infinite gradients (``plugins/precision``)."""
    return getattr(trainer.precision_plugin, "scaler", None) is not None


def datamodule_of(trainer: pl.Trainer) -> Any:
    """The data module, which the trainer is given by its ``connectors/data_connector.py``."""
    return vars(trainer)["datamodule"]


def callbacks_of(trainer: pl.Trainer) -> list[pl.Callback]:
    """All callbacks (``connectors/callback_connector.py``); the list itself, which may be changed."""
    return vars(trainer)["callbacks"]


def log_every_n_steps(trainer: pl.Trainer) -> int:
    """How many steps lie between two rows (``connectors/logger_connector/logger_connector.py``)."""
    return vars(trainer)["log_every_n_steps"]


def overfits(trainer: pl.Trainer) -> bool:
    """Whether the trainer replaces samplers, to overfit some batches (``connectors/data_connector.py``)."""
    return bool(vars(trainer)["overfit_batches"])


def set_profiler(trainer: pl.Trainer, profiler: Profiler) -> None:
    """Let a profiler see the rest of a training (``connectors/``: the trainer is given one when it is made)."""
    vars(trainer)["profiler"] = profiler


def requeues_itself(trainer: pl.Trainer) -> bool:
    """Whether Lightning was started by SLURM and would queue the job again (``connectors/signal_connector.py``)."""
    environment = trainer._accelerator_connector.cluster_environment
    return bool(getattr(environment, "auto_requeue", False))


def step_is_logged(trainer: pl.Trainer) -> bool:
    """Whether the step under way makes a row (``connectors/logger_connector/logger_connector.py``)."""
    return bool(trainer.loggers) and trainer._logger_connector.should_update_logs


def loggers_step(trainer: pl.Trainer) -> int:
    """The step under which loggers get what is logged (``loops/training_epoch_loop.py``)."""
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def training_batches(trainer: pl.Trainer) -> int:
    """Training batches that are done, of the whole run (``loops/progress.py``)."""
    return cast(_ProcessedTracker, trainer.fit_loop.epoch_loop.batch_progress.total).processed


def set_loggers_step(trainer: pl.Trainer, step: int) -> None:
    """Change :func:`loggers_step`."""
    trainer.fit_loop.epoch_loop._batches_that_stepped = step


def do_not_count_steps_of(*optimizers: LightningOptimizer) -> None:
    """Let ``global_step`` count batches: under manual optimisation Lightning counts every optimiser's step.

    ``max_steps``, ``every_n_train_steps`` and the axis of every logger then mean what they say
    (``loops/optimization/manual.py``, ``core/optimizer.py``).
    """
    for optimizer in optimizers:
        optimizer._on_before_step = optimizer._on_after_step = _nothing


def _nothing() -> None:
    return None
