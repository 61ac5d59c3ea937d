"""``t2igan export RUN --to zoo``: averaged weights in half precision, with configuration, curve and card."""

from pathlib import Path
from typing import Any

import yaml

from t2igan.errors import UserError
from t2igan.evaluation.history import CONFIG, KEY, read_config, read_history, run_folder_of
from t2igan.evaluation.record import ResultRecord, read_records
from t2igan.evaluation.subjects.chosen import checkpoint_of
from t2igan.files import write_whole
from t2igan.interop.averaged import averaged_checkpoint
from t2igan.models.digest import OWN
from t2igan.models.suite_module import SuiteModule, content_sha256, load_module
from t2igan.models.weights_file import write_weights
from t2igan.reporting.model_card import Exported, model_card
from t2igan.zoo import CARD, PREFIX, RECORDS, WEIGHTS, locate, zoo_folder

CURVES, SHEET = "metrics.csv", "sheet.png"


def export_to_zoo(checkpoint: str, out: str) -> tuple[Path, str]:
    """Write a folder of weights, configuration, curve, sheet and card.

    The sheet is there if the run has drawn one at the checkpoint's step. The card shows scores if
    ``records.jsonl`` in the folder holds records of these weights.

    Args:
        checkpoint: checkpoint of the suite, or the folder of its run.
        out: folder to write to.

    Returns:
        The file of weights, and the name by which it is loaded.

    Raises:
        UserError: the checkpoint cannot be read, or ``out`` is a file.
    """
    source, folder = checkpoint_of(checkpoint), Path(out)
    if folder.is_file():
        raise UserError(f"--out: {out} is a file: give a folder")
    weights, name = folder / WEIGHTS, name_of(folder)
    write_weights(weights, with_history(source))
    module = load_module(weights)
    config = read_config(source)
    beside = {CONFIG: None if config is None else yaml.safe_dump(config, sort_keys=False).encode()}
    for each in (CURVES, SHEET):
        old = _of_run(source, each, module)
        beside[each] = old.read_bytes() if old is not None and old.is_file() else None
    for each, content in beside.items():
        if content is not None:
            write_whole(folder / each, content)
        else:
            (folder / each).unlink(missing_ok=True)  # of weights that were here before
    exported = Exported(name, weights, module, (folder / SHEET).is_file(), _records_of(module, folder))
    write_whole(folder / CARD, model_card(exported).encode())
    return weights, name


def with_history(source: Path, half: bool = True) -> dict[str, Any]:
    """A checkpoint's averaged weights with its history, which the folder of an earlier version's run has alone."""
    checkpoint = averaged_checkpoint(source, half)
    if checkpoint[OWN].get(KEY) is None:
        checkpoint[OWN][KEY] = read_history(source).to_dict()
    return checkpoint


def _of_run(source: Path, name: str, module: SuiteModule) -> Path | None:
    """Where a checkpoint's run has a file to copy; the sheet is that of the checkpoint's step, not the last one."""
    path, run = locate(source), run_folder_of(source)
    if run is None:
        return None
    of_training = name == SHEET and path.name != WEIGHTS
    return run / "samples" / f"step_{module.steps or 0:06d}.png" if of_training else run / name


def name_of(folder: Path) -> str:
    """The zoo name of a folder within the zoo, otherwise the path of its weights."""
    try:
        return f"{PREFIX}{folder.resolve().relative_to(zoo_folder().resolve()).as_posix()}"
    except ValueError:
        return str(folder / WEIGHTS)


def _records_of(module: SuiteModule, folder: Path) -> list[ResultRecord]:
    path = folder / RECORDS
    if not path.is_file():
        return []
    sha256 = content_sha256(module)
    return [record for record in read_records(path) if record.subject.sha256 == sha256]
