"""Find a user's own modules: on Python's path, beside the YAML file that names them, and in the current folder."""

import ast
import hashlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from t2igan.errors import UserError
from t2igan.spelling import nearest

SUITE = "t2igan"
INSTALLED = frozenset({"site-packages", "dist-packages"})
_beside: list[Path] = []
_added: list[Path] = []


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
            _added.append(folder)
            return
    places = " and ".join(str(folder) for folder in folders)
    raise UserError(
        f"there is no module {top!r}: looked for {top}.py in {places}, and among the installed packages"
    )


def module_named(word: str) -> str:
    """The module that a word of ``--allow`` means: ``mine``, or ``folder/mine.py``, in whose folder is looked too.

    Raises:
        UserError: there is no such file, or Python has another module of this name.
    """
    path = Path(word)
    if path.suffix != ".py" and len(path.parts) == 1:
        return str(path)
    if not path.exists():
        raise UserError(f"--allow: {word} does not exist; give a module such as mine, or its file: folder/mine.py")
    path = Path(os.path.abspath(path.parent if path.name == "__init__.py" else path))
    look_beside([path])
    find_user_module(path.stem)
    origin = _origin(path.stem)
    if path not in (origin, origin.parent):
        raise UserError(
            f"--allow: Python finds {origin} under the name {path.stem}, not {word}: rename one of them"
        )
    return path.stem


def word_for(module: str) -> str:
    """What ``--allow`` is to say of a module that was found, so that a command from this folder finds it again."""
    origin = _origin(module.partition(".")[0])
    path = origin.parent if origin.name == "__init__.py" else origin
    here = Path.cwd()
    if path.parent == here or path.parent not in _added:
        return module
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def import_user_module(module: str) -> ModuleType:
    """Import a module that is found as :func:`find_user_module` does.

    Raises:
        UserError: it is nowhere or cannot be imported; names its file and line.
    """
    find_user_module(module)
    try:
        return importlib.import_module(module)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # the user's code raises what it likes
        raise UserError(_why_not_imported(error, module)) from error


def own_class(class_path: str) -> Any:
    """Import what a class path names in a user's module.

    Args:
        class_path: such as ``mine.Generator``, of mine.py.

    Raises:
        UserError: the module is nowhere, cannot be imported, or has no such class; names its file and line.
    """
    module, _, name = class_path.rpartition(".")
    known = vars(import_user_module(module))
    if name not in known:
        top = module.partition(".")[0]
        there = _origin(top)
        near = nearest(name, (each for each in known if not each.startswith("_")))
        lacks = f"{_from_here(there) if there.name else module} has no class {name!r}{near}"
        other = next((file for file in _files_beside(top) if there != file), None)
        hidden = f"; it is what Python finds by the name {top}: rename {_from_here(other)}" if other else ""
        raise UserError(lacks + hidden)
    return known[name]


def _why_not_imported(error: BaseException, module: str) -> str:
    """One line for what importing a user's module raised, with its file and line."""
    top = module.partition(".")[0]
    if isinstance(error, SyntaxError):
        remedy = "save it as UTF-8" if "codec" in str(error.msg) else "fix it"
        line = f", line {error.lineno}" if error.lineno else ""  # null bytes have none
        file = Path(error.filename or "")
        return f"{_from_here(file if file.is_file() else _origin(top))}{line}: not Python ({error.msg}): {remedy}"
    own = [each for each in traceback.extract_tb(error.__traceback__) if _lies_with(_origin(top), each.filename)]
    where = f"{_from_here(Path(own[-1].filename))}, line {own[-1].lineno}" if own else _from_here(_origin(top))
    if isinstance(error, SystemExit):
        return f'{where}: ends the program when it is imported: put that under `if __name__ == "__main__":`'
    if isinstance(error, ModuleNotFoundError):
        return f"{where}: {error}: install it, or put its file where {top} lies"
    return f"{where}: {type(error).__name__}: {first_line(error)}"


def _lies_with(module: Path, file: str) -> bool:
    """Whether a file lies in the folder of a user's module, and is neither the suite's nor installed."""
    folder = module.parents[1] if module.name == "__init__.py" else module.parent
    others = Path(file).is_relative_to(Path(__file__).parent) or INSTALLED & set(Path(file).parts)
    return Path(file).is_relative_to(folder) and not others


