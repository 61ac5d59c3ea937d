"""``t2igan prepare``: convert a raw data set into one HDF5 store and its card."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from t2igan.cli.parsing import call, refuse_out_of_range
from t2igan.data.card import CARD, LEFT_OUT, PAGE, card_folder, describe, summary_lines, write_card
from t2igan.data.prepare import PrepareSummary, UnusableFilesError, prepare
from t2igan.data.sources import Listing, Source, make_source
from t2igan.data.sources.base import several
from t2igan.data.sources.coco_segments import LayoutFolders
from t2igan.data.sources.drawn_birds.source import DrawnBirdsConfig
from t2igan.data.sources.scenes.source import ScenesConfig
from t2igan.data.store import SPLITS, Store, open_store
from t2igan.errors import UserError
from t2igan.ranges import Count, Processes, Side, Whole
from t2igan.shipped import batch_option, damsm_training

console = Console()

_LINES_ON_SCREEN = 20
_REMEDY = "repair them, or skip them with --strict false"


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan prepare``, whose first word (checked in :mod:`~t2igan.cli.quick`) names the data set."""
    call(_DATA_SETS[argv[0]], argv[1:], f"{verb} {argv[0]}")


def prepare_cub(
    root: str = "datasets/cub",
    out: str | None = None,
    split: Literal["zero-shot", "image-level"] = "zero-shot",
    image_size: Side = 256,
    captions_pickle: str | None = None,
    captions_per_image: Count = 10,
    strict: bool = True,
    **writing: Any,
) -> None:
    """Write the store of Caltech-UCSD Birds 200-2011.

    Args:
        root: folder of the raw data set.
        out: the store; default: <root>/cub[-image-level]-<image_size>.h5.
        split: zero-shot (disjoint classes) or CUB's own image-level split.
        image_size: training resolution S; images are kept with a short side of S * 76 / 64.
        captions_pickle: vocabulary of the original release; default: the one in ``root`` if there is one.
        captions_per_image: captions kept of each image, the first ones.
        strict: stop if anything is missing or unreadable; false: skip it and report it.
        **writing: see :func:`write`.
    """
    options = {"captions_pickle": captions_pickle, "captions_per_image": captions_per_image}
    write(
        source=lambda _: make_source("cub", root, split, **options),
        target=_target(out, root, "cub", "" if split == "zero-shot" else split, image_size),
        image_size=image_size,
        strict=strict,
        fit=damsm_training("cub", image_size),
        **writing,
    )


def prepare_drawn_birds(
    root: str = "datasets/drawn-birds",
    out: str | None = None,
    split: Literal["zero-shot", "image-level"] = "zero-shot",
    image_size: Side = 256,
    captions_per_image: Count = 10,
    strict: bool = True,
    **writing: Any,
) -> None:
    """Draw the synthetic birds and write their store.

    Args:
        root: folder to draw them in; what is generated already is kept.
        out: the store; default: <root>/drawn-birds[-image-level]-<image_size>.h5.
        split: zero-shot (disjoint classes) or image-level, as CUB has them.
        image_size: training resolution S; images are kept with a short side of S * 76 / 64.
        captions_per_image: captions kept of each image, the first ones.
        strict: stop if anything is missing or unreadable; false: skip it and report it.
        **writing: see :func:`write`.
    """

    def source(progress: Progress) -> Source:
        drawing = {"config": DrawnBirdsConfig(), "progress": _teller(progress, "drawing birds")}
        return make_source("drawn-birds", root, split, captions_per_image=captions_per_image, **drawing)

    write(
        source=source,
        target=_target(out, root, "drawn-birds", "" if split == "zero-shot" else split, image_size),
        image_size=image_size,
        strict=strict,
        fit=damsm_training("quickstart", image_size),
        **writing,
    )


def prepare_scenes(
    root: str = "datasets/scenes",
    out: str | None = None,
    train_images: Count = 4000,
    val_images: Count = 1000,
    image_size: Side = 64,
    captions_per_image: Count = 5,
    strict: bool = True,
    **writing: Any,
) -> None:
    """Draw the synthetic scenes with layouts and narratives, and write their store.

    Args:
        root: folder to draw them in, in the layouts of COCO; what is generated already is kept.
        out: the store; default: <root>/scenes-<image_size>.h5.
        train_images: number of training images.
        val_images: number of test images, with pairs of a colour and a thing that no training image shows.
        image_size: training resolution S; images are kept with a short side of S * 76 / 64.
        captions_per_image: captions kept of each image, the first ones.
        strict: stop if anything is missing or unreadable; false: skip it and report it.
        **writing: see :func:`write`.
    """

    def source(progress: Progress) -> Source:
        config = ScenesConfig(train_images, val_images)
        drawing = {"config": config, "progress": _teller(progress, "drawing scenes")}
        return make_source("scenes", root, captions_per_image=captions_per_image, **drawing)

    write(
        source=source,
        target=_target(out, root, "scenes", "", image_size),
        image_size=image_size,
        strict=strict,
        fit=damsm_training("scenes", image_size),
        **writing,
    )


