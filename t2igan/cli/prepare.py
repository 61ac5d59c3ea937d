"""``t2igan prepare``: raw files -> one HDF5 store."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from t2igan.cli.parsing import call
from t2igan.data.prepare import PrepareSummary, prepare
from t2igan.data.sources import Kind, make_source
from t2igan.data.store import open_store
from t2igan.errors import UserError

console = Console()


def run(verb: str, argv: Sequence[str]) -> None:
    """Run the verb."""
    call(prepare_verb, argv, verb)


def prepare_verb(
    dataset: Kind,
    root: str | None = None,
    out: str | None = None,
    image_size: int = 256,
    split: Literal["zero-shot", "image-level"] = "zero-shot",
    encoding: Literal["raw", "jpeg"] = "raw",
    captions_pickle: str | None = None,
    captions_per_image: int = 10,
    workers: int | None = None,
    allow_missing: bool = False,
    force: bool = False,
) -> None:
    """Write the store of a data set; interrupted in any way, the same command goes on.

    Args:
        dataset: which data set lies in ``root``; drawn-birds are drawn there first.
        root: folder of the raw data set; default: datasets/<dataset>.
        out: the store; default: <root>/<dataset>[-image-level]-<image_size>.h5.
        image_size: training resolution S; images are kept with a short side of S * 76 / 64.
        split: zero-shot (disjoint classes) or CUB's own image-level split.
        encoding: raw pixels (fast) or JPEG (small).
        captions_pickle: vocabulary of the original release; default: the one in ``root`` if there is one.
        captions_per_image: captions kept of each image.
        workers: processes; default: all cores.
        allow_missing: leave out images that are missing or unreadable.
        force: write the store again though it is there.
    """
    folder = Path(root) if root else Path("datasets") / dataset
    suffix = "" if split == "zero-shot" else f"-{split}"
    target = Path(out) if out else folder / f"{dataset}{suffix}-{image_size}.h5"
    if target.exists() and not force:
        store = open_store(target)
        what = f"{store.name}, {store.image_size} px"
        console.print(f"{target} is there already ({what}); --force true writes it again", soft_wrap=True)
        return
    with _progress() as progress:
        task = progress.add_task("images", total=None)
        if dataset == "drawn-birds":
            _draw_birds(folder, progress)
        source = make_source(dataset, folder, split, captions_pickle, captions_per_image)

        def tell(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        summary = prepare(source, target, image_size, encoding, workers, tell, allow_missing)
    _report(summary)
    console.print(f"wrote {target}", soft_wrap=True)
    example = "quickstart" if dataset == "drawn-birds" else dataset
    console.print(
        f"next: t2igan fit --config experiments/{example}/damsm.yaml --data.store {target}", soft_wrap=True
    )


def _draw_birds(folder: Path, progress: Progress) -> None:
    from t2igan.data.sources.drawn_birds import DrawnBirdsRecipe, write_drawn_birds

    task = progress.add_task("drawing birds", total=None)
    write_drawn_birds(
        folder, DrawnBirdsRecipe(), progress=lambda done, total: progress.update(task, completed=done, total=total)
    )


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console)


def _report(summary: PrepareSummary) -> None:
    table = Table("", "images", "captions", "classes", title=str(summary.path))
    for name, counts in summary.splits.items():
        table.add_row(name, f"{counts.images:,}", f"{counts.captions:,}", f"{counts.classes:,}")
    table.add_row("all", f"{summary.images:,}", f"{summary.captions:,}", f"{summary.classes:,}")
    console.print(table)
    console.print(
        f"{summary.words:,} words, {summary.bytes / 1e6:,.1f} MB, {summary.seconds:.1f} s"
        + (f", {summary.resumed:,} images kept from before" if summary.resumed else "")
        + f", fingerprint {summary.fingerprint[:12]}"
    )
    for line in summary.left_out:
        console.print(f"left out: {line}", soft_wrap=True)
    if summary.images == 0:
        raise UserError(f"{summary.path} holds no image")
