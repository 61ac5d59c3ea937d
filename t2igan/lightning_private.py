"""All private interfaces of Lightning that the suite uses.

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
    """Progress of the loops, stored in checkpoints under ``loops`` (``connectors/checkpoint_connector.py``)."""
    return trainer._checkpoint_connector._get_loops_state_dict()


def logged_in_step(trainer: pl.Trainer) -> dict[str, Tensor]:
    """Values logged by the current step, on the device, by name (``connectors/logger_connector/result.py``)."""
    results = trainer._results
    return {} if results is None else {each.meta.name: each._forward_cache for each in results.values()}


def scales_losses(trainer: pl.Trainer) -> bool:
    """Whether a gradient scaler skips steps with infinite gradients (``plugins/precision``)."""
    return getattr(trainer.precision_plugin, "scaler", None) is not None


def datamodule_of(trainer: pl.Trainer) -> Any:
    """The trainer's data module (``connectors/data_connector.py``)."""
    return vars(trainer)["datamodule"]


def callbacks_of(trainer: pl.Trainer) -> list[pl.Callback]:
    """The list of all callbacks, which may be modified (``connectors/callback_connector.py``)."""
    return vars(trainer)["callbacks"]


def log_every_n_steps(trainer: pl.Trainer) -> int:
    """Number of steps between logged rows (``connectors/logger_connector/logger_connector.py``)."""
    return vars(trainer)["log_every_n_steps"]


def overfits(trainer: pl.Trainer) -> bool:
    """Whether the trainer replaces samplers, to overfit some batches (``connectors/data_connector.py``)."""
    return bool(vars(trainer)["overfit_batches"])


def set_profiler(trainer: pl.Trainer, profiler: Profiler) -> None:
    """Set the trainer's profiler during a training; Lightning sets it in the constructor (``connectors/``)."""
    vars(trainer)["profiler"] = profiler


def requeues_itself(trainer: pl.Trainer) -> bool:
    """Whether Lightning runs under SLURM and would requeue the job (``connectors/signal_connector.py``)."""
    environment = trainer._accelerator_connector.cluster_environment
    return bool(getattr(environment, "auto_requeue", False))


def step_is_logged(trainer: pl.Trainer) -> bool:
    """Whether the current step is logged (``connectors/logger_connector/logger_connector.py``)."""
    return bool(trainer.loggers) and trainer._logger_connector.should_update_logs


def loggers_step(trainer: pl.Trainer) -> int:
    """The step number under which values are logged (``loops/training_epoch_loop.py``)."""
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def training_batches(trainer: pl.Trainer) -> int:
    """Number of finished training batches of the whole run (``loops/progress.py``)."""
    return cast(_ProcessedTracker, trainer.fit_loop.epoch_loop.batch_progress.total).processed


def set_loggers_step(trainer: pl.Trainer, step: int) -> None:
    """Change :func:`loggers_step`."""
    trainer.fit_loop.epoch_loop._batches_that_stepped = step


def do_not_count_steps_of(*optimizers: LightningOptimizer) -> None:
    """Make ``global_step`` count batches; with manual optimisation Lightning counts every optimiser step.

    ``max_steps``, ``every_n_train_steps`` and the loggers' axes then count batches, too
    (``loops/optimization/manual.py``, ``core/optimizer.py``).
    """
    for optimizer in optimizers:
        optimizer._on_before_step = optimizer._on_after_step = _nothing


def _nothing() -> None:
    return None
