"""A user's own modules: looked for where Python looks, beside the YAML file that names them, and in this folder."""

import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from t2igan.errors import UserError

_beside: list[Path] = []


def look_beside(files: Iterable[str | Path]) -> None:
    """Look for modules in the folders of these files, too."""
    for file in files:
        folder = Path(file).absolute().parent
        if folder not in _beside:
            _beside.append(folder)


def find_user_module(module: str) -> None:
    """See to it that a module can be imported; it is not imported.

    Python's own places come first, so that no file in a folder can stand in for a package. The folder that the
    module is found in joins ``sys.path``, which processes of this one inherit.

    Raises:
        UserError: it is nowhere; the places are named.
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
