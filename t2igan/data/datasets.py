"""Store -> items -> batches, without Lightning."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import Dataset

from t2igan.data.batch import CaptionedImages
from t2igan.data.store import StoreSplit
from t2igan.data.vocabulary import subsample_words


@dataclass(frozen=True)
class Item:
    """One image with one caption: uint8 (3, S, S), int64 (words,), and what identifies them."""

    image: np.ndarray
    tokens: np.ndarray
    class_id: int
    key: str
    caption_id: int


class TrainingItems(Dataset):
    """Random caption, words, crop and flip of an image, as a pure function of (seed, epoch, image).

    What a training run sees depends neither on the number of workers nor on where it was interrupted.
    Asked for a whole batch at a time: ``items[[(epoch, image), ...]]`` is a :class:`CaptionedImages`.

    Args:
        split: the training images.
        window: side of the crop, at most the short side of the stored images.
        words: the most words of a caption (specs: models §0.2).
        seed: of all choices.
        sort_by_length: order each batch by caption length, longest first, ties in drawn order, as the released
            training scripts do (specs: models §0.3); mismatched pairs are formed in this order.
    """

    def __init__(
        self, split: StoreSplit, window: int, words: int = 18, seed: int = 0, sort_by_length: bool = True
    ) -> None:
        self.split, self.window, self.words = split, window, words
        self.seed, self.sort_by_length = seed, sort_by_length

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, batch: Sequence[tuple[int, int]]) -> CaptionedImages:
        items = [self.item(epoch, image) for epoch, image in batch]
        if self.sort_by_length:
            items.sort(key=lambda item: -len(item.tokens))
        return collate(items)

    def item(self, epoch: int, image: int) -> Item:
        """The item that ``image`` gives in ``epoch``."""
        generator = np.random.default_rng([self.seed, epoch, image])
        captions = self.split.captions_of(image)
        caption = captions[int(generator.integers(len(captions)))]
        tokens = subsample_words(self.split.caption_tokens(caption), self.words, generator)
        height, width = self.split.shape(image)
        top = int(generator.integers(height - self.window + 1))
        left = int(generator.integers(width - self.window + 1))
        pixels = self.split.crop(image, top, left, self.window)
        if generator.random() < 0.5:
            pixels = pixels[:, :, ::-1]
        return Item(pixels, tokens, int(self.split.class_ids[image]), self.split.keys[image], caption)


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

    def __init__(self, split: StoreSplit, window: int, words: int = 18, seed: int = 0) -> None:
        self.split, self.window, self.words, self.seed = split, window, words, seed

    def __len__(self) -> int:
        return self.split.n_captions

    def __getitem__(self, captions: Sequence[int]) -> CaptionedImages:
        return collate([self.item(int(caption)) for caption in captions])

    def item(self, caption: int) -> Item:
        """The pair of a caption and its image."""
        image = self.split.caption_image(caption)
        height, width = self.split.shape(image)
        top, left = (height - self.window) // 2, (width - self.window) // 2
        pixels = self.split.crop(image, top, left, self.window)
        generator = np.random.default_rng([self.seed, caption])
        tokens = subsample_words(self.split.caption_tokens(caption), self.words, generator)
        return Item(pixels, tokens, int(self.split.class_ids[image]), self.split.keys[image], caption)


def collate(items: Sequence[Item]) -> CaptionedImages:
    """Items to a batch; captions are padded with 0 on the right to the longest of them."""
    lengths = [len(item.tokens) for item in items]
    captions = np.zeros((len(items), max(lengths)), np.int64)
    for row, item in zip(captions, items):
        row[: len(item.tokens)] = item.tokens
    return CaptionedImages(
        images=torch.from_numpy(np.stack([item.image for item in items])),
        captions=torch.from_numpy(captions),
        lengths=torch.tensor(lengths),
        class_ids=torch.tensor([item.class_id for item in items]),
        keys=[item.key for item in items],
        caption_ids=torch.tensor([item.caption_id for item in items]),
    )


def resize_images(images: torch.Tensor, size: int) -> torch.Tensor:
    """Square images at another size, on their device: bilinear with antialiasing, rounded.

    Args:
        images: uint8 (B, 3, H, H).
        size: the new side.

    Returns:
        uint8 (B, 3, size, size).
    """
    if images.shape[-1] == size:
        return images
    resized = functional.interpolate(
        images.float(), size=(size, size), mode="bilinear", align_corners=False, antialias=True
    )
    return resized.round_().clamp_(0, 255).to(torch.uint8)
