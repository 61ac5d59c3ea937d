"""Measure data loading from a store, compared with the released code's loading of original files."""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from PIL import Image
from torchvision import transforms

from t2igan.data.datamodule import CaptionedImagesModule
from t2igan.data.datasets import TrainingItems, resize_images
from t2igan.data.rendering import short_side
from t2igan.data.sampler import TrainingBatches
from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.nn.images import to_signed
from t2igan.profiling.process_tree import cpu_seconds, resident_megabytes, summed_resident_megabytes

IMAGE_ENDINGS = {".jpg", ".jpeg", ".png"}
LEVELS = (2, 4)  # divisors of the image's side in the released multi-stage models
READING = "draw, read, decode"  # the stage of the workers
SHARES = 8  # parts of an epoch whose rates are compared
WARM_UP = 4  # batches before the first measurement

Stages = dict[str, float]
"""Milliseconds of CPU time an image, by stage."""


def loaded(store: Path, batch_size: int, workers: int = 0) -> CaptionedImagesModule:
    """A data module of the store at its own size, set up as in training.

    Args:
        store: HDF5 file of `t2igan prepare`.
        batch_size: images per batch.
        workers: number of loader processes; 0 loads in this process.
    """
    size = open_store(store).image_size
    return CaptionedImagesModule(str(store), size, batch_size=batch_size, num_workers=workers)


def side_by_side(
    data: CaptionedImagesModule, images: str | None, count: int, device: torch.device
) -> tuple[Stages, Stages]:
    """Measure the CPU time of both loaders, alternating by batch so that both have the same conditions.

    Args:
        data: data of the store.
        images: folder of the original files; None skips the released loader.
        count: number of images read by each loader.
        device: where crop, flip and pyramid of the store's images are computed.

    Returns:
        Timings of the store's loader and of the released one, the latter empty if skipped.

    Raises:
        UserError: the folder holds no images.
    """
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
    """Yield (epoch, image) lists of consecutive batches, endlessly."""
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


@dataclass(frozen=True)
class Mark:
    """Resources used up to a moment of an epoch.

    Attributes:
        images: number of images read so far.
        wall: wall time in seconds, from an arbitrary origin.
        cpu: CPU seconds of all processes.
        resident: memory of all processes in megabytes, counting shared memory once.
        summed: memory in megabytes, counting shared memory in each process.
    """

    images: int
    wall: float
    cpu: float
    resident: float
    summed: float

    @classmethod
    def now(cls, images: int) -> "Mark":
        """Measure the current state."""
        return cls(images, time.perf_counter(), cpu_seconds(), resident_megabytes(), summed_resident_megabytes())

    def since(self, before: "Mark") -> dict[str, float]:
        """Rates since an earlier moment."""
        images = self.images - before.images
        return {
            "images": self.images,
            "images_per_second": images / (self.wall - before.wall),
            "images_per_cpu_second": images / max(self.cpu - before.cpu, 1e-9),
            "resident_megabytes": self.resident,
        }


def read_epoch(
    data: CaptionedImagesModule, device: torch.device, told: Callable[[dict[str, float]], None]
) -> list[Mark]:
    """Read a shuffled epoch with the workers of ``data``.

    Args:
        data: data of the store.
        device: where crop and flip are computed.
        told: called with the rates of each share of the epoch when it is read.

    Returns:
        Marks at the end of the warm-up and of each share.

    Raises:
        UserError: memory cannot be read on this system.
    """
    loader = data.train_dataloader()
    marks = [Mark.now(0)]
    for number, batch in enumerate(loader, 1):
        data.on_after_batch_transfer(data.transfer_batch_to_device(batch, device, 0), 0)
        if number == WARM_UP * loader.num_workers:
            marks[0] = Mark.now(number * data.batch_size)
        elif number % max(1, len(loader) // SHARES) == 0:
            marks.append(Mark.now(number * data.batch_size))
            told(marks[-1].since(marks[-2]))
    return marks