def prepare_coco(
    root: str = "datasets/coco",
    out: str | None = None,
    split: Literal["official", "karpathy"] = "official",
    year: Literal[2014, 2017] | None = None,
    karpathy: str | None = None,
    classes_by: Literal["index", "largest-object"] = "index",
    image_size: Side = 256,
    captions_pickle: str | None = None,
    captions_per_image: Count = 5,
    stuff: str | None = None,
    instances: str | None = None,
    panoptic: str | None = None,
    narratives: str | None = None,
    strict: bool = False,
    **writing: Any,
) -> None:
    """Write the store of MS-COCO captions, from the official JSON or from AttnGAN's metadata.

    Args:
        root: folder that holds annotations/ (or the metadata) and the images.
        out: the store; default: <root>/coco[-karpathy]-<image_size>.h5.
        split: official (val is the test split) or Karpathy's (train and restval, 5,000 test images).
        year: year of the official JSON; default: the only one there is.
        karpathy: dataset_coco.json of Karpathy's split; default: the one in ``root`` or its annotations/.
        classes_by: index: each image is a class of its own, as in the released code; largest-object: the category
            of its largest object, from instances_*.json.
        image_size: training resolution S; images are kept with a short side of S * 76 / 64.
        captions_pickle: vocabulary of the original release (metadata only); default: the one in ``root`` if there
            is one.
        captions_per_image: captions kept of each image, the first ones by annotation id.
        stuff: folder of COCO-Stuff's pixel maps (train2017/*.png, val2017/*.png), the labels of layouts.
        instances: folder of instances_*.json, the segments of layouts (and their labels without --stuff).
        panoptic: folder of panoptic_*.json and of the folders of its PNG files, in the place of --instances.
        narratives: folder of the .jsonl files of Localized Narratives.
        strict: stop if anything is missing or unreadable; false: skip it and report it.
        **writing: see :func:`write`.
    """
    options = {"year": year, "karpathy": karpathy, "classes": classes_by}
    options |= {"captions_pickle": captions_pickle, "captions_per_image": captions_per_image}
    options |= {"layouts": LayoutFolders(stuff, instances, panoptic), "narratives": narratives}
    write(
        source=lambda _: make_source("coco", root, split, **options),
        target=_target(out, root, "coco", "" if split == "official" else split, image_size),
        image_size=image_size,
        strict=strict,
        fit=damsm_training("coco", image_size),
        **writing,
    )


def prepare_folder(
    *,
    images: str,
    captions: str,
    out: str | None = None,
    classes: str | None = None,
    split: str | None = None,
    seed: Whole = 0,
    image_size: Side = 256,
    captions_per_image: Count | None = None,
    strict: bool = True,
    **writing: Any,
) -> None:
    """Write the store of your own images and captions.

    Args:
        images: folder of the images, at any depth.
        captions: UTF-8, one line a caption: .csv, whose first line is image,caption (perhaps also class,split), or
            .jsonl with these keys, or with captions, a list.
        out: the store; default: datasets/<name of the folder>/<name>-<image_size>.h5.
        classes: a column, or another .csv or .jsonl file with image and class; default: the column class if there
            is one, else each image is a class of its own.
        split: a column or another file with image and split (train or test), or the share of test images; default:
            the column split if there is one, else 0.1, drawn by image.
        seed: seed of the drawn split.
        image_size: training resolution S; images are kept with a short side of S * 76 / 64.
        captions_per_image: captions kept of each image, the first ones; default: all.
        strict: stop if anything is missing or unusable; false: skip it and report it.
        **writing: see :func:`write`.
    """
    name = Path(images).resolve().name
    options = {"classes": classes, "seed": seed, "captions_per_image": captions_per_image}
    target = _target(out, Path("datasets") / name, name, "", image_size)
    write(
        source=lambda _: make_source("folder", images, split, captions=captions, **options),
        target=target,
        image_size=image_size,
        strict=strict,
        fit=f"{damsm_training('folder', image_size)} --run {shlex.quote(f'runs/{name}/damsm')}",
        **writing,
    )


_DATA_SETS: dict[str, Callable[..., None]] = {
    "cub": prepare_cub,
    "drawn-birds": prepare_drawn_birds,
    "scenes": prepare_scenes,
    "coco": prepare_coco,
    "folder": prepare_folder,
}


