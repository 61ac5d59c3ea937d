"""``t2igan profile loader``: measure data loading, compared with the loader of the released code."""

import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from t2igan.errors import UserError
from t2igan.files import make_folder
from t2igan.profiling.loading import READING, Stages, loaded, read_epoch, side_by_side
from t2igan.profiling.repeating import repeat_store
from t2igan.profiling.showing import Bar, draw_bars, write_json
from t2igan.ranges import Count, Whole, Workers

console = Console()

RELEASED = "PIL, as the released code"
COLOURS = "#3465a4", "#b5891b"  # colours of the store and of the released way

ROW = "{:>10} {:>10} {:>16} {:>12}"


def profile_loader(
    *,
    store: str,
    images: str | None = None,
    count: Count = 256,
    batch_size: Count = 32,
    workers: Workers = 0,
    epoch_images: Whole = 0,
    device: str = "cpu",
    out: str | None = None,
) -> None:
    """Measure the loader and, if the original files are given, the released code's loader.

    Args:
        store: path of the store (``t2igan prepare``).
        images: folder of the original image files; they are read as the released code does, with PIL.
        count: number of images read by each loader.
        batch_size: images per batch.
        workers: number of processes that also read a whole shuffled epoch; 0 skips it.
        epoch_images: the epoch is that of a store of so many training images, made of those in the store (in the
            folder for temporary files, deleted afterwards); 0: of the store itself.
        device: where crop, flip and pyramid are computed.
        out: folder for profile.json and profile.png; default: runs/profile/loader-<name of the store>.
    """
    place = _device(device)
    torch.set_num_threads(1)
    data = loaded(Path(store), batch_size)
    ours, theirs = side_by_side(data, images, count, place)
    measured = {RELEASED: theirs} if theirs else {}
    measured[f"store, {data.store.encoding}"] = ours
    for title, stages in measured.items():
        _print_stages(f"{title}, {data.image_size} px", stages)
    if theirs:
        whole, reading = (sum(theirs.values()) / cost for cost in (sum(ours.values()), ours[READING]))
        console.print(
            f"the store gives {whole:.1f} times the images per second and core; {reading:.1f} times where a GPU "
            f"does all but {READING}",
            soft_wrap=True,
        )
    shares: list[dict[str, float]] = []
    if workers and epoch_images:
        with tempfile.TemporaryDirectory() as folder:
            large = Path(folder) / "large.h5"
            _repeat_apart(Path(store), large, epoch_images)
            shares = _profile_epoch(large, batch_size, workers, place)
    elif workers:
        shares = _profile_epoch(Path(store), batch_size, workers, place)
    folder = Path(out) if out else Path("runs/profile") / f"loader-{Path(store).stem}"
    _write(folder, f"{Path(store).name}, {data.image_size} px", measured, shares)


def _write(folder: Path, subject: str, measured: dict[str, Stages], shares: list[dict[str, float]]) -> None:
    """Write the measurements as JSON, and their stages as a bar chart."""
    make_folder(folder)
    content = {"subject": subject, "milliseconds_an_image": measured, "epoch": shares}
    write_json(content, folder / "profile.json")
    bars = [
        Bar(f"{way}: {stage}", length, f"{length:.3f}", COLOURS[way == RELEASED])
        for way, stages in measured.items()
        for stage, length in stages.items()
    ]
    totals = "; ".join(f"{way}: {sum(stages.values()):.2f} ms" for way, stages in measured.items())
    draw_bars(bars, f"{subject}, an image\n{totals}", "milliseconds of a core", folder / "profile.png")
    console.print(f"wrote {folder}/profile.json and profile.png", soft_wrap=True, highlight=False)


def _device(name: str) -> torch.device:
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name} cannot be used: {str(error).splitlines()[0]}") from error


def _repeat_apart(store: Path, large: Path, records: int) -> None:
    """Write the large store in a separate process, whose memory is not measured."""
    process = get_context("spawn").Process(target=repeat_store, args=(store, large, records))
    process.start()
    process.join()
    if process.exitcode:
        raise UserError(f"{large}: could not be written, see above; is the disk full?")


def _print_stages(title: str, stages: Stages) -> None:
    total = sum(stages.values())
    table = Table("stage", "ms per image", "share", title=title, title_justify="left")
    for name, milliseconds in stages.items():
        table.add_row(name, f"{milliseconds:.3f}", f"{milliseconds / total:.0%}")
    table.add_row("all", f"{total:.3f}", f"{1000 / total:,.0f} images/s per core")
    console.print(table)


def _profile_epoch(store: Path, batch_size: int, workers: int, device: torch.device) -> list[dict[str, float]]:
    """Read a shuffled epoch; prints and returns images per second and memory from start to end."""
    started = time.perf_counter()
    data = loaded(store, batch_size, workers)
    opened = time.perf_counter() - started
    images = len(data.train_split)
    size = store.stat().st_size / 1e9
    console.print(f"{store}: {images:,} training images, {size:.1f} GB, opened in {opened:.2f} s", soft_wrap=True)
    console.print(f"an epoch with {workers} workers")
    console.print(ROW.format("images", "images/s", "images/s of CPU", "resident MB"))
    shares: list[dict[str, float]] = []

    def tell(share: dict[str, float]) -> None:
        shares.append(share)
        console.print(ROW.format(*(f"{value:,.0f}" for value in share.values())))

    marks = read_epoch(data, device, tell)
    for title, sizes in (
        ("resident memory of all processes", [mark.resident for mark in marks]),
        ("the same with what they share counted in each (sum of RSS)", [mark.summed for mark in marks]),
    ):
        first, most = sizes[0], max(sizes)
        console.print(f"{title}: {first:,.0f} MB at first, {most - first:,.0f} MB more at most", soft_wrap=True)
    return shares
