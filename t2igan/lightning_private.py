"""All private interfaces of Lightning that the suite uses, those of its command line and of its wandb logger too.

Written against pytorch-lightning 2.6.6. Where an upgrade breaks something, it breaks here, and
``tests/test_lightning_private.py`` names the function.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytorch_lightning as pl
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.loops.fit_loop import _FitLoop
from pytorch_lightning.loops.loop import _Loop
from pytorch_lightning.loops.progress import _ProcessedTracker, _Progress
from pytorch_lightning.profilers import Profiler
from torch import Tensor

if TYPE_CHECKING:  # its import takes a moment, which networks and readers need not wait for
    from pytorch_lightning.cli import LightningArgumentParser, LightningCLI


def has_trainer(module: pl.LightningModule) -> bool:
    """Whether a trainer holds the module; its property ``trainer`` raises without one (``core/module.py``)."""
    return module._trainer is not None


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
    return _total(trainer.fit_loop.epoch_loop.batch_progress).processed


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


def parser_of(cli: "LightningCLI", verb: str) -> "LightningArgumentParser":
    """The parser of one subcommand, with which its configuration can be written (``cli.py``)."""
    return cli._parser(verb)


def wandb_arguments(logger: WandbLogger) -> dict[str, Any]:
    """What the logger will give to ``wandb.init``; may be modified until it does (``loggers/wandb.py``)."""
    return logger._wandb_init


def repeat_wandb_arguments(logger: WandbLogger) -> None:
    """Bring the logger's own attributes into line with modified :func:`wandb_arguments`."""
    arguments = logger._wandb_init
    logger._save_dir, logger._project = arguments.get("dir"), arguments.get("project")
    logger._name, logger._id = arguments.get("name"), arguments.get("id")


def wandb_was_started(logger: WandbLogger) -> bool:
    """Whether the logger has a wandb run; its property ``experiment`` would start one (``loggers/wandb.py``)."""
    return logger._experiment is not None


def resumable_position(trainer: pl.Trainer | None) -> Callable[[], tuple[int, int]] | None:
    """A function that returns the (epoch, batch) at which training resumes; None outside of a trainer.

    Everything here counts batches, not ``global_step``, which grows by two per batch where two optimisers are
    stepped by hand. The loops (``loops/fit_loop.py``, ``loops/training_epoch_loop.py``) behave as follows:

    * ``FitLoop.setup_data`` asks for the loader and makes its iterator after the checkpoint's counters are loaded,
      but before ``set_epoch`` is called; the first epoch after a resume uses this iterator, and workers fetch from
      it at once. So the position must be right when the iterator is made.
    * On a resume in mid-epoch the trainer counts the batches that were done as fetched already: the loader must
      keep its whole length and deliver the rest only.
    """
    if trainer is None:
        return None
    settle_counters(trainer.fit_loop)
    return partial(training_position, trainer.fit_loop)


def training_position(fit_loop: _FitLoop) -> tuple[int, int]:
    """(epoch, batch) with which training resumes, according to the loop's counters."""
    epoch, batches = _current(fit_loop.epoch_progress), fit_loop.epoch_loop.batch_progress
    if epoch.started == epoch.processed:
        return epoch.processed, 0
    if batches.is_last_batch:
        return epoch.started, 0
    return epoch.processed, _current(batches).processed


def _current(progress: _Progress) -> _ProcessedTracker:
    # Lightning declares the base class of these counters.
    return cast(_ProcessedTracker, progress.current)


def _total(progress: _Progress) -> _ProcessedTracker:
    return cast(_ProcessedTracker, progress.total)


def settle_counters(fit_loop: _FitLoop) -> None:
    """Bring counters just loaded from a checkpoint into a state that Lightning resumes from correctly.

    Lightning resumes two kinds of checkpoints incorrectly:

    * saved after the last batch of an epoch, before the epoch's end: the next epoch is run without being counted
      as started, so that a second interruption would repeat it from its first batch;
    * saved at an epoch's end that was no end, because ``max_steps`` (or a stop signal) came first: the epoch counts
      as done although batches of it are left.

    The first becomes a clean boundary between epochs, the second an epoch under way.
    """
    if not fit_loop.is_resuming:
        return
    epoch, batches = fit_loop.epoch_progress, fit_loop.epoch_loop.batch_progress
    counted_as_done = _current(epoch).started == _current(epoch).processed
    if batches.is_last_batch:
        before_epoch_end = _total(batches).completed < _total(batches).processed
        if before_epoch_end or counted_as_done:
            _close_epoch(fit_loop)
    elif counted_as_done and _current(batches).processed > 0:
        for counter in (_current(epoch), _total(epoch)):
            counter.processed = counter.completed = counter.started - 1
        _Loop.restarting.__set__(fit_loop, True)


def _close_epoch(fit_loop: _FitLoop) -> None:
    epoch, batches = fit_loop.epoch_progress, fit_loop.epoch_loop.batch_progress
    for counter in (_current(epoch), _total(epoch)):
        counter.processed = counter.completed = counter.started
    _total(batches).completed = _total(batches).processed
    batches.reset_on_run()
    # Not through the property: its setter keeps a run that is limited by max_steps restarting.
    _Loop.restarting.__set__(fit_loop, False)
