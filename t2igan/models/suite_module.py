"""Base class of the suite's LightningModules, whose checkpoints describe themselves, and their reading."""

import hashlib
import json
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, ClassVar, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.plugins import MixedPrecision
from torch import Tensor

import t2igan
from t2igan import earlier
from t2igan.data.batch import CaptionedImages
from t2igan.errors import UserError
from t2igan.lightning_private import has_trainer, training_batches
from t2igan.models.checkpoint_form import SELECTED, check_form, require_finite
from t2igan.models.digest import OWN, archive_problem, is_sealed, is_whole, refuse_inflated, seal
from t2igan.models.weights_file import SUFFIX, read_weights
from t2igan.nn import across
from t2igan.nn.bounded import NoLargerThan, refuse_what_no_memory_holds
from t2igan.nn.config import WRONG_ARGUMENTS, Configured, build, changed_code, code_fault, code_of_config, config_of
from t2igan.nn.levers import PLAIN, Levers
from t2igan.nn.randomness import StepRandom, seed_weights, step_seed
from t2igan.progress import KEY, Progress, progress_of
from t2igan.shipped import training_of
from t2igan.user_modules import is_code
from t2igan.zoo import PREFIX, is_there, locate


class SuiteModule(Configured, pl.LightningModule):
    """A LightningModule whose checkpoint alone is enough to build it again.

    Besides the weights, a checkpoint holds the config of the module, and the vocabulary and fingerprint of its
    training data set.

    Attributes:
        vocabulary: words of the data set, index 0 = ``<end>``; empty before training.
        dataset: name and fingerprint of the training data set, for records.
        levers: speed options; set before training starts, not stored in checkpoints.
        steps: optimiser steps of a checkpoint that was read, None if unknown.
        trained: training progress of a checkpoint that was read, None if unknown.
        finished: True once training has reached its end.
        images_seen: number of training images seen so far on all devices, counting repetitions; None if training
            resumed from a checkpoint without this number.
        global_batch: number of training images in the last step on all devices, None before the first.
        imported: released files that a checkpoint was converted from, by part; empty if trained with this suite.
        inputs: sha256 of the content of other checkpoints that training reads, by key, and of own code, by file.
        history: configurations of its training (:class:`t2igan.evaluation.history.History`), None if unknown.
        selected: metric that selected the checkpoint within its run, None if none did.
        averaged: whether the weights that were read are averages, without the trained weights.
    """

    requires: frozenset[str] = frozenset({"captions"})
    """What a batch must hold, of ``captions``, ``layouts``, ``segments`` (texts of a layout's segments) and
    ``narratives``. A data module carries it in its batches, or refuses by name before training begins."""

    of_each_device: ClassVar[str | None] = None
    """What of its losses depends on which samples lie on one device, for a warning; None: nothing."""

    levers: Levers = PLAIN

    def __init__(self) -> None:
        super().__init__()
        self.selected: dict[str, Any] | None = None
        self.vocabulary: list[str] = []
        self.dataset: dict[str, str] = {}
        self.steps: int | None = None
        self.trained: Progress | None = None
        self.finished = False
        self.images_seen: int | None = 0
        self.global_batch: int | None = None
        self.imported: dict[str, dict[str, str]] = {}
        self.inputs: dict[str, str] = {}
        self.history: dict[str, Any] | None = None
        self.averaged = False

    def setup(self, stage: str) -> None:
        """Take the vocabulary from the data module, and seed weights that are not initialised yet.

        Raises:
            UserError: the module was trained with another vocabulary, or the data lack a required part.
        """
        seed_weights()
        data: Any = getattr(self.trainer, "datamodule", None)
        if hasattr(data, "require"):
            data.require(self.requires, type(self).__name__)
        if data is None or not hasattr(data, "vocabulary"):
            return
        words = list(data.vocabulary.words)
        if self.vocabulary and self.vocabulary != words:
            raise UserError(
                f"the store {data.store_path} has another vocabulary ({len(words)} words) than this checkpoint "
                f"({len(self.vocabulary)} words): use the store it was trained on"
            )
        self.vocabulary = words
        self.dataset = {"name": data.store.name, "fingerprint": data.fingerprint}

    def require_memory(self, make: Callable[[], object], what: str) -> None:
        """In training, check the memory for networks whose size was unknown when the configuration was checked.

        Args:
            make: function that builds the networks.
            what: configuration key or quantity that determines their size.

        Raises:
            UserError: they exceed the memory.
        """
        if has_trainer(self):
            refuse_what_no_memory_holds(make, f"{what} is too large")

    # --------------------------------------------------------------- training

    @property
    def step_number(self) -> int:
        """Index of the current training batch, counted from 0 over the whole run including resumes."""
        return training_batches(self.trainer)

    @property
    def run_seed(self) -> int:
        """Seed of a training's random numbers: the module's own ``seed``, or that of the data."""
        data = getattr(self.trainer, "datamodule", None)
        return getattr(self, "seed", getattr(data, "seed", 0))

    def step_random(self, samples: int) -> StepRandom:
        """Random numbers of the current step, for ``samples`` samples of this device's batch."""
        return StepRandom(self.run_seed, self.step_number, self.global_rank * samples)

    def on_train_batch_start(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Seed torch's generators for this step, and count the images.

        Counting at the batch's end would be too late: callbacks save before the module's hook runs.
        """
        torch.manual_seed(step_seed(self.run_seed, self.step_number, self.global_rank))
        together = len(batch) * self.trainer.world_size
        self.global_batch = together * self.trainer.accumulate_grad_batches
        if self.images_seen is not None:
            self.images_seen += together

    def fused_adam(self, clips: bool = False) -> bool | None:
        """The argument ``fused`` of this module's Adam.

        Args:
            clips: whether gradients are clipped, which fused Adam does not support in mixed precision.
        """
        precision = self.trainer.precision_plugin if has_trainer(self) else None
        if isinstance(precision, MixedPrecision) and (clips or precision.scaler is not None):
            return None
        return True if self.levers.fused_adam else None

    def progress(self) -> Progress:
        """Progress of the current training."""
        trainer = self.trainer
        most = -1 if trainer.max_epochs is None else trainer.max_epochs
        reached = 0 < trainer.max_steps <= trainer.global_step or 0 < most <= trainer.current_epoch
        return Progress(
            trainer.global_step, trainer.current_epoch, trainer.max_steps, most, self.finished or reached
        )

    @property
    def training_steps(self) -> int:
        """Number of optimiser steps of the whole training, for learning rate schedules.

        Do not use it in ``configure_optimizers``: that would build the loader before a checkpoint's counters are
        loaded, and a resumed run would repeat the first batches.
        """
        return int(self.trainer.estimated_stepping_batches)

    def require_an_end(self, key: str) -> None:
        """Refuse a trainer without a limit of steps or epochs.

        Args:
            key: key of the learning rate that follows the length of training.

        Raises:
            UserError: neither steps nor epochs are limited.
        """
        if self.trainer.max_epochs == -1 and self.trainer.max_steps == -1:
            raise UserError(f"{key} follows the length of training: set trainer.max_epochs or trainer.max_steps")

    def every_optimizer(self) -> list[LightningOptimizer]:
        """The optimisers of a training, in the order of ``configure_optimizers``."""
        found = self.optimizers()
        return cast(list[LightningOptimizer], found if isinstance(found, list) else [found])

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the single optimiser."""
        for group in self.every_optimizer()[0].optimizer.param_groups:
            group["lr"] = rate

    def log_step(self, values: dict[str, Tensor], samples: int, prog_bar: bool = True) -> None:
        """Log values of a training step, averaged over all devices.

        Args:
            values: scalars by name, with the same names on all devices.
            samples: number of samples on this device.
            prog_bar: show them in the progress bar.
        """
        means = across.mean(torch.stack([value.detach() for value in values.values()]))
        self.log_dict(dict(zip(values, means)), prog_bar=prog_bar, batch_size=samples)

    # ------------------------------------------------------------- checkpoints

    def borrowed(self) -> tuple[str, ...]:
        """Prefixes of weights that have their own files and are therefore not saved again."""
        return ()

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """All weights except for the borrowed ones."""
        state = super().state_dict(*args, **kwargs)
        if self.borrowed():
            for key in [key for key in state if key.startswith(self.borrowed())]:
                del state[key]
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load the result of :meth:`state_dict`; borrowed weights are not changed."""
        own = super().state_dict()
        kept = {key: value for key, value in own.items() if key.startswith(self.borrowed())}
        given = {key: value for key, value in state_dict.items() if not key.startswith(self.borrowed())}
        return super().load_state_dict(kept | given, strict=strict, assign=assign)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add config, vocabulary, data set, and last the digest of everything; no other hook runs afterwards."""
        checkpoint["t2igan"] = {
            "version": t2igan.__version__,
            "config": config_of(self),
            "vocabulary": self.vocabulary,
            "dataset": self.dataset,
            "images_seen": self.images_seen,
            "global_batch": self.global_batch,
            "inputs": self.inputs,
            "history": self.history,
            KEY: self.progress().to_dict() if has_trainer(self) else None,
        }
        seal(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the entries of :meth:`on_save_checkpoint`."""
        earlier.rename_checkpoint(checkpoint)
        own = checkpoint["t2igan"]
        if self.vocabulary and own["vocabulary"] and self.vocabulary != own["vocabulary"]:
            raise UserError("the checkpoint was trained on another vocabulary than this store's")
        self._require_what_it_read(own)
        self.vocabulary = own["vocabulary"]
        # A resumed training has loaded its data and inputs by now.
        self.dataset = self.dataset or own["dataset"]
        self.selected = checkpoint.get(SELECTED)
        self.steps, self.trained = checkpoint.get("global_step"), progress_of(checkpoint)
        self.images_seen, self.global_batch = own.get("images_seen"), own.get("global_batch")
        self.imported = own.get("imported", {})
        self.averaged = bool(own.get("averaged"))
        self.inputs, self.history = self.inputs or own.get("inputs", {}), self.history or own.get("history")

    def _require_what_it_read(self, own: Mapping[str, Any]) -> None:
        """Refuse to resume with another input, e.g. DAMSM, under the same path, which no configuration shows.

        Raises:
            UserError: a checkpoint that training reads holds something else than before, under the same name.
        """
        now, before = config_of(self)["init_args"], own["config"]["init_args"]
        for key, sha256 in own.get("inputs", {}).items():
            # The user's own modules may change; ChangedInputs records that.
            if self.inputs.get(key, sha256) != sha256 and now.get(key) == before.get(key) and not is_code(key):
                raise UserError(
                    f"{now.get(key) or key} is not the {key} that the checkpoint was trained with: put that one "
                    "back, give this one another name, or start anew with --fresh true"
                )


def content_sha256(module: SuiteModule) -> str:
    """sha256 (hex) of a module's config, vocabulary, weights, and the code of user-defined classes.

    Files with the same content may differ, e.g. of an interrupted and an uninterrupted run. The hash does not
    depend on whether single-precision weights were loaded in single or double precision.
    """
    told = {earlier.CONFIG: config_of(module), "vocabulary": module.vocabulary}
    told |= {"code": code} if (code := code_of_config(config_of(module))) else {}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
    for name, tensor in module.state_dict().items():
        tensor = tensor.float() if tensor.dtype == torch.float64 else tensor
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of the suite without executing code in it, and verify its digest.

    Args:
        path: path of the file, also ``*.safetensors``, or a name of the zoo such as ``zoo:drawn-birds/ssagan``.

    Raises:
        UserError: if the file is missing, damaged or not written by the suite.
    """
    path = locate(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder, not a checkpoint; of a run's folder give checkpoints/last.ckpt")
    if not path.is_file():
        named, training = f"{PREFIX}{path}", training_of(path)
        remedy = f"; `{training}` trains it" if training else ""
        raise UserError(f"no checkpoint at {path}{f' (did you mean {named}?)' if is_there(named) else remedy}")
    checkpoint, problem = (read_weights(path), None) if path.suffix == SUFFIX else _read_archive(path)
    check_form(path, checkpoint)
    if is_sealed(checkpoint):
        if not _is_whole(checkpoint):
            raise UserError(f"{path} is damaged: its content is not what was saved; take another checkpoint")
    elif problem:
        raise UserError(f"{path} is damaged ({problem}); take another checkpoint")
    else:
        warnings.warn(f"{path}: of an earlier version, without a digest of its content", stacklevel=2)
    earlier.rename_checkpoint(checkpoint)
    return checkpoint


def _read_archive(path: Path) -> tuple[Any, str | None]:
    """Content of a PyTorch file, and the problem found by its archive's checks, or None."""
    try:
        problem = archive_problem(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about what a damaged file might be
            content = torch.load(path, map_location="cpu", weights_only=True)
        refuse_inflated(content)
        return content, problem
    except Exception as error:  # a damaged file raises almost anything
        raise UserError(f"{path} cannot be read as a checkpoint ({_reason(error)})") from error


def _is_whole(checkpoint: dict[str, Any]) -> bool:
    try:
        return is_whole(checkpoint)
    except (ValueError, RecursionError):  # values that were never saved
        return False


def _reason(error: Exception) -> str:
    """The reason why a file did not load, without torch's advice to execute its code."""
    if isinstance(error, UnpicklingError):
        if named := re.search(r"GLOBAL ([\w.]+)", str(error)):
            return f"it holds {named[1]}, which is not loaded"
        return "it is not a plain PyTorch file, or is damaged"
    return next(iter(str(error).splitlines()), type(error).__name__)


def load_module(path: str | Path) -> SuiteModule:
    """Build the module that a checkpoint describes, with its weights, in eval mode on the CPU.

    Raises:
        UserError: the file is missing, damaged or not written by the suite, or its weights do not fit its config or
            are not finite.
    """
    checkpoint = read_checkpoint(path)
    require_finite(path, checkpoint["state_dict"])
    module = build_module(path, checkpoint)
    module.on_load_checkpoint(checkpoint)
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        what = f"its weights do not fit its own config ({first[0].strip()[:120]})"
        raise UserError(f"{path}: {what}{code_fault(checkpoint[OWN])}") from error
    size = getattr(getattr(module, "text_encoder", None), "vocabulary_size", None)
    if module.vocabulary and size not in (None, len(module.vocabulary)):
        raise UserError(f"{path}: its vocabulary has {len(module.vocabulary):,} words, its text encoder {size:,}")
    if changed := changed_code(config_of(module), module.inputs):
        warnings.warn(f"{path}: {changed}", stacklevel=2)
    return module.eval().requires_grad_(False)


def build_module(path: str | Path, checkpoint: dict[str, Any]) -> SuiteModule:
    """Build the module of a checkpoint's config with all networks and new weights.

    Raises:
        UserError: the config is not that of a module of the suite, or of networks that the checkpoint cannot fill.
    """
    try:
        with NoLargerThan(checkpoint["state_dict"].values()):
            return _built(checkpoint[OWN])
    except UserError as error:
        raise UserError(f"{path}: {error}{code_fault(checkpoint[OWN])}") from error
    except WRONG_ARGUMENTS as error:
        what = f"its networks cannot be built ({_reason(error)})"
        raise UserError(f"{path}: {what}{code_fault(checkpoint[OWN])}") from error


def _built(own: dict[str, Any]) -> SuiteModule:
    module = build(own["config"])
    if not isinstance(module, SuiteModule):
        raise UserError(f"its config describes {type(module).__name__}, which is not trained by itself")
    module.vocabulary, module.dataset = own["vocabulary"], own["dataset"]
    module.inputs = dict(own.get("inputs", {}))  # the inputs of the training are checked again
    module.configure_model()
    return module
