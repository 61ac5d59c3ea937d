"""``t2igan profile loader``: what loading costs, beside the released code's way."""

import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from torchvision import transforms

from t2igan.cli.process_tree import cpu_seconds, resident_megabytes, summed_resident_megabytes
from t2igan.data.datamodule import CaptionedImagesModule
from t2igan.data.datasets import TrainingItems, resize_images
from t2igan.data.rendering import short_side
from t2igan.data.repeating import repeat_store
from t2igan.data.sampler import TrainingBatches
from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.nn.images import to_signed
from t2igan.profiling.showing import Bar, draw_bars, write_json
from t2igan.ranges import Count, Whole

console = Console()

RELEASED = "PIL, as the released code"
COLOURS = "#3465a4", "#b5891b"  # of the store, of the released way

IMAGE_ENDINGS = {".jpg", ".jpeg", ".png"}
LEVELS = (2, 4)  # of the released multi-stage models: the image's side over these
READING = "draw, read, decode"  # the stage that workers do
SHARES = 8  # parts of an epoch whose rates are compared
ROW = "{:>10} {:>10} {:>16} {:>12}"
WARM_UP = 4  # batches before the first measurement

Stages = dict[str, float]
"""Milliseconds of CPU time an image, by stage."""


def profile_loader(
    *,
    store: str,
    images: str | None = None,
    count: Count = 256,
    batch_size: Count = 32,
    workers: Whole = 0,
    epoch_images: Whole = 0,
    device: str = "cpu",
    out: str | None = None,
) -> None:
    """Measure the loader, beside the released code's way to load where the original files are given.

    Args:
        store: path of the store (``t2igan prepare``).
        images: folder of the original image files; they are read as the released code does, with PIL.
        count: images read either way.
        batch_size: images per batch.
        workers: read a whole shuffled epoch with so many processes, too; 0: do not.
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
    """What was measured as JSON, and its stages as bars."""
    folder.mkdir(parents=True, exist_ok=True)
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
    """Write the large store in a process of its own, whose memory does not count."""
    process = get_context("spawn").Process(target=repeat_store, args=(store, large, records))
    process.start()
    process.join()
    if process.exitcode:
        raise UserError(f"{large}: could not be written, see above; is the disk full?")


def loaded(store: Path, batch_size: int, workers: int = 0) -> CaptionedImagesModule:
    """The store at its own size, loaded as for training."""
    size = open_store(store).image_size
    return CaptionedImagesModule(str(store), size, batch_size=batch_size, num_workers=workers)


def side_by_side(
    data: CaptionedImagesModule, images: str | None, count: int, device: torch.device
) -> tuple[Stages, Stages]:
    """CPU time of both ways, batch by batch in turn, so that both meet the same machine."""
    files = _files(Path(images)) if images else []
    ours, theirs = _StageClock(), _StageClock()
    batches, items = _training_batches(data), cast(TrainingItems, data.train_dataloader().dataset)
    for number in range(WARM_UP + -(-count // data.batch_size)):
        if number == WARM_UP:
            ours.reset()
            theirs.reset()
        _load_from_store(data, items, next(batches), device, ours)
        if files:
            _load_as_released(random.choices(files, k=data.batch_size), data.image_size, theirs)
    return ours.per_image(), theirs.per_image()


def _files(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_ENDINGS)
    if not files:
        raise UserError(f"{folder}: no image files here; --images names the folder of the original images")
    return files


def _training_batches(data: CaptionedImagesModule) -> Iterator[list[tuple[int, int]]]:
    """(epoch, image) of one batch after another, without end."""
    sampler = cast(TrainingBatches, data.train_dataloader().sampler)
    epoch = 0
    while True:
        sampler.set_epoch(epoch)
        yield from sampler
        epoch += 1


class _StageClock:
    """Adds up the CPU time of stages and counts images."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.images = 0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.seconds[name] += time.process_time() - start

    def per_image(self) -> Stages:
        return {name: 1000 * seconds / self.images for name, seconds in self.seconds.items()}


