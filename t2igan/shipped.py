"""Experiments and plans shipped with the package, found by name."""

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import t2igan
from t2igan.errors import UserError
from t2igan.files import make_folder
from t2igan.plain_files import read_yaml
from t2igan.spelling import nearest

EXPERIMENTS = "experiments"
SMALL = 64  # up to this resolution damsm-64.yaml is proposed, whose small networks need no download
NAMING = ("--config", "-c", "--pipeline")  # options whose value may be the name of a shipped file
_PACKAGE = Path(t2igan.__file__).parent
_RUN = re.compile(r"runs/(?P<folder>[\w-]+)/(?P<name>[\w-]+)(?:/checkpoints/last\.ckpt)?")
_STORE = re.compile(r"datasets/(?P<name>cub|drawn-birds|scenes|coco)/(?P=name)-(?P<size>\d+)\.h5")


def shipped_folder() -> Path:
    """Folder of the experiments, inside an installed package or beside it in a checkout."""
    inside = _PACKAGE / EXPERIMENTS
    return inside if inside.is_dir() else _PACKAGE.parent / EXPERIMENTS


def experiment_names() -> list[str]:
    """Names of all shipped files, such as ``cub/ssagan`` and ``quickstart``."""
    folder = shipped_folder()
    return sorted(file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml"))


def find_experiment(name: str) -> str:
    """Resolve a name: a file of this path, a file below ``experiments`` here, or a shipped file.

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
    """Like :func:`find_experiment`, but None if no file is found."""
    if Path(name).is_file():
        return name
    files = (folder / f"{_short(name)}.yaml" for folder in (Path(EXPERIMENTS), shipped_folder()))
    return None if Path(name).is_absolute() else next((str(file) for file in files if file.is_file()), None)


def training_of(checkpoint: str | Path) -> str:
    """The command that trains what a path of a checkpoint, or of its run, promises; empty where none is known.

    ``runs/cub/damsm`` is what ``cub/damsm`` leaves, ``runs/spatext/gan`` what ``scenes/spatext-gan`` does with
    ``--run``.
    """
    match = _RUN.fullmatch(str(checkpoint))
    if match is None:
        return ""
    own, prefixed = f"{match['folder']}/{match['name']}", f"{match['folder']}-{match['name']}"
    names = experiment_names()
    if own in names:
        return f"t2igan fit --config {EXPERIMENTS}/{own}.yaml"
    found = next((name for name in names if name.rpartition("/")[2] == prefixed), None)
    return f"t2igan fit --config {EXPERIMENTS}/{found}.yaml --run runs/{own}" if found else ""


def batch_option(experiment: str, images: int) -> list[str]:
    """``--data.batch_size`` for a shipped experiment whose batches are larger than its data; else nothing.

    Args:
        experiment: name or path, as :func:`find_experiment` takes it.
        images: number of training images.
    """
    batch = read_yaml(Path(find_experiment(experiment)))["data"]["init_args"].get("batch_size", 0)
    return ["--data.batch_size", str(images)] if images < batch else []


def damsm_training(folder: str, image_size: int) -> str:
    """Options of ``t2igan fit`` for the DAMSM of a folder of experiments on a store, perhaps of a smaller size."""
    name = "damsm-64" if image_size <= SMALL and known_experiment(f"{folder}/damsm-64") else "damsm"
    config = f"{EXPERIMENTS}/{folder}/{name}.yaml"
    own = read_yaml(Path(find_experiment(config)))["data"]["init_args"]["image_size"]
    return f"--config {config}" + (f" --data.image_size {image_size}" if image_size < own else "")


def preparation_of(store: str | Path) -> str:
    """The command that writes the store that a path promises, such as ``datasets/cub/cub-256.h5``."""
    match = _STORE.fullmatch(str(store))
    return f"t2igan prepare {match['name']} --image_size {match['size']}" if match else "t2igan prepare"


def _short(name: str) -> str:
    return name.removeprefix(f"{EXPERIMENTS}/").removesuffix(".yaml")


def with_experiments(argv: Sequence[str]) -> Iterator[str]:
    """Replace names after ``--config`` and ``--pipeline`` by files; unknown ones are left to the verb."""
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in NAMING:
            yield word
        elif equals:
            yield f"{name}={known_experiment(value) or value}"
        else:
            yield word
            yield from (known_experiment(value) or value for value in [next(words, None)] if value is not None)


def copy_experiments(folder: Path) -> tuple[list[Path], list[Path]]:
    """Copy the shipped files into a folder, keeping existing ones.

    Returns:
        Files that were written, and different files that were kept.
    """
    written, kept = [], []
    source = shipped_folder()
    for file in sorted(source.rglob("*.yaml")):
        target = folder / EXPERIMENTS / file.relative_to(source)
        if not target.exists():
            make_folder(target.parent)
            shutil.copyfile(file, target)
            written.append(target)
        elif target.read_bytes() != file.read_bytes():
            kept.append(target)
    return written, kept
