"""``t2igan doctor``: check data sets, weights and packages. Imports little, so that it answers at once."""

import argparse
import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from t2igan.cli.doctor_findings import Finding, State, package_findings
from t2igan.data.layout import READABLE_VERSIONS, SPLITS
from t2igan.errors import UserError
from t2igan.metrics.weights import PUBLISHED, file_sha256

_FINE = {"present": "green", "not needed": "dim"}
_WIDTH_IN_FILES = 200  # columns of the table if the output is not a terminal


@dataclass(frozen=True)
class RawPart:
    """A piece of a raw data set.

    Attributes:
        name: description of the piece, shown in the table.
        layouts: alternative layouts in the data set's folder; each is a list of files and folders, all of
            which belong to it.
        remedy: where to get it.
    """

    name: str
    layouts: tuple[tuple[str, ...], ...]
    remedy: str


@dataclass(frozen=True)
class DoctorOptions:
    """Folders to search, and how thoroughly.

    Attributes:
        datasets: folder of the data sets.
        checkpoints: folder of the published weights (Inception and the like).
        verify: read every byte of the stores, and the checkpoints.
    """

    datasets: Path
    checkpoints: Path
    verify: bool


_CUB_ARCHIVE = (
    "unpack CUB_200_2011.tgz here (1.2 GB, md5 97eceeb196236b17998738112f37df78): "
    "https://data.caltech.edu/records/65de6-vp158"
)
_CUB_METADATA = "unpack birds.zip of AttnGAN's metadata here: https://github.com/taoxugit/AttnGAN#data"
_COCO_SITE = "https://cocodataset.org/#download"

RAW_PARTS = {
    "cub": (
        RawPart(
            "images", (("CUB_200_2011/images", "CUB_200_2011/images.txt"), ("images", "images.txt")), _CUB_ARCHIVE
        ),
        RawPart("boxes", (("CUB_200_2011/bounding_boxes.txt",), ("bounding_boxes.txt",)), _CUB_ARCHIVE),
        RawPart("captions", (("text",), ("CUB_200_2011/text",), ("captions.pickle",)), _CUB_METADATA),
        RawPart("zero-shot split", (("train/filenames.pickle", "test/filenames.pickle"),), _CUB_METADATA),
    ),
    "coco": (
        RawPart(
            "captions",
            (
                ("annotations/captions_train2014.json", "annotations/captions_val2014.json"),
                ("annotations/captions_train2017.json", "annotations/captions_val2017.json"),
                ("annotations/dataset_coco.json",),
                ("dataset_coco.json",),
                ("train/filenames.pickle", "test/filenames.pickle"),
            ),
            f"unpack annotations_trainval2014.zip (or 2017) here: {_COCO_SITE}",
        ),
        RawPart(
            "images",
            (("train2014", "val2014"), ("train2017", "val2017"), ("images",)),
            f"unpack train2014.zip (13 GB) and val2014.zip (6 GB), or those of 2017, here: {_COCO_SITE}",
        ),
    ),
    "drawn-birds": (RawPart("drawings", (("attributes.json",),), "t2igan prepare drawn-birds"),),
    "scenes": (RawPart("drawings", (("scenes.json",),), "t2igan prepare scenes"),),
}


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan doctor`` with the arguments that follow it.

    Raises:
        SystemExit: 1, a requested item is missing or damaged.
        UserError: for arguments that do not fit.
    """
    parser = _Parser(prog=f"t2igan {verb}", description="What is there, what is missing, where to get it.")
    names = ", ".join([*RAW_PARTS, *OTHERS])
    help_ = f"what to look for: {names}, a folder of data of one's own, or any store or checkpoint by its path; "
    help_ += "default: everything"
    parser.add_argument("what", nargs="*", help=help_)
    parser.add_argument("--datasets", type=Path, default=Path("datasets"), help="folder of the data sets")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder of published weights")
    verify = "read every byte of the stores, minutes for COCO, and of the checkpoints below runs/ and checkpoints/"
    parser.add_argument("--verify", action="store_true", help=verify)
    arguments = parser.parse_args(list(argv))
    options = DoctorOptions(arguments.datasets, arguments.checkpoints, arguments.verify)
    known = [*dict.fromkeys([*RAW_PARTS, *_own_data(options.datasets)]), *OTHERS]
    files = [name for name in arguments.what if name not in known and Path(name).suffix in READERS]
    unknown = [name for name in arguments.what if name not in [*known, *files]]
    if unknown:
        raise UserError(f"{' and '.join(unknown)}: unknown; choose from {', '.join(known)}")
    findings: list[Finding] = []
    for name in arguments.what or known:
        if name in files:
            findings.append(_file(Path(name)))
        else:
            findings += OTHERS[name](options) if name in OTHERS else data_set(name, options)
    report(findings)


def _own_data(datasets: Path) -> list[str]:
    """Names of the folders that hold a store."""
    return sorted({store.parent.name for store in datasets.glob("*/*.h5")})


class _Parser(argparse.ArgumentParser):
    """Argument parser that raises its errors as one-line user errors."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def report(findings: Sequence[Finding]) -> None:
    """Print the table, then the remedies.

    Raises:
        SystemExit: 1, something is missing or damaged.
    """
    table = Table(box=None, pad_edge=False)
    for heading in ("", "", "where", "size", "content"):
        table.add_column(heading, overflow="fold")
    for each in findings:
        state = Text(each.state, _FINE.get(each.state, "red"))
        size = "" if each.size is None else f"{each.size / 1e6:,.1f} MB"
        table.add_row(Text(each.name), state, Text(each.where), size, Text(each.check))
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH_IN_FILES
    console.print(table)
    wrong = [each for each in findings if each.state not in _FINE]
    if not wrong:
        console.print("everything is there")
        return
    console.print()
    for remedy in dict.fromkeys(each.remedy for each in wrong):
        names = ", ".join(f"{each.name} {each.state}" for each in wrong if each.remedy == remedy)
        console.print(f"{names}: {remedy}", soft_wrap=True, highlight=False, markup=False)
    raise SystemExit(1)


