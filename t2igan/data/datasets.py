"""Data sets that turn the splits of a store into batches, without Lightning."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset, get_worker_info

from t2igan.data.augmentation import EncodedWindows, Windows
from t2igan.data.batch import ON_THE_HOST, CaptionedImages, host_copy
from t2igan.data.sampler import share_of
from t2igan.data.selection import ImageSplit, Numbers
from t2igan.data.vocabulary import subsample_words
from t2igan.layout.layout import Layout, Layouts
from t2igan.layout.narratives import Narrative


@dataclass(frozen=True)
class Item:
    """One image, uint8 (3, S, S), with one caption, int64 (words,), and their identifiers."""

    image: np.ndarray
    tokens: np.ndarray
    class_id: int
    key: str
    caption_id: int
    layout: Layout | None = None
    texts: tuple[str, ...] = ()
    narrative: Narrative | None = None


@dataclass(frozen=True)
class CaptionChoice:
    """Random choices for one image of a training batch.

    Attributes:
        image: index of the image within its split.
        caption_id: index of the chosen caption within the split.
        tokens: int64 (words,), ids of the words that are kept.
        top: first row of the window.
        left: first column of the window.
        mirrored: whether the window is flipped left to right.
        narrative: index of the chosen narrative, None if batches hold none.
    """

    image: int
    caption_id: int
    tokens: np.ndarray
    top: int
    left: int
    mirrored: bool
    narrative: int | None = None


@dataclass
class UncutBatch:
    """A training batch from a worker; :meth:`cut` turns it into :class:`CaptionedImages` on the device.

    Attributes:
        windows: the crop windows, one per image.
        captions: int64 (B, T), word ids; 0 = padding.
        lengths: int64 (B,), words per caption.
        class_ids: int64 (B,), class ids of the images.
        keys: the data set's names of the images.
        caption_ids: int64 (B,), index of each caption within its split.
        layouts: as of :class:`CaptionedImages`, like what follows.
    """

    windows: Windows | EncodedWindows
    captions: Tensor
    lengths: Tensor
    class_ids: Tensor
    keys: list[str]
    caption_ids: Tensor
    layouts: Layouts | None = None
    narratives: list[Narrative] | None = None
    host_captions: Tensor | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def _map(self, function: Callable[[Any], Any]) -> "UncutBatch":
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: function(each) for name, each in values.items() if hasattr(each, "to")})

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "UncutBatch":
        """Move the batch to ``device`` and decode JPEG files there."""
        moved = self._map(lambda part: part.to(device, non_blocking=non_blocking))
        kept = {name: getattr(self, name) for name in ON_THE_HOST}
        return replace(moved, **kept | {"host_captions": host_copy(self.captions, self.host_captions)})

    def pin_memory(self) -> "UncutBatch":
        """The same batch in page-locked memory (called by the data loader)."""
        return self._map(lambda part: part.pin_memory())

    def cut(self) -> CaptionedImages:
        """Crop and flip, on the device of the batch."""
        device = self.captions.device
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "windows"}
        return CaptionedImages(images=self.windows.to(device).cut(), **rest)


class TrainingItems(Dataset):
    """Random caption, words, crop and flip of an image, as a pure function of (seed, epoch, image).

    The batches of a training depend neither on the number of workers nor on interruptions.
    Asked for a whole batch of all devices at a time: ``items[[(epoch, image), ...]]`` is this device's share of it,
    an :class:`UncutBatch`. The batch is put in order as a whole first: two devices with 8 images each see what one
    device with 16 sees, in the same order. What is read or decoded beside a window is dropped at once, so that
    batches that wait take the least memory.

    Args:
        split: the training images.
        window: side of the crop, at most the short side of the stored images.
        words: the most words of a caption.
        seed: seed of all choices.
        sort_by_length: sort each batch by caption length, longest first, as the released training scripts do;
            mismatched pairs are formed in this order.
        decode: False leaves the images as they are stored, JPEG files, for the device to decode.
        rank: rank of this device.
        world_size: how many devices share a batch.
        carried: parts of a batch beside captions: ``layouts``, ``narratives``. Every image must have them.
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
        carried: Collection[str] = (),
    ) -> None:
        self.split, self.window, self.words, self.decode = split, window, words, decode
        self.carried = frozenset(carried)
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
            layouts=self._layouts(choices) if "layouts" in self.carried else None,
            narratives=self._narratives(choices) if "narratives" in self.carried else None,
            **padded([choice.tokens for choice in choices]),
        )

    def choose(self, epoch: int, image: int) -> CaptionChoice:
        """Random choices for ``image`` in ``epoch``."""
        generator = np.random.default_rng([self.seed, epoch, image])
        captions = self.split.captions_of(image)
        caption = captions[int(generator.integers(len(captions)))]
        tokens = subsample_words(self.split.caption_tokens(caption), self.words, generator)
        height, width = self.split.shape(image)
        top = int(generator.integers(height - self.window + 1))
        left = int(generator.integers(width - self.window + 1))
        mirrored, narrative = bool(generator.random() < 0.5), None
        if "narratives" in self.carried:
            own = self.split.narratives_of(image)
            narrative = caption if self.split.narrated else own[int(generator.integers(len(own)))]
        return CaptionChoice(image, caption, tokens, top, left, mirrored, narrative)

    def _layouts(self, choices: Sequence[CaptionChoice]) -> Layouts:
        """Crop the layouts in the worker: they are small."""
        windows = [
            layout_window(self.split, each.image, each.top, each.left, self.window, each.mirrored)
            for each in choices
        ]
        return Layouts.of(windows, [self.split.segment_texts(each.image) for each in choices])

    def _narratives(self, choices: Sequence[CaptionChoice]) -> list[Narrative]:
        return [
            narrative_window(
                self.split, each.narrative, each.image, each.top, each.left, self.window, each.mirrored
            )
            for each in choices
            if each.narrative is not None
        ]

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
    """Pairs of a caption and its image, by caption id: centre crop, no flip.

    ``items[[caption, ...]]`` is a :class:`CaptionedImages` in the order asked for. Words above the limit are chosen
    as a pure function of (seed, caption), so a pair does not depend on the batch that it comes in.

    Args:
        split: the images.
        window: side of the crop, at most the short side of the stored images.
        words: the most words of a caption.
        seed: seed of the choice of words.
        carried: parts of a batch beside captions: ``layouts``, ``narratives`` (the first of each image). Every
            requested image must have them.
    """

    def __init__(
        self, split: ImageSplit, window: int, words: int = 18, seed: int = 0, carried: Collection[str] = ()
    ) -> None:
        self.split, self.window, self.words, self.seed = split, window, words, seed
        self.carried = frozenset(carried)

    def __len__(self) -> int:
        return self.split.n_captions

    def __getitem__(self, captions: Numbers) -> CaptionedImages:
        return collate([self.item(int(caption)) for caption in captions])

    def item(self, caption: int) -> Item:
        """The pair of a caption and its image, by caption id."""
        image = self.split.caption_image(caption)
        height, width = self.split.shape(image)
        top, left = (height - self.window) // 2, (width - self.window) // 2
        pixels = self.split.crop(image, top, left, self.window)
        generator = np.random.default_rng([self.seed, caption])
        tokens = subsample_words(self.split.caption_tokens(caption), self.words, generator)
        item = Item(pixels, tokens, int(self.split.class_ids[image]), self.split.key(image), caption)
        if "layouts" in self.carried:
            layout = layout_window(self.split, image, top, left, self.window)
            item = replace(item, layout=layout, texts=self.split.segment_texts(image))
        if "narratives" in self.carried:
            number = caption if self.split.narrated else self.split.narratives_of(image).start
            item = replace(item, narrative=narrative_window(self.split, number, image, top, left, self.window))
        return item


