"""Where a training lies and with which checkpoint it begins: its own, so that it continues, or another run's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from t2igan.callbacks.saving import newest_readable, read_resumable
from t2igan.errors import UserError
from t2igan.evaluation.continuing import continued, write_history
from t2igan.evaluation.history import CONFIG, History, read_config, read_history
from t2igan.models.suite_module import content_sha256, load_module, read_checkpoint
from t2igan.progress import default_run_folder, read_progress
from t2igan.zoo import is_zoo_name

Say = Callable[[str], None]


def folder_of_run(config: Namespace, words: Sequence[str], say: Say) -> Path:
    """Folder of a run: as given, or by the name of its YAML; the config.yaml of a moved run means where it lies.

    Args:
        config: configuration of the command.
        words: words of the command.
        say: called with a message where the configuration names another folder.
    """
    files = [Path(str(file)) for file in (config.get("config") or [])]
    folder = Path(config.run) if config.run else default_run_folder([str(file) for file in files])
    given = any(word.partition("=")[0] == "--run" for word in words)
    if given or not files or files[-1].name != CONFIG or not (files[-1].parent / "checkpoints").is_dir():
        return folder
    here = files[-1].parent
    if here.resolve() != folder.resolve():
        say(f"{files[-1]} names {folder} as the run's folder; the run lies in {here}, and is taken there")
    return here


def choose_beginning(config: Namespace, folder: Path, verb: str, say: Say) -> str | None:
    """The checkpoint to begin with: the newest of the run's folder, unless another or a fresh start is requested.

    A run that began with another run's checkpoint keeps its name in ``ckpt_path``, so that its config.yaml makes
    it anew elsewhere; no configuration keeps ``fresh``.

    Args:
        config: configuration of the command, which is settled.
        folder: folder of the run.
        verb: fit, validate, test or predict.
        say: called with messages.

    Raises:
        UserError: there is no such checkpoint, it cannot be used, or the folder holds another run.
    """
    fresh, config.fresh = config.fresh, False
    wanted = None if config.ckpt_path == "last" else config.ckpt_path
    if is_zoo_name(wanted or ""):
        raise UserError(f"ckpt_path: {wanted} holds averaged weights, from which no training can resume")
    if wanted and verb != "fit":
        _require_file(wanted)
        read_checkpoint(wanted)  # Lightning would misinterpret a damaged one
        return wanted
    own = wanted if wanted and _is_of(folder, wanted) else None
    newest = None if fresh or own else newest_readable(folder, say)
    if newest is not None:
        began = (read_config(newest) or {}).get("ckpt_path")
        if wanted and not _same(wanted, began):
            raise UserError(
                f"{folder} holds a run that did not begin with {wanted}: give another --run, or start anew with "
                "--fresh true"
            )
        told = f"{folder} holds a run: resuming from {newest} (--fresh true starts anew)"
        say(told if verb == "fit" else f"{verb} of {newest}")
        config.ckpt_path = began
        return str(newest)
    if wanted:
        _require_file(wanted)
        read_resumable(wanted)
    elif verb != "fit":
        told = f"{folder} holds no checkpoint to {verb} with"
        raise UserError(f"{told}: train it with t2igan fit, or give --run or --ckpt_path")
    config.ckpt_path = (read_config(own) or {}).get("ckpt_path") if own else wanted
    return wanted


def _require_file(path: str) -> None:
    if not Path(path).is_file():
        raise UserError(f"ckpt_path: {path} does not exist")


def _is_of(folder: Path, checkpoint: str | Path) -> bool:
    return folder.resolve() in Path(checkpoint).resolve().parents


def _same(one: str, two: str | None) -> bool:
    return two is not None and Path(one).resolve() == Path(two).resolve()


def write_beginning(begin: str | None, folder: Path, config: Mapping[str, Any], say: Say) -> History:
    """Write into a run's folder what it begins with, and say what has changed since.

    Args:
        begin: checkpoint to begin with.
        folder: folder of the run.
        config: resolved configuration.
        say: called with each message.

    Returns:
        The history of the run's checkpoints.
    """
    before = History() if begin is None else read_history(begin)
    progress = None if begin is None else read_progress(Path(begin))
    history = continued(before, config, None if progress is None else progress.step)
    if begin is not None and not _is_of(folder, begin):
        history = replace(history, origin=content_sha256(load_module(begin)))
    kept = write_history(folder, history)
    if history.earlier != before.earlier:
        say(f"the run continues with a changed configuration; the earlier one is kept as {kept}")
    for each in history.changes[len(before.changes) :]:
        say(f"{each['key']} {each['before']} -> {each['after']} from step {each['step']}")
    return history