def data_set(name: str, options: DoctorOptions) -> Iterator[Finding]:
    """Findings about a data set: its stores, and its raw files, which are needed only while there is no store."""
    folder = options.datasets / name
    stores = [_store(name, path, options.verify) for path in sorted(folder.glob("*.h5"))]
    usable = any(finding.state == "present" for finding in stores)
    for part in RAW_PARTS.get(name, ()):
        yield _raw_part(f"{name} {part.name}", folder, part, needed=not usable)
    yield from stores
    if not stores:
        unfinished = next(folder.glob("*.h5.partial"), None)
        where = unfinished or folder / f"{name}-256.h5"
        check = "unfinished, the same command continues" if unfinished else ""
        yield Finding(f"{name} store", "missing", str(where), check=check, remedy=f"t2igan prepare {name}")


def _raw_part(name: str, folder: Path, part: RawPart, needed: bool) -> Finding:
    for layout in part.layouts:
        places = [folder / entry for entry in layout]
        if all(place.exists() for place in places):
            return Finding(name, "present", str(places[0]))
    where = str(folder / part.layouts[0][0])
    return Finding(name, "missing" if needed else "not needed", where, remedy=part.remedy)


def _file(path: Path) -> Finding:
    """Finding about a store or checkpoint given by its path, with its content checked."""
    if not path.is_file():
        return Finding(path.name, "missing", str(path), remedy="give the path of a file that is there")
    return READERS[path.suffix](path)


def _any_store(path: Path) -> Finding:
    return _store(path.stem, path, verify=True)


def _checkpoint(path: Path) -> Finding:
    """Finding about a checkpoint, whose content is compared with its digest."""
    from t2igan.models.suite_module import read_checkpoint

    size, name = path.stat().st_size, f"{path.parent.parent.name}/{path.name}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the table says it
            checkpoint = read_checkpoint(path)
    except UserError as error:
        again = "take another checkpoint of its run; t2igan fit continues from the last undamaged one"
        return Finding(name, "damaged", str(path), size, str(error).removeprefix(f"{path} "), again)
    own = checkpoint["t2igan"]
    sealed = "digest right" if "digest" in own else "without a digest, its archive's checks are right"
    steps = f", {checkpoint['global_step']:,} steps" if "global_step" in checkpoint else ""
    what = str(own["config"].get("class_path")).rpartition(".")[2]
    return Finding(name, "present", str(path), size, f"{what}{steps}, {sealed}")


def checkpoints(options: DoctorOptions) -> Iterator[Finding]:
    """Findings about the checkpoints in the usual folders; only with ``--verify``."""
    if options.verify:
        for folder in (Path("runs"), options.checkpoints):
            yield from (_checkpoint(path) for path in sorted(folder.rglob("*.ckpt")))


READERS: dict[str, Callable[[Path], Finding]] = {".h5": _any_store, ".hdf5": _any_store, ".ckpt": _checkpoint}