def write(
    source: Callable[[Progress], Source],
    target: Path,
    image_size: Side,
    strict: bool,
    fit: str,
    encoding: Literal["raw", "jpeg"] = "raw",
    workers: Processes | None = None,
    force: bool = False,
) -> None:
    """Write a store and its card; after any interruption, the same command continues.

    Args:
        source: function that makes the reader of the raw data set.
        target: path of the store.
        image_size: training resolution S.
        strict: stop if anything is missing or unusable.
        fit: options of the `t2igan fit` command to suggest.
        encoding: raw pixels (fast) or JPEG (small).
        workers: processes; default: all cores.
        force: write the store again even if it exists.

    Raises:
        UserError: the data set cannot be read, or something of it cannot be used and ``strict`` is set.
    """
    refuse_out_of_range(write, {"workers": workers})
    if target.exists() and not force:
        store = open_store(target)
        if not (card_folder(target) / CARD).is_file():
            _make_card(store, None, [])
        what = f"{store.name}, {store.image_size} px"
        console.print(f"{target} exists already ({what}); --force true writes it again", soft_wrap=True)
        _say_next(fit, target)
        return
    listing, summary = _render(source, target, image_size, strict, encoding, workers)
    _report(summary, listing.split_scheme)
    for line in _make_card(open_store(target), listing, summary.left_out):
        console.print(line, soft_wrap=True)
    _say_left_out(summary.left_out, card_folder(target))
    for line in listing.notes:
        console.print(f"kept, but unusual: {line}", soft_wrap=True)
    console.print(f"wrote {target} and {card_folder(target) / PAGE}", soft_wrap=True)
    _say_next(fit, target)


def _say_next(fit: str, target: Path) -> None:
    """Print the training command, with smaller batches where the store holds fewer images than the YAML's."""
    words = ["--data.store", str(target)]
    words += batch_option(shlex.split(fit)[1], len(open_store(target).split("train")))
    console.print(f"next: t2igan fit {fit} {shlex.join(words)}", soft_wrap=True, markup=False)


def _render(
    source: Callable[[Progress], Source],
    target: Path,
    image_size: Side,
    strict: bool,
    encoding: Literal["raw", "jpeg"],
    workers: int | None,
) -> tuple[Listing, PrepareSummary]:
    """Write the store; returns the scanned images and a summary of the store."""
    with _progress() as progress:
        task = progress.add_task("images", total=None)
        listing = Listing(source(progress))
        if listing.problems and (strict or not listing.images):
            raise UserError(several(listing.problems, _REMEDY))

        def tell(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        try:
            return listing, prepare(listing, target, image_size, encoding, workers, tell, allow_missing=not strict)
        except UnusableFilesError as error:
            raise UserError(several(error.problems, _REMEDY)) from error


def _make_card(store: Store, listing: Listing | None, left_out: Sequence[str]) -> list[str]:
    """Write the card beside the store; returns its summary lines."""
    from t2igan.plotting.contact import contact_sheet  # imports torch, which help and errors do not need

    keys = {key for name in SPLITS for key in store.split(name).keys}
    raw = [image for image in listing.images if image.key in keys] if listing else []
    card = describe(store, raw, left_out)
    write_card(card, card_folder(store.path), contact_sheet(store))
    return summary_lines(card)


def _target(out: str | None, root: str | Path, name: str, variant: str, image_size: int) -> Path:
    """Path of the store to write.

    Raises:
        UserError: the path is a folder.
    """
    file = f"{name}{'-' + variant if variant else ''}-{image_size}.h5"
    if out and Path(out).is_dir():
        raise UserError(f"--out: {out} is a folder; name the file to write, such as {Path(out) / file}")
    return Path(out) if out else Path(root) / file


def _teller(progress: Progress, what: str) -> Callable[[int, int], None]:
    """Add a progress bar; returns a function that updates it with (done, total)."""
    task = progress.add_task(what, total=None)
    return lambda done, total: progress.update(task, completed=done, total=total)


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console)


def _report(summary: PrepareSummary, split_scheme: str) -> None:
    table = Table("", "images", "captions", "classes", title=str(summary.path))
    for name, counts in summary.splits.items():
        table.add_row(name, f"{counts.images:,}", f"{counts.captions:,}", f"{counts.classes:,}")
    table.add_row("all", f"{summary.images:,}", f"{summary.captions:,}", f"{summary.classes:,}")
    console.print(table)
    console.print(
        f"{summary.words:,} words, {summary.bytes / 1e6:,.1f} MB, {summary.seconds:.1f} s"
        + (f", {summary.resumed:,} images kept from the interrupted run" if summary.resumed else "")
        + f", split {split_scheme}, fingerprint {summary.fingerprint[:12]}",
        soft_wrap=True,
    )


def _say_left_out(lines: Sequence[str], folder: Path) -> None:
    for line in lines[:_LINES_ON_SCREEN]:
        console.print(f"left out: {line}", soft_wrap=True)
    if len(lines) > _LINES_ON_SCREEN:
        more = len(lines) - _LINES_ON_SCREEN
        console.print(f"left out: {more:,} more, see {folder / LEFT_OUT}", soft_wrap=True)
