"""Experiments and plans that come with the package: found by their names, copied for changing."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import t2igan
from t2igan.errors import UserError
from t2igan.spelling import nearest

EXPERIMENTS = "experiments"
_PACKAGE = Path(t2igan.__file__).parent


def shipped_folder() -> Path:
    """The experiments inside an installed package, or beside it in a checkout."""
    inside = _PACKAGE / EXPERIMENTS
    return inside if inside.is_dir() else _PACKAGE.parent / EXPERIMENTS


def experiment_names() -> list[str]:
    """Names such as ``cub/ssagan`` and ``quickstart``, of all that is shipped."""
    folder = shipped_folder()
    return sorted(file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml"))


def find_experiment(name: str) -> str:
    """The file that a name means: a file of this name, one under ``experiments`` here, one that is shipped.

    Args:
        name: a path; or ``cub/ssagan``, with or without ``experiments/`` before and ``.yaml`` behind it.

    Raises:
        UserError: there is none.
    """
    if (found := known_experiment(name)) is None:
        near = nearest(_short(name), experiment_names())
        raise UserError(f"{name} is neither a file nor an experiment that is shipped{near}")
    return found


def known_experiment(name: str) -> str | None:
    """As :func:`find_experiment`, but None where there is none."""
    if Path(name).is_file():
        return name
    files = (folder / f"{_short(name)}.yaml" for folder in (Path(EXPERIMENTS), shipped_folder()))
    return None if Path(name).is_absolute() else next((str(file) for file in files if file.is_file()), None)


def _short(name: str) -> str:
    return name.removeprefix(f"{EXPERIMENTS}/").removesuffix(".yaml")


def with_experiments(argv: Sequence[str]) -> Iterator[str]:
    """A command line whose ``--config`` names files; a name that means none is left for the verb to refuse."""
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in ("--config", "-c"):
            yield word
        elif equals:
            yield f"{name}={known_experiment(value) or value}"
        else:
            yield word
            yield from (known_experiment(value) or value for value in [next(words, None)] if value is not None)


def copy_experiments(folder: Path) -> tuple[list[Path], list[Path]]:
    """Copy what is shipped below a folder; a file that is there already is kept.

    Returns:
        Files that were written, and files that were kept though they differ.
    """
    written, kept = [], []
    source = shipped_folder()
    for file in sorted(source.rglob("*.yaml")):
        target = folder / EXPERIMENTS / file.relative_to(source)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            written.append(target)
        elif target.read_bytes() != file.read_bytes():
            kept.append(target)
    return written, kept
