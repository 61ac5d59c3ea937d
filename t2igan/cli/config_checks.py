"""Checks of a training's configuration that run before the parser or the Trainer sees it."""

import inspect
import os
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, cast, get_args

import pytorch_lightning as pl
import torch
from jsonargparse import Namespace
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_only

from t2igan.cpus import available_cpus
from t2igan.errors import UserError
from t2igan.nn.bounded import refuse_what_no_memory_holds
from t2igan.nn.config import build
from t2igan.plain_files import parse_yaml, read_yaml
from t2igan.progress import LAST
from t2igan.ranges import COUNTABLE, Range
from t2igan.shipped import preparation_of, training_of
from t2igan.spelling import nearest
from t2igan.user_modules import SUITE, class_paths, find_modules_of, look_beside, own_class
from t2igan.zoo import is_there

NETWORKS = {  # keys of trained networks, and the remedy where the path does not tell how to train one
    "damsm": "train it with a damsm.yaml of experiments/",
    "captioner": "train it with a stream.yaml of experiments/",
    "independent_damsm": "train it with a damsm.yaml of experiments/ and another seed",
    "classifier": "train it with a classifier.yaml of experiments/",
    "encoder": "train it with a spatext-encoder.yaml of experiments/, or give the folder of a CLIP",
    "prior": "train it with a spatext-prior.yaml of experiments/, or give null",
}
INPUT_FILES = {"store", *NETWORKS}
FOLDERS = {"encoder"}  # keys that may name a folder instead of a checkpoint
TRAINER_NUMBERS = {
    **{f"trainer.{key}": Range(-1) for key in ("max_steps", "max_epochs")},
    **{f"trainer.{key}": Range(0) for key in ("min_steps", "min_epochs", "gradient_clip_val")},
    **{f"trainer.{key}": Range(0) for key in ("val_check_interval", "num_sanity_val_steps", "overfit_batches")},
    **{f"trainer.limit_{kind}_batches": Range(0) for kind in ("train", "val", "test", "predict")},
    **{f"trainer.{key}": Range(1) for key in ("accumulate_grad_batches", "num_nodes", "check_val_every_n_epoch")},
    "trainer.log_every_n_steps": Range(1),
    "seed_everything": Range(0, 2**32 - 1),
}
CLASS_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*\.[A-Z]\w*")
"""Of a class with its module, as they are named by custom; no file and no number looks like it."""
PARALLEL = ("ddp", "ddp_fork", "ddp_spawn")
UNUSED = "_find_unused_parameters_true"
TRIED = {
    "accelerator": ("auto", "cpu", "gpu", "cuda", "mps"),
    "strategy": ("auto", *PARALLEL, *(name + UNUSED for name in PARALLEL)),
    "precision": ("32", "32-true", "bf16", "bf16-mixed"),
}
"""What the suite is tried with; with others, averages, statistics of all devices or checkpoints could go wrong."""
MOST_PROCESSES = 64
"""As devices of a machine without GPU and with fewer CPUs than that."""


def import_own_classes(files: Sequence[str], argv: Sequence[str]) -> None:
    """Import the user's classes that YAML files and a command line name, so that the parser finds them.

    They are searched beside the files and in the current folder.

    Args:
        files: configuration files.
        argv: words of the command line.

    Raises:
        UserError: a file is no valid YAML mapping, or a class cannot be found or imported.
    """
    look_beside(files)
    for file in files:
        content = read_yaml(file)
        if not isinstance(content, dict):
            raise UserError(f"{file}: must hold keys such as model, data and trainer")
        find_modules_of(content, file)
        for class_path in filter(_may_be_own, class_paths(content)):
            try:
                own_class(class_path)
            except UserError as error:
                raise UserError(f"{file}: class_path {class_path}: {error}") from error
    for option, class_path in _typed_class_paths(argv):
        try:
            own_class(class_path)
        except UserError as error:
            raise UserError(f"{option} {class_path}: {error}") from error


def _may_be_own(class_path: str) -> bool:
    """Whether this is no class of the suite or of Lightning, of which the parser says what is wrong."""
    return not class_path.startswith((f"{SUITE}.", "pytorch_lightning.", "lightning."))


