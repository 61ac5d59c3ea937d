"""Find a user's own modules: on Python's path, beside the YAML file that names them, and in the current folder."""

import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from t2igan.errors import UserError

_beside: list[Path] = []


def look_beside(files: Iterable[str | Path]) -> None:
    """Add the folders of these files to the search."""
    for file in files:
        folder = Path(file).absolute().parent
        if folder not in _beside:
            _beside.append(folder)


def find_user_module(module: str) -> None:
    """Make a module importable, without importing it.

    Python's path is searched first, so that no file in a folder can replace a package. The folder with the module
    is added to ``sys.path``, which child processes inherit.

    Raises:
        UserError: the module is not found; names the searched folders.
    """
    top = module.partition(".")[0]
    if not top.isidentifier():
        raise UserError(f"{module!r} is not the name of a Python module, such as mine of mine.py")
    if top in sys.modules or importlib.util.find_spec(top) is not None:
        return
    folders = list(dict.fromkeys([*_beside, Path.cwd()]))
    for folder in folders:
        if importlib.machinery.PathFinder.find_spec(top, [str(folder)]) is not None:
            sys.path.append(str(folder))
            return
    places = " and ".join(str(folder) for folder in folders)
    raise UserError(
        f"there is no module {top!r}: looked for {top}.py in {places}, and among the installed packages"
    )
