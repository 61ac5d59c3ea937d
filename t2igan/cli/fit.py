"""``t2igan fit | validate | test | predict``: LightningCLI with the suite's defaults."""

import importlib
import logging
import pkgutil
import shlex
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import jsonargparse
import pytorch_lightning as pl
import torch
from jsonargparse import Namespace
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, ModelSummary, ProgressBar
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

import t2igan.data
import t2igan.losses
import t2igan.models
from t2igan.allocator import keep_memory
from t2igan.benchmark.orphans import let_children_end_with_this
from t2igan.callbacks import wandb_run
from t2igan.callbacks.chosen_options import ChosenOptions
from t2igan.callbacks.guards import Guards
from t2igan.callbacks.progress import LineProgress, StepBar
from t2igan.callbacks.run_folder import ChangedInputs, ContinueCurves, RunCurves
from t2igan.callbacks.samples import SampleGrid
from t2igan.callbacks.saving import RunCheckpoints, WholeFiles, last_checkpoint
from t2igan.callbacks.scoring import Scores
from t2igan.callbacks.several_devices import BatchNormOfAllDevices, NotAsOneDevice
from t2igan.callbacks.stopping import StopSignals
from t2igan.callbacks.summary import NetworkSummary
from t2igan.callbacks.watching import BestSoFar, GradientNorms, Speed
from t2igan.cli import quick_fit
from t2igan.cli.beginning import choose_beginning, folder_of_run, write_beginning
from t2igan.cli.config_checks import (
    check_memory,
    check_trainer,
    import_own_classes,
    missing_inputs,
    settle_model_checkpoint,
    settle_processes,
    several_devices,
)
from t2igan.cli.next_step import line_of, sampling, use_of
from t2igan.cli.parsing import ALLOW_HELP, as_user_error, known_options, nulls, one_line, told_within
from t2igan.cli.quick import allow_spelt, flags_spelt_out
from t2igan.cli.seams import refuse_trainer_arguments, settle_seams
from t2igan.cpus import share_threads
from t2igan.errors import Stopped, UserError
from t2igan.evaluation.continuing import AsItWas
from t2igan.files import FolderLock
from t2igan.lightning_private import parser_of
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.drawing import DrawingModule
from t2igan.models.suite_module import SuiteModule
from t2igan.nn.config import Configured, allow, config_of
from t2igan.nn.levers import Levers, Preset, permit_tf32, settle
from t2igan.plain_files import parse_yaml
from t2igan.progress import read_progress
from t2igan.user_modules import class_paths, source_digests, word_for

# All modules of these packages are imported, so that YAML may name classes without a path.
OPEN_PACKAGES = (t2igan.models, t2igan.losses, t2igan.data)
LOG_EVERY_STEPS = 10


def run(verb: str, argv: Sequence[str], cli: "type[SuiteCLI] | None" = None) -> None:
    """Run one of the Trainer's verbs.

    Args:
        verb: fit, validate, test or predict.
        argv: arguments that follow the verb.
        cli: the CLI class; default: :class:`SuiteCLI`.
    """
    _quieten()
    import_classes()
    argv = list(flags_spelt_out(list(allow_spelt(argv)), ["fresh"]))
    import_own_classes(quick_fit.config_files(argv), argv)
    if any(".help" in word for word in argv):
        sys.argv[0] = f"t2igan {verb}"  # shown as the program's name in the help of a class
    try:
        SuiteCLI.words = ["t2igan", verb, *argv]
        (cli or SuiteCLI)(
            pl.LightningModule,
            pl.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            save_config_callback=SaveConfigCallback if verb == "fit" else None,
            save_config_kwargs={"overwrite": True},
            trainer_defaults={"log_every_n_steps": LOG_EVERY_STEPS, "sync_batchnorm": True},
            parser_kwargs={"prog": "t2igan", "exit_on_error": False, "allow_abbrev": False},
            args=[verb, *quick_fit.full_help(argv)],
        )
    except MisconfigurationException as error:
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error
    except (jsonargparse.ArgumentError, ValueError) as error:
        if (told := told_within(error)) is not None:
            raise told from error
        if not isinstance(error, jsonargparse.ArgumentError):
            raise
        classes = (Configured, pl.LightningDataModule, Callback, Logger)
        raise UserError(one_line(str(error), SuiteCLI.options, classes, quick_fit.config_files(argv))) from error
    finally:
        if SuiteCLI.lock is not None:
            SuiteCLI.lock.release()


