"""A run's page at wandb: its name, group and tags, its address, and its configuration."""

import json
import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

import t2igan
from t2igan.callbacks.watching import BETTER, parameter_counts
from t2igan.errors import UserError
from t2igan.files import make_folder
from t2igan.lightning_private import repeat_wandb_arguments, wandb_arguments, wandb_was_started
from t2igan.reporting.tracking import PROJECT, WANDB_FILE, read_address

LIGHTNING_PROJECT = "lightning_logs"
ROW = "wandb_row"
# Prefixes of training values, validation values and the best so far.
ROWS_OF_A_STEP = 3
PACKAGES = ("torch", "torchvision", "pytorch-lightning", "wandb")


def settle(logger: WandbLogger, folder: Path, model: str, dataset: str, fresh: bool) -> None:
    """Fill in settings that neither the configuration nor wandb's environment variables give.

    Args:
        logger: wandb logger whose run has not been started yet.
        folder: folder of the run; wandb's files lie in it too, unless the configuration names another place.
        model: the default group.
        dataset: the default tag.
        fresh: whether a new run starts; otherwise the run id stored in the folder is continued.
    """
    settings = wandb_arguments(logger)
    if settings["dir"] in (None, "."):
        settings["dir"] = str(folder)
    if settings["project"] == LIGHTNING_PROJECT and "WANDB_PROJECT" not in os.environ:
        settings["project"] = PROJECT
    earlier = {} if fresh else read_address(folder)
    defaults = {
        "group": ("WANDB_RUN_GROUP", model),
        "tags": ("WANDB_TAGS", [dataset]),
        "name": ("WANDB_NAME", folder.name),
        "id": ("WANDB_RUN_ID", earlier.get("id")),
        "resume": ("WANDB_RESUME", "allow"),
    }
    for key, (variable, value) in defaults.items():
        if not settings.get(key) and variable not in os.environ:
            settings[key] = value
    for key in [key for key, value in settings.items() if value is None]:
        del settings[key]  # the parser passes every argument of wandb, for some of which None is not the default
    repeat_wandb_arguments(logger)


@rank_zero_only
def start(loggers: list[Logger], folder: Path) -> None:
    """Start the wandb run before training, and write its address into the run's folder.

    Raises:
        UserError: wandb cannot be reached, or nobody is logged in.
    """
    for logger in loggers:
        if not isinstance(logger, WandbLogger):
            continue
        from wandb.errors import Error as WandbError  # imported late, because it is slow

        make_folder(folder)
        try:
            run = logger.experiment
        except WandbError as error:
            what = str(error).splitlines()[0]
            raise UserError(
                f"wandb: {what} Or set WANDB_MODE=offline, and send the run later with `wandb sync`"
            ) from error
        if not run.disabled:
            _note_address(run, folder)


def _note_address(run: Any, folder: Path) -> None:
    """Write ``wandb.json`` atomically; its path is relative, so that the folder can be moved."""
    files, home = Path(run.dir).resolve().parent, folder.resolve()
    place = files.relative_to(home) if files.is_relative_to(home) else files
    address = {"id": run.id, "project": run.project, "url": run.url, "folder": str(place)}
    draft = folder / f"{WANDB_FILE}.new"
    draft.write_text(json.dumps(address, indent=1))
    draft.replace(folder / WANDB_FILE)


@rank_zero_only
def finish(loggers: list[Logger], failed: bool) -> None:
    """Finish the wandb run, so that everything is written and the next run of this process starts its own."""
    for logger in loggers:
        if isinstance(logger, WandbLogger) and wandb_was_started(logger):
            logger.experiment.finish(exit_code=int(failed))


class WandbCard(Callback):
    """Logs the run's configuration, data set, size and versions to wandb, and the direction of each metric.

    Offline, wandb numbers the rows of a resumed run from 0 again, and both parts would collide when synced; so a
    checkpoint stores its row number, and the resumed run continues from it.

    Args:
        config: the resolved configuration.
        command: the command line that started the training.
    """

    def __init__(self, config: dict[str, Any], command: str) -> None:
        self.config = config
        self.command = command
        self._row = 0

    @rank_zero_only
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the configuration and sizes, now that the networks are built."""
        for run in _runs(trainer):
            run.config.update(self.config | self._facts(pl_module), allow_val_change=True)
            for key, better in BETTER.items():
                run.define_metric(key, step_metric="trainer/global_step", summary=better)

    @rank_zero_only
    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict) -> None:
        """Store the row number; the current step is yet to be logged."""
        for run in _runs(trainer):
            checkpoint[ROW] = run.step + ROWS_OF_A_STEP

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict) -> None:
        """Read the row number."""
        self._row = checkpoint.get(ROW, 0)

    @rank_zero_only
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Continue from the stored row; online, the server keeps it."""
        for run in _runs(trainer):
            if run.offline and self._row:
                run.log({}, step=self._row, commit=False)

    def _facts(self, module: pl.LightningModule) -> dict[str, Any]:
        return {
            "command": self.command,
            "dataset": getattr(module, "dataset", {}),
            "parameters": parameter_counts(module),
            "versions": {"t2igan": t2igan.__version__, "python": platform.python_version()}
            | {name: version(name) for name in PACKAGES},
        }


def _runs(trainer: pl.Trainer) -> Iterator[Any]:
    """The runs of wandb among the loggers."""
    return (logger.experiment for logger in trainer.loggers if isinstance(logger, WandbLogger))
