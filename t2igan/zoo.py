"""Trained weights shipped with the package, named like ``zoo:drawn-birds/ssagan``."""

from pathlib import Path

import t2igan
from t2igan.errors import UserError
from t2igan.spelling import nearest

PREFIX = "zoo:"
WEIGHTS, RECORDS, CARD = "model.safetensors", "records.jsonl", "README.md"
_PACKAGE = Path(t2igan.__file__).parent


def zoo_folder() -> Path:
    """Folder of the zoo, inside an installed package or beside it in a checkout."""
    inside = _PACKAGE / "checkpoints" / "zoo"
    return inside if inside.is_dir() else _PACKAGE.parent / "checkpoints" / "zoo"


def zoo_names() -> list[str]:
    """Names of all shipped weights, such as ``zoo:drawn-birds/ssagan``."""
    folder = zoo_folder()
    return sorted(f"{PREFIX}{file.parent.relative_to(folder).as_posix()}" for file in folder.rglob(WEIGHTS))


def is_zoo_name(path: str | Path) -> bool:
    """Whether a string is the zoo name of a checkpoint."""
    return str(path).startswith(PREFIX)


def is_there(path: str | Path) -> bool:
    """Whether a checkpoint, given by path or zoo name, exists."""
    return str(path) in zoo_names() if is_zoo_name(path) else Path(path).is_file()


def locate(path: str | Path) -> Path:
    """Resolve a zoo name to its weights file; other paths are returned unchanged.

    Raises:
        UserError: the zoo has no entry of this name.
    """
    if not is_zoo_name(path):
        return Path(path)
    # Only listed names are accepted: ``zoo:../x`` is not a path.
    if str(path) not in (names := zoo_names()):
        raise UserError(f"{path}: the zoo has no such weights{nearest(str(path), names)}; see t2igan list zoo")
    return zoo_folder() / str(path).removeprefix(PREFIX) / WEIGHTS