def import_classes() -> None:
    """Import the suite's classes, so that YAML can name them without their module."""
    for package in OPEN_PACKAGES:
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")


def _quieten() -> None:
    """Silence Lightning's advice about things that the suite handles itself."""
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter is intended.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*module.s. in eval mode at the start of training.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
    # An interval of logging may span several short epochs.
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=".*Experiment logs directory.*")
    warnings.filterwarnings("ignore", message=".*.srun. command is available.*")
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    logging.getLogger("pytorch_lightning.trainer.connectors.checkpoint_connector").setLevel(logging.WARNING)


class SuiteCLI(LightningCLI):
    """LightningCLI with one folder per run, automatic resume, and checks of all inputs before anything is built."""

    words: ClassVar[list[str]] = ["t2igan", "fit"]
    options: ClassVar[list[str]] = []
    lock: ClassVar[FolderLock | None] = None
    before: AsItWas | None = None
    begin: str | None = None  # checkpoint to start from
    fresh = False

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Only the requested subcommand, because each parser takes a second to build."""
        verb = SuiteCLI.words[1]
        return {verb: LightningCLI.subcommands()[verb]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the suite's own options."""
        parser.add_argument("--run", type=str | None, default=None, help="folder of the run (default: runs/<name>)")
        parser.add_argument(
            "--speed", type=Preset, default="exact", help="set of levers that make training fast, see docs/speed.md"
        )
        parser.add_class_arguments(Levers, "levers")
        parser.add_argument("--fresh", type=bool, default=False, help="start anew in a folder that holds a run")
        parser.add_argument("--allow", type=list[str], default=[], help=f"{ALLOW_HELP}; those of the model are")
        SuiteCLI.options = known_options(parser)

    def _parse_ckpt_path(self) -> None:
        """Do not take the configuration from the checkpoint: the command line describes the model."""

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, then check the numbers, because the seed is used right after."""
        super().parse_arguments(parser, args)
        check_trainer(self.config[self.words[1]])

    def before_instantiate_classes(self) -> None:
        """Refuse configurations that cannot work, then choose the run's folder."""
        config = self.config[self.words[1]]
        named = {path.rpartition(".")[0] for path in class_paths(config.model.as_dict())}
        named = {word_for(name) for name in named if not name.startswith("t2igan.")}
        config.allow = sorted({*config.allow, *named})
        allow(config.allow)
        missing = list(missing_inputs(config.as_dict()))
        if missing:
            raise UserError("; ".join(missing))
        self.folder = folder_of_run(config, self.words, self._say)
        config.run = config.run and str(self.folder)
        config.trainer.default_root_dir = str(self.folder)
        settle_processes(config.trainer)
        if several_devices(config.trainer):
            let_children_end_with_this()  # Lightning starts this command again for each further device
        self._settle_seams(config)
        self._settle_speed(config)
        for key in ("model", "data"):
            for null in nulls(config[key].as_dict() if config.get(key) else None, key):
                raise UserError(f"{null} is null: give it a value")
        if self.subcommand == "fit":
            self._lock()
        if "ckpt_path" in config:
            self.fresh = config.fresh
            self.begin = choose_beginning(config, self.folder, self.words[1], self._say)

    @rank_zero_only
    def _lock(self) -> None:
        SuiteCLI.lock = FolderLock(self.folder, "t2igan fit")
        SuiteCLI.lock.take(self._say)

    @staticmethod
    @rank_zero_only
    def _say(line: str) -> None:
        print(line, flush=True)

    def _settle_seams(self, config: Namespace) -> None:
        kind = pkgutil.resolve_name(config.model.class_path)
        if issubclass(kind, AdversarialModule):
            refuse_trainer_arguments(config.trainer)
            given = self.parser.parse_args(self.words[1:], defaults=False)
            settle_seams(config, given[self.words[1]].as_dict(), kind)

    def _settle_speed(self, config: Namespace) -> None:
        """Apply the speed options of the process and of the trainer; the model's follow once it is built."""
        cuda = torch.cuda.is_available() and config.trainer.accelerator in ("auto", "gpu", "cuda")
        self.levers = settle(config.speed, Levers(**config.levers.as_dict()), cuda)
        if self.levers.allocator:
            keep_memory()
        permit_tf32(bool(self.levers.tf32))
        if self.levers.bf16 and config.trainer.precision is None:
            config.trainer.precision = "bf16-mixed"

    def instantiate_classes(self) -> None:
        """Check the model's memory, build everything, and apply the model's speed options before its setup."""
        check_memory(self.config[self.words[1]].model)
        super().instantiate_classes()
        self.model.levers = self.levers
        if isinstance(self.model, SuiteModule):
            paths = class_paths(self.config[self.words[1]].as_dict())
            self.model.inputs |= source_digests(path.rpartition(".")[0] for path in paths)
            self._require_plain_arguments(self.model)

    @staticmethod
    def _require_plain_arguments(model: SuiteModule) -> None:
        """A checkpoint must be able to hold how the model is built: known before hours of training."""
        try:
            config_of(model)
        except TypeError as error:
            raise UserError(str(error)) from error

    def _require_data(self) -> None:
        """Refuse unsuitable data before other devices' processes start and anything is written."""
        if hasattr(self.datamodule, "require"):
            self.datamodule.require(self.model.requires, type(self.model).__name__)

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """The Trainer with the suite's loggers and callbacks, unless the YAML configures its own."""
        self._require_data()
        trainer = self.config_init[self.words[1]].trainer
        callbacks = list(trainer.callbacks or [])
        progress = StepBar() if sys.stdout.isatty() else LineProgress()
        own = [each for each in callbacks if isinstance(each, RunCheckpoints)]
        saver = own[0] if own else RunCheckpoints()
        # First, so that a stop signal does not wait for slow callbacks; Lightning calls checkpoint callbacks last.
        self.signals = StopSignals(saver)
        callbacks.insert(0, self.signals)
        # Before the stop callback, so that norms of the last step are logged when a signal stops training.
        norms = [each for each in callbacks if isinstance(each, GradientNorms)] or [GradientNorms()]
        callbacks = [*norms, *(each for each in callbacks if each not in norms)]
        wanted: list[Callback] = [progress, ContinueCurves(), Guards(), SampleGrid(), Speed()]
        wanted += [BestSoFar(), NotAsOneDevice(), ChosenOptions(), ChangedInputs(), saver]
        own_summary = any(isinstance(each, ModelSummary) for each in callbacks)
        wanted += [] if own_summary or trainer.enable_model_summary is False else [NetworkSummary()]
        loggers = self._loggers(trainer.logger)
        if loggers and any(isinstance(logger, WandbLogger) for logger in loggers):
            wanted.append(wandb_run.WandbCard(self._resolved(), shlex.join(self.words)))
        for callback in wanted:
            if not any(isinstance(own, type(callback)) for own in callbacks):
                callbacks.append(callback)
        # Norms are logged for the last step too; scores follow the timing of the step, and precede saving.
        callbacks.sort(key=lambda each: isinstance(each, Scores) - isinstance(each, GradientNorms))
        for callback in callbacks:
            if isinstance(callback, ModelCheckpoint):
                settle_model_checkpoint(callback, last_checkpoint(self.folder).parent)
        if trainer.enable_progress_bar is False:
            callbacks = [callback for callback in callbacks if not isinstance(callback, ProgressBar)]
        if self.subcommand == "fit":
            self._write_beginning()
        plugins = [*_as_list(trainer.plugins), WholeFiles()]
        if trainer.sync_batchnorm:
            # Replaces Lightning's, which supports neither CPUs nor gradient penalties.
            kwargs["sync_batchnorm"] = False
            plugins.append(BatchNormOfAllDevices())
        made = super().instantiate_trainer(callbacks=callbacks, logger=loggers, plugins=plugins, **kwargs)
        torch.set_num_threads(share_threads(made.num_devices))
        return made

    @rank_zero_only
    def _write_beginning(self) -> None:
        self.before = AsItWas(self.folder)
        history = write_beginning(self.begin, self.folder, self._resolved(), self._say)
        if isinstance(self.model, SuiteModule):
            self.model.history = history.to_dict()

    def _resolved(self) -> dict[str, Any]:
        """The resolved configuration as plain values, including defaults and command-line options."""
        text = parser_of(self, self.words[1]).dump(self.config[self.words[1]], skip_none=False)
        return parse_yaml(text, "the configuration")

    def _loggers(self, chosen: Any) -> list[Logger] | Literal[False]:
        if chosen is False or self.subcommand != "fit":  # a look at a run leaves its curves as they are
            return False
        loggers = [] if chosen in (None, True) else list(chosen) if isinstance(chosen, list) else [chosen]
        for logger in loggers:
            if isinstance(logger, WandbLogger):
                store = getattr(self.datamodule, "store", None)
                dataset = type(self.datamodule).__name__ if store is None else store.name
                wandb_run.settle(logger, self.folder, type(self.model).__name__, dataset, self.fresh)
        if not loggers:
            loggers.append(TensorBoardLogger(str(self.folder), name="tensorboard", version=""))
        return [RunCurves(self.folder), *loggers]

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        return kwargs | {"ckpt_path": self.begin} if "ckpt_path" in kwargs else kwargs

    def fit(self, model: SuiteModule, **kwargs: Any) -> None:
        """Train, and print what was written."""
        wandb_run.start(self.trainer.loggers, self.folder)
        begun = read_progress(Path(kwargs["ckpt_path"])) if kwargs.get("ckpt_path") else None
        done = False
        try:
            self._guarded(self.trainer.fit, model, **kwargs)
            done = True
        except UserError:
            unchanged = self.trainer.global_step in (0, begun.step if begun else 0)
            if unchanged and self.before and (begun or self.before.held):
                self.before.put_back()  # a refused run did not continue with the changed configuration
            if self.trainer.local_rank and not self.signals.began:
                raise SystemExit(2) from None  # the first process of this machine is refused alike, and says so
            raise
        finally:
            wandb_run.finish(self.trainer.loggers, failed=not done)
        if not self.trainer.is_global_zero:
            return
        if begun is not None and begun.finished and self.trainer.global_step == begun.step:
            goal = f" of {begun.max_steps:,}" if begun.max_steps > 0 else ""
            print(f"nothing left to do: {begun.step:,}{goal} steps (a larger trainer.max_steps continues it)")
            if self.before and self.before.held:
                self.before.put_back()  # what was asked for has trained nothing
        print(f"wrote {self.folder}: {', '.join(sorted(path.name for path in self.folder.iterdir()))}")
        last = last_checkpoint(self.folder)
        if begun is not None and not last.is_file():
            last = Path(kwargs["ckpt_path"])  # another run's, with nothing left to do
        if isinstance(model, DrawingModule):
            store = getattr(self.datamodule, "store", None)
            print(line_of(sampling(str(last), model, f"{self.folder}/images", store)))
        else:
            print(line_of(use_of(str(last), model)))

    def _guarded(self, function: Any, model: SuiteModule, **kwargs: Any) -> None:
        try:
            function(model, **kwargs)
        except (KeyboardInterrupt, SystemExit) as error:
            # Exceptions by which Lightning exits, before and after the suite's handlers are installed.
            raise Stopped(signal.SIGTERM if self.trainer.received_sigterm else signal.SIGINT) from error
        except RuntimeError as error:
            told = as_user_error(error, kwargs.get("ckpt_path"))
            if told is None:
                raise
            raise told from error


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