def _typed_class_paths(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(option, class path) of the user's classes that a command line names."""
    words = [part for word in argv for part in (word.split("=", 1) if word.startswith("--") else [word])]
    for option, value in pairwise(words):
        if option.startswith(("--model", "--data", "--trainer")) and option.rpartition(".")[2] not in INPUT_FILES:
            content = parse_yaml(value, option) if value.startswith(("{", "[")) else {"class_path": value}
            for class_path in filter(_may_be_own, class_paths(content)):
                if CLASS_PATH.fullmatch(class_path):
                    yield option, class_path


def check_memory(model: Namespace) -> None:
    """Refuse a model that exceeds this machine's memory, before it is built.

    Args:
        model: class path and arguments, parsed.

    Raises:
        UserError: names the largest of its sizes.
    """
    plain = _as_config(model.as_dict())
    sizes = sorted(_whole_numbers(plain["init_args"], "model.init_args"), reverse=True)[:1]
    largest = "".join(f" (the largest of its sizes is {key}: {size})" for size, key in sizes)
    name = plain["class_path"].rpartition(".")[2]
    refuse_what_no_memory_holds(lambda: build(plain), f"the networks of {name} are too large{largest}")


def _as_config(content: Any) -> Any:
    """Parsed arguments in the form of a checkpoint's config, where every class has its arguments beside it."""
    if isinstance(content, dict):
        plain = {key: _as_config(value) for key, value in content.items()}
        return {**plain, "init_args": plain.get("init_args", {})} if "class_path" in plain else plain
    return [_as_config(value) for value in content] if isinstance(content, (list, tuple)) else content


def _whole_numbers(content: Any, path: str) -> Iterator[tuple[int, str]]:
    """Every whole number in plain data, with its key."""
    if isinstance(content, int) and not isinstance(content, bool):
        yield content, path
    listed = enumerate(content) if isinstance(content, list) else ()
    items = content.items() if isinstance(content, dict) else listed
    for key, value in items:
        yield from _whole_numbers(value, f"{path}.{key}")


def check_trainer(config: Namespace) -> None:
    """Refuse numbers that the Trainer would misread, or would fail at only during training.

    Raises:
        UserError: names the key and its valid values.
    """
    _check_names(config.trainer)
    if config.get("data") and config.data.class_path == "pytorch_lightning.LightningDataModule":
        raise UserError("data names no class: set data.class_path, such as DrawnBirds")
    if config.trainer.accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UserError(
            f"trainer.accelerator is {config.trainer.accelerator}, but torch finds no GPU: remove the key to "
            "use the best available device"
        )
    for key, parameter in inspect.signature(pl.Trainer).parameters.items():
        optional = parameter.default is None or type(None) in get_args(parameter.annotation)
        if not optional and config.trainer.get(key, parameter.default) is None:
            raise UserError(f"trainer.{key} is null: give it a value")
    given = {f"trainer.{key}": value for key, value in config.trainer.items()}
    given["seed_everything"] = config.get("seed_everything")
    for key, numbers in TRAINER_NUMBERS.items():
        value = given.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            for each in (numbers, *([COUNTABLE] if isinstance(value, int) else [])):
                if value not in each:
                    raise UserError(f"{key} is {value}, but must be {each}")
    _check_whole_run(config.trainer)
    ours = any(Path(str(file)).name == "config.yaml" for file in config.get("config") or [])
    if config.trainer.default_root_dir is not None and not ours:  # a run's own, which has what --run settled
        raise UserError("trainer.default_root_dir has no effect: give the run's folder with --run")
    _check_void(config.trainer)
    _check_devices(config.trainer)


def _check_whole_run(trainer: Namespace) -> None:
    """Refuse settings with which there is no run: no step, or neither curves nor checkpoints.

    Raises:
        UserError: names the key and the remedy.
    """
    for key in ("max_steps", "max_epochs", "limit_train_batches"):
        if trainer.get(key) == 0:
            raise UserError(f"trainer.{key} is 0, with which nothing is trained: give a larger number")
    if trainer.barebones:
        raise UserError(
            "trainer.barebones leaves out curves and checkpoints, which a run consists of: remove the key"
        )
    if trainer.enable_checkpointing is False:
        raise UserError("trainer.enable_checkpointing is false, but a run consists of checkpoints: remove the key")
    if trainer.fast_dev_run:
        raise UserError(
            "trainer.fast_dev_run writes neither curves nor config.yaml: for a short try give "
            "--trainer.max_steps 2 and a --run of its own"
        )


def _check_void(trainer: Namespace) -> None:
    """Refuse settings of the Trainer that others leave without effect.

    Raises:
        UserError: names both keys.
    """
    if trainer.gradient_clip_algorithm is not None and trainer.gradient_clip_val is None:
        raise UserError(
            "trainer.gradient_clip_algorithm has no effect without trainer.gradient_clip_val: remove it"
        )
    for least, most in (("min_steps", "max_steps"), ("min_epochs", "max_epochs")):
        low, high = trainer.get(least), trainer.get(most)
        if low is not None and high is not None and 0 <= high < low:
            raise UserError(f"trainer.{least} is {low}, but trainer.{most} is {high}: training ends at {most}")


def _check_devices(trainer: Namespace) -> None:
    """Refuse absurd numbers of devices: each process would load torch before the number is checked."""
    most, asked = max(MOST_PROCESSES, available_cpus()), str(trainer.devices)
    alone = trainer.accelerator == "cpu" or (trainer.accelerator == "auto" and not torch.cuda.is_available())
    if alone and asked.isdecimal() and int(asked) > most:
        raise UserError(f"trainer.devices is {asked}, but this machine has CPUs for at most {most}")


def _check_names(trainer: Namespace) -> None:
    """Refuse devices that do not exist, and what the suite is not tried with."""
    devices = trainer.devices
    if isinstance(devices, str) and not re.fullmatch(r"auto|-?\d+(,\d+)*,?", devices.replace(" ", "")):
        raise UserError(f"trainer.devices is {devices!r}, but must be a number, auto, or a list such as 0,1")
    for key, names in TRIED.items():
        value = trainer[key]
        if isinstance(value, (str, int)) and str(value) not in names:
            near = nearest(str(value), names)
            raise UserError(f"trainer.{key}: {value} is not supported{near}: take one of {', '.join(names)}")


def settle_processes(trainer: Namespace) -> None:
    """Settle what several processes need to know before Lightning starts them.

    Further nodes know that they are not the first, or each would take the run's lock: Lightning reads NODE_RANK
    only later, unlike the ranks of torchrun and SLURM. DDP finds parameters without gradient, because networks are
    trained in turn, and each backward pass leaves some out.
    """
    node = os.environ.get("NODE_RANK", "0")
    if node.isdecimal():
        known = cast("Any", rank_zero_only)  # its rank is set from outside
        known.rank = max(known.rank, int(node))
    if trainer.strategy == "auto" and several_devices(trainer):
        trainer.strategy = "ddp"
    if trainer.strategy in PARALLEL:
        trainer.strategy += UNUSED


def several_devices(trainer: Namespace) -> bool:
    """Whether a Trainer of these arguments trains on more than one device."""
    devices = trainer.devices
    if trainer.num_nodes > 1:
        return True
    if devices in ("auto", -1, "-1"):
        return torch.cuda.device_count() > 1 and trainer.accelerator in ("auto", "gpu", "cuda")
    if isinstance(devices, (list, tuple)):
        return len(devices) > 1
    return "," in str(devices) or int(devices) > 1


def settle_model_checkpoint(callback: ModelCheckpoint, folder: Path) -> None:
    """Keep a ModelCheckpoint of the YAML from writing ``last.ckpt``, which the suite writes itself.

    Raises:
        UserError: it has ``save_last`` set.
    """
    if callback.save_last:
        raise UserError(
            "trainer.callbacks: RunCheckpoints writes last.ckpt: remove save_last from ModelCheckpoint; "
            "for another interval add RunCheckpoints with every_n_steps or every_minutes"
        )
    callback.dirpath = callback.dirpath or str(folder)


def missing_inputs(config: Any) -> Iterator[str]:
    """Files that a configuration reads and that are missing, each with its key and a remedy."""
    for key, value in input_files(config):
        kind, last = key.rpartition(".")[2], Path(value) / LAST
        if is_there(value) or (kind in FOLDERS and Path(value).is_dir()):
            continue
        if last.is_file():
            yield f"{key}: {value} is the folder of a run; give {last}"
        else:
            what = "is a folder" if Path(value).is_dir() else "does not exist"
            yield f"{key}: {value} {what}; {_remedy(kind, value)}"


def _remedy(kind: str, path: str) -> str:
    """What makes a file that is missing: the command, where its path tells."""
    if kind == "store":
        return f"write it with `{preparation_of(path)}`"
    training = training_of(path)
    return f"train it with `{training}`" if training else NETWORKS[kind]


def input_files(config: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(key, path) of every file that a configuration, or a part of one, reads."""
    items = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for key, value in items:
        name = f"{prefix}{key}"
        if key in INPUT_FILES and isinstance(value, str):
            yield name, value
        elif key in INPUT_FILES and isinstance(value, list):
            yield from ((name, path) for path in value)
        else:
            yield from input_files(value, f"{name}.")