def _load_from_store(
    data: CaptionedImagesModule,
    items: TrainingItems,
    batch: list[tuple[int, int]],
    device: torch.device,
    clock: _StageClock,
) -> None:
    with clock.stage(READING):
        uncut = items[batch]
    with clock.stage("crop, flip"):
        whole = data.on_after_batch_transfer(data.transfer_batch_to_device(uncut, device, 0), 0)
    with clock.stage("pyramid"):
        levels = [whole.images, *(resize_images(whole.images, data.image_size // part) for part in LEVELS)]
    with clock.stage("normalise"):
        for level in levels:
            to_signed(level)
    clock.images += len(batch)


def _load_as_released(files: Sequence[Path], size: int, clock: _StageClock) -> None:
    """The transforms of the released loaders, and a batch of each level."""
    fit = transforms.Resize(short_side(size))
    augment = transforms.Compose([transforms.RandomCrop(size), transforms.RandomHorizontalFlip()])
    lower = [transforms.Resize(size // part) for part in LEVELS]
    normalise = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)])
    samples = []
    for file in files:
        with clock.stage("open, decode"):
            image = Image.open(file).convert("RGB")
        with clock.stage("resize"):
            image = fit(image)
        with clock.stage("crop, flip"):
            image = augment(image)
        with clock.stage("pyramid"):
            levels = [image, *(transform(image) for transform in lower)]
        with clock.stage("normalise"):
            samples.append([normalise(level) for level in levels])
    with clock.stage("collate"):
        for level in zip(*samples):
            torch.stack(level)
    clock.images += len(files)


def _print_stages(title: str, stages: Stages) -> None:
    total = sum(stages.values())
    table = Table("stage", "ms per image", "share", title=title, title_justify="left")
    for name, milliseconds in stages.items():
        table.add_row(name, f"{milliseconds:.3f}", f"{milliseconds / total:.0%}")
    table.add_row("all", f"{total:.3f}", f"{1000 / total:,.0f} images/s per core")
    console.print(table)


def _profile_epoch(store: Path, batch_size: int, workers: int, device: torch.device) -> list[dict[str, float]]:
    """Read a shuffled epoch; prints and gives rate and memory from its beginning to its end."""
    started = time.perf_counter()
    data = loaded(store, batch_size, workers)
    opened = time.perf_counter() - started
    images = len(data.train_split)
    size = store.stat().st_size / 1e9
    console.print(f"{store}: {images:,} training images, {size:.1f} GB, opened in {opened:.2f} s", soft_wrap=True)
    console.print(f"an epoch with {workers} workers")
    console.print(ROW.format("images", "images/s", "images/s of CPU", "resident MB"))
    loader = data.train_dataloader()
    marks, shares = [_Mark(0)], []
    for number, batch in enumerate(loader, 1):
        data.on_after_batch_transfer(data.transfer_batch_to_device(batch, device, 0), 0)
        if number == WARM_UP * workers:
            marks[0] = _Mark(number * batch_size)
        elif number % max(1, len(loader) // SHARES) == 0:
            marks.append(_Mark(number * batch_size))
            shares.append(marks[-1].since(marks[-2]))
            console.print(ROW.format(*(f"{value:,.0f}" for value in shares[-1].values())))
    for title, sizes in (
        ("resident memory of all processes", [mark.resident for mark in marks]),
        ("the same with what they share counted in each (sum of RSS)", [mark.summed for mark in marks]),
    ):
        first, most = sizes[0], max(sizes)
        console.print(f"{title}: {first:,.0f} MB at first, {most - first:,.0f} MB more at most", soft_wrap=True)
    return shares


class _Mark:
    """What was used up to a moment of an epoch."""

    def __init__(self, images: int) -> None:
        self.images = images
        self.wall, self.cpu, self.resident = time.perf_counter(), cpu_seconds(), resident_megabytes()
        self.summed = summed_resident_megabytes()

    def since(self, before: "_Mark") -> dict[str, float]:
        images = self.images - before.images
        return {
            "images": self.images,
            "images_per_second": images / (self.wall - before.wall),
            "images_per_cpu_second": images / max(self.cpu - before.cpu, 1e-9),
            "resident_megabytes": self.resident,
        }