def _from_here(path: Path) -> Path:
    """A path as one may type it in the current folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _files_beside(name: str) -> Iterator[Path]:
    """Files of this module's name where a user's modules are searched."""
    for folder in dict.fromkeys([*_beside, Path.cwd()]):
        yield from (file for file in (folder / f"{name}.py", folder / name / "__init__.py") if file.is_file())


def class_paths(config: Any) -> Iterator[str]:
    """Every class in a configuration that is named with its module."""
    items = config.values() if isinstance(config, Mapping) else config if isinstance(config, list) else ()
    if isinstance(config, Mapping) and "." in str(config.get("class_path")):
        yield str(config["class_path"])
    for item in items:
        yield from class_paths(item)


def find_modules_of(config: Mapping[str, Any], file: str | Path) -> list[str]:
    """See to it that the modules which a configuration names can be imported; they are not imported.

    Args:
        config: content of a YAML file; with the words of its ``allow``.
        file: that file, beside which the user's modules lie.

    Returns:
        The modules.

    Raises:
        UserError: one is nowhere.
    """
    look_beside([file])
    allowed = config.get("allow")
    words = [each for each in allowed if isinstance(each, str)] if isinstance(allowed, list) else []
    try:
        found = [module_named(word) for word in words]
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    for class_path in class_paths(config):
        try:
            find_user_module(class_path.rpartition(".")[0])
        except UserError as error:
            raise UserError(f"{file}: class_path {class_path}: {error}") from error
        found.append(class_path.rpartition(".")[0])
    return found


def told_by_own_code(error: BaseException) -> str | None:
    """Where in a user's module an error was raised, or what it called raised it; None for errors of elsewhere.

    Of an error that others were raised from, the first one is told.
    """
    if error.__cause__ is not None and (told := told_by_own_code(error.__cause__)):
        return told
    frames = [each for each in traceback.extract_tb(error.__traceback__) if _is_own(Path(each.filename))]
    if not frames:
        return None
    last = frames[-1]
    where = f"{Path(last.filename).name}, line {last.lineno}, in {last.name}"
    return f"{where}: {type(error).__name__}: {first_line(error)} (--debug shows the traceback)"


def first_line(error: BaseException) -> str:
    """The first line of an error's message, with the remedy of the mistake that torch words most darkly."""
    told = next(iter(str(error).splitlines()), "")[:300]
    forgotten = "before Module.__init__() call" in told
    return f"{told}: begin __init__ with super().__init__()" if forgotten else told


def _is_own(file: Path) -> bool:
    """Whether this is a file of a module that was found in a folder of the user's."""
    for folder in {*_beside, *_added, Path.cwd()}:
        if file.is_relative_to(folder) and not INSTALLED & set(file.parts):
            name = file.relative_to(folder).parts[0].removesuffix(".py")
            if name != SUITE and _origin_of_loaded(name) in (folder / f"{name}.py", folder / name / "__init__.py"):
                return True
    return False


def code_of(kind: type) -> dict[str, str]:
    """:func:`source_digests` of the module of a class; none of a class of the suite."""
    return source_digests([kind.__module__])


def is_code(name: str) -> bool:
    """Whether an input of a training is a file of :func:`source_digests`, not the key of a checkpoint."""
    return name.endswith(".py")


def source_digests(modules: Iterable[str]) -> dict[str, str]:
    """What a user's modules say, by file: sha256 (hex) of the code, in which comments and layout do not count.

    Modules that they import from beside them are among them; what has no file is not, nor installed packages.

    Args:
        modules: names, such as ``mine`` of mine.py; they are found as :func:`find_user_module` does.

    Raises:
        UserError: a file is not Python.
    """
    found: dict[str, str] = {}
    names, waiting = {SUITE}, [module.partition(".")[0] for module in modules]
    while waiting:
        name = waiting.pop()
        if name in names:
            continue
        names.add(name)
        for file, title in _files_of(name):
            tree = _parsed(file)
            found[title] = hashlib.sha256(ast.unparse(tree).encode()).hexdigest()
            waiting += _beside_it(tree, file)
    return dict(sorted(found.items()))


def _origin_of_loaded(name: str) -> Path:
    return Path(getattr(sys.modules.get(name), "__file__", None) or "")


def _origin(name: str) -> Path:
    """File of a module, which need not be imported; no file's path where it has none."""
    if name in sys.modules:
        return _origin_of_loaded(name)
    return Path(getattr(importlib.util.find_spec(name), "origin", None) or "")


def _files_of(name: str) -> Iterator[tuple[Path, str]]:
    """Source files of a module or package, with their names from the folder that it was found in."""
    if name in sys.stdlib_module_names or not name.isidentifier():  # a damaged checkpoint may name anything
        return
    origin = _origin(name)
    if INSTALLED & set(origin.parts):
        return
    if origin.name == "__init__.py":
        for file in sorted(origin.parent.rglob("*.py")):
            yield file, file.relative_to(origin.parents[1]).as_posix()
    elif origin.suffix == ".py":
        yield origin, origin.name


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes())
    except SyntaxError as error:
        raise UserError(f"{file}, line {error.lineno}: not Python ({error.msg})") from error


def _beside_it(tree: ast.Module, file: Path) -> Iterator[str]:
    """Modules that a file imports from the folder that it lies in."""
    for node in ast.walk(tree):
        named = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            named = [node.module]
        for name in (each.partition(".")[0] for each in named):
            if (file.parent / f"{name}.py").is_file() or (file.parent / name / "__init__.py").is_file():
                yield name