def _store(name: str, path: Path, verify: bool) -> Finding:
    """Finding about a store: its header and, with ``verify``, its content."""
    import h5py

    from t2igan.data.records import dataset_in

    size, again = path.stat().st_size, f"make {path} again with t2igan prepare and --force true"

    def damaged(why: str) -> Finding:
        return Finding(f"{name} store", "damaged", str(path), size, why, again)

    try:
        with h5py.File(path, "r", locking=False) as file:
            header: dict[str, Any] = dict(file.attrs)
            images = [len(dataset_in(file, f"{split}/class_ids")) for split in SPLITS]
            check = f"{header['name']}, {header['image_size']} px, {header['encoding']}, " + " + ".join(
                f"{count:,} {split}" for count, split in zip(images, SPLITS)
            )
            check += _annotations(file, path) + f", fingerprint {header['fingerprint'][:12]}"
    except Exception as error:  # h5py raises almost anything at a damaged file
        return damaged(f"not a whole store ({next(iter(str(error).splitlines()), type(error).__name__)})")
    if name in RAW_PARTS and header["name"] != name:
        return damaged(f"holds {header['name']}, not {name}")
    if header["schema_version"] not in READABLE_VERSIONS:
        read = " and ".join(map(str, READABLE_VERSIONS))
        return damaged(f"schema version {header['schema_version']}, this t2igan reads {read}")
    if verify:
        try:
            problems = _verify(path)
        except UserError as error:
            return damaged(str(error).removeprefix(f"{path}: "))
        if problems:
            more = f" and {len(problems) - 1:,} more" if len(problems) > 1 else ""
            return damaged(problems[0].removeprefix(f"{path}: ") + more)
        check += ", checksums right"
    return Finding(f"{name} store", "present", str(path), size, check)


def _annotations(file: Any, path: Path) -> str:
    """Counts of layouts and narratives, with classes and void share if the store's card lies beside it."""
    groups = [file[split] for split in SPLITS]
    told = ""
    if "layouts" in groups[0]:
        offsets = [group["layout_offsets"][:] for group in groups]
        layouts = sum(int((each[1:] > each[:-1]).sum()) for each in offsets)
        segments = sum(len(group["segment_text_offsets"]) - 1 for group in groups)
        told += f", {layouts:,} layouts of {segments:,} segments{_classes_and_void(file, path)}"
    if "narratives" in groups[0]:
        told += f", {sum(len(group['narrative_byte_offsets']) - 1 for group in groups):,} narratives"
    return told


def _classes_and_void(file: Any, path: Path) -> str:
    try:
        card = json.loads((path.with_name(f"{path.stem}.card") / "card.json").read_text(encoding="utf-8"))
        splits = [each for each in (split["layouts"] for split in card["splits"].values()) if each]
        classes = len(set().union(*(each["classes"] for each in splits)))
        void = sum(each["void"] * each["images"] for each in splits) / sum(each["images"] for each in splits)
        return f" ({classes} classes, {void:.1%} void)" if card["fingerprint"] == file.attrs["fingerprint"] else ""
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return ""  # without a card, or with one of an earlier version


def _verify(path: Path) -> list[str]:
    """Damage found in the content of a store."""
    from rich.progress import Progress

    from t2igan.data.verifying import verify_store

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"reading {path}", total=None)
        return verify_store(path, lambda done, total: progress.update(task, completed=done, total=total))


def weights(options: DoctorOptions) -> Iterator[Finding]:
    """Findings about published weights, searched where :func:`t2igan.metrics.weights.resolve_weights` searches."""
    places = (options.checkpoints, _hub_folder())
    for name, published in PUBLISHED.items():
        paths = [place / file for place in places for file in published.files]
        found = next((path for path in paths if path.is_file()), paths[0])
        expected = published.sha256_prefix
        if expected:
            remedy = f"fetch {published.url} to {options.checkpoints} (done by itself where there is a net)"
        else:
            remedy = f"convert what lies at {published.url} to {paths[0]}"
        if not found.is_file():
            check = f"sha256 {expected}..." if expected else "converted, no checksum is published"
            yield Finding(name, "missing", str(found), check=check, remedy=remedy)
            continue
        sha256 = file_sha256(found)
        right = sha256.startswith(expected)
        verdict = (
            f", published is {expected}" if not right else ", as published" if expected else ", none published"
        )
        state: State = "present" if right else "damaged"
        yield Finding(name, state, str(found), found.stat().st_size, f"sha256 {sha256[:8]}{verdict}", remedy)


def _hub_folder() -> Path:
    """The folder of torch.hub's weights, found without importing torch."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    return Path(os.environ.get("TORCH_HOME", cache)).expanduser() / "hub" / "checkpoints"


OTHERS: dict[str, Callable[[DoctorOptions], Iterator[Finding]]] = {
    "weights": weights,
    "packages": lambda _: package_findings(),
    "checkpoints": checkpoints,
}