def layout_window(split: ImageSplit, image: int, top: int, left: int, size: int, mirrored: bool = False) -> Layout:
    """A window of an image's layout, uint8 (size, size) maps, flipped left to right like the image."""
    whole = split.layout(image)
    columns = slice(left, left + size)
    maps = (each[top : top + size, columns] for each in (whole.labels, whole.instances))
    return Layout(*(np.ascontiguousarray(each[:, ::-1] if mirrored else each) for each in maps))


def narrative_window(
    split: ImageSplit, number: int, image: int, top: int, left: int, size: int, mirrored: bool = False
) -> Narrative:
    """A narrative with its traces in coordinates of a window, 0 to 1."""
    height, width = split.shape(image)
    return split.narrative(number).in_window(left / width, top / height, size / width, size / height, mirrored)


def collate(items: Sequence[Item]) -> CaptionedImages:
    """Collate items into a batch; either all or none have a layout, and likewise a narrative."""
    layouts = [item.layout for item in items if item.layout is not None]
    narratives = [item.narrative for item in items if item.narrative is not None]
    return CaptionedImages(
        images=torch.from_numpy(np.stack([item.image for item in items])),
        class_ids=torch.tensor([item.class_id for item in items]),
        keys=[item.key for item in items],
        caption_ids=torch.tensor([item.caption_id for item in items]),
        layouts=Layouts.of(layouts, [item.texts for item in items]) if layouts else None,
        narratives=narratives or None,
        **padded([item.tokens for item in items]),
    )


class Padded(TypedDict):
    """Padded captions, int64 (B, T), and their lengths in words, int64 (B,)."""

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
    """Uninitialised uint8 (count,); in a loader's worker it is shared memory, which saves a copy."""
    if get_worker_info() is None:
        return torch.empty(count, dtype=torch.uint8)
    # As torch's own collation does, which has no public name for it.
    return torch.empty(0, dtype=torch.uint8).set_(torch.UntypedStorage._new_shared(count))


def _mirrored(choices: Sequence[CaptionChoice]) -> Tensor:
    return torch.tensor([choice.mirrored for choice in choices])


def resize_images(images: torch.Tensor, size: int) -> torch.Tensor:
    """Resize square images on their device: bilinear with antialiasing, rounded to whole levels like PIL.

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
