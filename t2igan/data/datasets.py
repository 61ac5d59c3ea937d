"""Store -> items -> batches, without Lightning."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset, get_worker_info

from t2igan.data.augmentation import EncodedWindows, Windows
from t2igan.data.batch import CaptionedImages
from t2igan.data.sampler import share_of
from t2igan.data.selection import ImageSplit, Numbers
from t2igan.data.vocabulary import subsample_words


@dataclass(frozen=True)
class Item:
    """One image with one caption: uint8 (3, S, S), int64 (words,), and what identifies them."""

    image: np.ndarray
    tokens: np.ndarray
    class_id: int
    key: str
    caption_id: int


@dataclass(frozen=True)
class CaptionChoice:
    """What is drawn for one image of a training batch.

    Attributes:
        image: its number.
        caption_id: one of its captions.
        tokens: int64 (words,), ids of the caption's words that are used.
        top: first row of the window.
        left: first column of the window.
        mirrored: whether the window is turned left to right.
    """

    image: int
    caption_id: int
    tokens: np.ndarray
    top: int
    left: int
    mirrored: bool


@dataclass
class UncutBatch:
    """A training batch as workers hand it over: on the device, :meth:`cut` makes it :class:`CaptionedImages`.

    Attributes:
        windows: of the images.
        captions: see :class:`CaptionedImages`, as all that follow.
        lengths: words per caption.
        class_ids: of the images.
        keys: of the images.
        caption_ids: of the captions.
    """

    windows: Windows | EncodedWindows
    captions: Tensor
    lengths: Tensor
    class_ids: Tensor
    keys: list[str]
    caption_ids: Tensor

    def __len__(self) -> int:
        return len(self.keys)

    def _map(self, function: Callable[[Any], Any]) -> "UncutBatch":
        return replace(self, **{f.name: function(getattr(self, f.name)) for f in fields(self) if f.name != "keys"})

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "UncutBatch":
        """The same batch on ``device``; JPEG files are decoded there."""
        return self._map(lambda part: part.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "UncutBatch":
        """The same batch in page-locked memory (called by the data loader)."""
        return self._map(lambda part: part.pin_memory())

    def cut(self) -> CaptionedImages:
        """Crop and flip, on the device where the batch lies."""
        device = self.captions.device
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "windows"}
        return CaptionedImages(images=self.windows.to(device).cut(), **rest)


class TrainingItems(Dataset):
    """Random caption, words, crop and flip of an image, as a pure function of (seed, epoch, image).

    What a training run sees depends neither on the number of workers nor on where it was interrupted.
    Asked for a whole batch of all devices at a time: ``items[[(epoch, image), ...]]`` is this device's share of it,
    an :class:`UncutBatch`. The batch is put in order as a whole first: two devices with 8 images each see what one
    device with 16 sees, in the same order. What is read or decoded beside a window is dropped at once, so that
    batches that wait take the least memory.

    Args:
        split: the training images.
        window: side of the crop, at most the short side of the stored images.
        words: the most words of a caption.
        seed: of all choices.
        sort_by_length: order each batch by caption length, longest first, ties in drawn order, as the released
            training scripts do; mismatched pairs are formed in this order.
        decode: False leaves the images as they are stored, JPEG files, for the device to decode.
        rank: of this device.
        world_size: how many devices share a batch.
    """

    def __init__(
        self,
        split: ImageSplit,
        window: int,
        words: int = 18,
        seed: int = 0,
        sort_by_length: bool = True,
        decode: bool = True,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.split, self.window, self.words, self.decode = split, window, words, decode
        self.seed, self.sort_by_length = seed, sort_by_length
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, batch: Sequence[tuple[int, int]]) -> UncutBatch:
        choices = [self.choose(epoch, image) for epoch, image in batch]
        if self.sort_by_length:
            choices.sort(key=lambda choice: -len(choice.tokens))
        choices = share_of(choices, self.rank, self.world_size)
        images = [choice.image for choice in choices]
        return UncutBatch(
            windows=self._windows(choices) if self.decode else self._encoded(choices),
            class_ids=torch.from_numpy(self.split.class_ids[images]),
            keys=[self.split.key(image) for image in images],
            caption_ids=torch.tensor([choice.caption_id for choice in choices]),
            **padded([choice.tokens for choice in choices]),
        )

    def choose(self, epoch: int, image: int) -> CaptionChoice:
        """What is drawn for ``image`` in ``epoch``."""
        generator = np.random.default_rng([self.seed, epoch, image])
        captions = self.split.captions_of(image)
        caption = captions[int(generator.integers(len(captions)))]
        tokens = subsample_words(self.split.caption_tokens(caption), self.words, generator)
        height, width = self.split.shape(image)
        top = int(generator.integers(height - self.window + 1))
        left = int(generator.integers(width - self.window + 1))
        return CaptionChoice(image, caption, tokens, top, left, mirrored=bool(generator.random() < 0.5))

    def _windows(self, choices: Sequence[CaptionChoice]) -> Windows:
        side = self.window
        pixels = _buffer(3 * len(choices) * side**2).view(-1, 3)
        for choice, window in zip(choices, pixels.view(-1, side, side, 3).numpy()):
            self.split.read_window(choice.image, choice.top, choice.left, window)
        return Windows(
            pixels=pixels,
            starts=torch.arange(len(choices)) * side**2,
            widths=torch.full((len(choices),), side),
            mirrored=_mirrored(choices),
            size=side,
        )

    def _encoded(self, choices: Sequence[CaptionChoice]) -> EncodedWindows:
        files = [self.split.stored(choice.image) for choice in choices]
        return EncodedWindows(
            files=torch.from_numpy(np.concatenate(files)),
            lengths=torch.tensor([len(file) for file in files]),
            corners=torch.tensor([(choice.top, choice.left) for choice in choices]),
            mirrored=_mirrored(choices),
            size=self.window,
        )


class EvaluationItems(Dataset):
    """Pairs of one caption and its image, by caption id: centre crop, no flip.

    ``items[[caption, ...]]`` is a :class:`CaptionedImages` in the order asked for. Words above the limit are chosen
    as a pure function of (seed, caption), so a pair does not depend on the batch that it comes in.

    Args:
        split: the images.
        window: side of the crop, at most the short side of the stored images.
        words: the most words of a caption.
        seed: of the choice of words.
    """

    def __init__(self, split: ImageSplit, window: int, words: int = 18, seed: int = 0) -> None:
        self.split, self.window, self.words, self.seed = split, window, words, seed

    def __len__(self) -> int:
        return self.split.n_captions

    def __getitem__(self, captions: Numbers) -> CaptionedImages:
        return collate([self.item(int(caption)) for caption in captions])

    def item(self, caption: int) -> Item:
        """The pair of a caption and its image."""
        image = self.split.caption_image(caption)
        height, width = self.split.shape(image)
        top, left = (height - self.window) // 2, (width - self.window) // 2
        pixels = self.split.crop(image, top, left, self.window)
        generator = np.random.default_rng([self.seed, caption])
        tokens = subsample_words(self.split.caption_tokens(caption), self.words, generator)
        return Item(pixels, tokens, int(self.split.class_ids[image]), self.split.key(image), caption)


def collate(items: Sequence[Item]) -> CaptionedImages:
    """Items to a batch."""
    return CaptionedImages(
        images=torch.from_numpy(np.stack([item.image for item in items])),
        class_ids=torch.tensor([item.class_id for item in items]),
        keys=[item.key for item in items],
        caption_ids=torch.tensor([item.caption_id for item in items]),
        **padded([item.tokens for item in items]),
    )


class Padded(TypedDict):
    """Captions of one length, int64 (B, T), and how many words they had, int64 (B,)."""

    captions: Tensor
    lengths: Tensor


def padded(captions: Sequence[np.ndarray]) -> Padded:
    """``captions``, padded with 0 on the right to the longest of them, and their ``lengths``.

    Args:
        captions: int64 (words,) each.
    """
    lengths = [len(caption) for caption in captions]
    rows = np.zeros((len(captions), max(lengths)), np.int64)
    for row, caption in zip(rows, captions):
        row[: len(caption)] = caption
    return {"captions": torch.from_numpy(rows), "lengths": torch.tensor(lengths)}


def _buffer(count: int) -> Tensor:
    """uint8 (count,), not filled; in a worker of a loader, memory that its process shares, which saves a copy."""
    if get_worker_info() is None:
        return torch.empty(count, dtype=torch.uint8)
    # As torch's own collation does, which has no public name for it.
    return torch.empty(0, dtype=torch.uint8).set_(torch.UntypedStorage._new_shared(count))


def _mirrored(choices: Sequence[CaptionChoice]) -> Tensor:
    return torch.tensor([choice.mirrored for choice in choices])


def resize_images(images: torch.Tensor, size: int) -> torch.Tensor:
    """Square images at another size, on their device: bilinear with antialiasing, in whole levels as PIL does it.

    Args:
        images: uint8 (B, 3, H, H).
        size: the new side.

    Returns:
        uint8 (B, 3, size, size); a value may differ by one level between CPU and CUDA.
    """
    if images.shape[-1] == size:
        return images
    # CUDA resizes no uint8; on a CPU it is PIL's own arithmetic, and twice as fast as in float32.
    kept = images if images.device.type == "cpu" else images.float()
    resized = functional.interpolate(kept, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
    return resized.round_().clamp_(0, 255).to(torch.uint8) if resized.is_floating_point() else resized
