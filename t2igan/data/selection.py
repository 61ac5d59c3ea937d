"""Views of a store: subsets of its images, narratives as captions, and held-out training classes."""

import hashlib
from collections.abc import Collection, Sequence
from functools import cached_property

import numpy as np

from t2igan.data.layout import SPLITS
from t2igan.data.store import Store, StoreSplit
from t2igan.errors import UserError
from t2igan.layout.layout import Layout
from t2igan.layout.narratives import Narrative


class SelectedImages:
    """Some images of several splits, read like one :class:`t2igan.data.store.StoreSplit`.

    Images, captions and narratives are numbered anew, in the order given.

    Args:
        name: name of the selection.
        parts: splits, each with the indices of its selected images, int64 (n,).
        narrated: whether the narratives take the place of the captions, with the same indices.

    Attributes:
        keys: the data set's names of the images.
        class_ids: int64 (N,), class id of each image.
        n_captions: number of captions of all images together.
    """

    def __init__(self, name: str, parts: "list[tuple[ImageSplit, np.ndarray]]", narrated: bool = False) -> None:
        self.name, self.narrated = name, narrated or all(split.narrated for split, _ in parts)
        self._retold = narrated
        self._members = [(split, int(image)) for split, images in parts for image in images]
        self.keys = [split.keys[image] for split, image in self._members]
        self.class_ids = np.array([split.class_ids[image] for split, image in self._members], np.int64)
        told = [split.narratives_of(image) for split, image in self._members]
        captions = told if narrated else [split.captions_of(image) for split, image in self._members]
        self._narrative_starts, self._caption_starts = (_starts(ranges) for ranges in (told, captions))
        self.n_captions = int(self._caption_starts[-1])

    def __len__(self) -> int:
        return len(self._members)

    def shape(self, image: int) -> tuple[int, int]:
        """(height, width) of a stored image."""
        split, own = self._members[image]
        return split.shape(own)

    def key(self, image: int) -> str:
        """The data set's name of an image."""
        return self.keys[image]

    def image(self, image: int) -> np.ndarray:
        """A stored image, uint8 (3, height, width)."""
        split, own = self._members[image]
        return split.image(own)

    def crop(self, image: int, top: int, left: int, size: int) -> np.ndarray:
        """The centre crop of a stored image, uint8 (3, size, size)."""
        split, own = self._members[image]
        return split.crop(own, top, left, size)

    def read_window(self, image: int, top: int, left: int, out: np.ndarray) -> np.ndarray:
        """See :meth:`t2igan.data.store.StoreSplit.read_window`."""
        split, own = self._members[image]
        return split.read_window(own, top, left, out)

    def stored(self, image: int) -> np.ndarray:
        """An image as it is stored, uint8 (bytes,)."""
        split, own = self._members[image]
        return split.stored(own)

    def captions_of(self, image: int) -> range:
        """Indices of an image's captions within the split."""
        return range(int(self._caption_starts[image]), int(self._caption_starts[image + 1]))

    def caption_image(self, caption: int) -> int:
        """Index of the image that a caption describes."""
        return int(self.caption_images[caption])

    @cached_property
    def caption_images(self) -> np.ndarray:
        """Index of the image of every caption, int64 (M,)."""
        return np.repeat(np.arange(len(self)), np.diff(self._caption_starts))

    def caption_tokens(self, caption: int) -> np.ndarray:
        """All word ids of a caption, int64 (words,)."""
        if self._retold:
            return self.narrative_tokens(caption)
        split, own = self._caption(caption)
        return split.caption_tokens(own)

    def caption_text(self, caption: int) -> str:
        """A caption as it was written."""
        if self._retold:
            return self.narrative(caption).caption
        split, own = self._caption(caption)
        return split.caption_text(own)

    def holding(self, what: str) -> np.ndarray:
        """See :meth:`t2igan.data.store.StoreSplit.holding`."""
        whole = {id(split): split.holding(what) for split, _ in self._members}
        return np.array([whole[id(split)][own] for split, own in self._members], bool)

    def layout(self, image: int) -> Layout:
        """See :meth:`t2igan.data.store.StoreSplit.layout`."""
        split, own = self._members[image]
        return split.layout(own)

    def segment_texts(self, image: int) -> tuple[str, ...]:
        """See :meth:`t2igan.data.store.StoreSplit.segment_texts`."""
        split, own = self._members[image]
        return split.segment_texts(own)

    def narratives_of(self, image: int) -> range:
        """Indices of an image's narratives within the split."""
        return range(int(self._narrative_starts[image]), int(self._narrative_starts[image + 1]))

    def narrative(self, number: int) -> Narrative:
        """See :meth:`t2igan.data.store.StoreSplit.narrative`."""
        split, own = self._narrative(number)
        return split.narrative(own)

    def narrative_tokens(self, number: int) -> np.ndarray:
        """All word ids of a narrative's caption, int64 (words,)."""
        split, own = self._narrative(number)
        return split.narrative_tokens(own)

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        for split in {id(split): split for split, _ in self._members}.values():
            split.close()

    def _narrative(self, number: int) -> "tuple[ImageSplit, int]":
        """The split of a narrative, and its index there."""
        image = int(np.searchsorted(self._narrative_starts, number, "right")) - 1
        split, own = self._members[image]
        return split, split.narratives_of(own)[number - int(self._narrative_starts[image])]

    def _caption(self, caption: int) -> "tuple[ImageSplit, int]":
        """The split of a caption, and its index there."""
        image = self.caption_image(caption)
        split, own = self._members[image]
        return split, split.captions_of(own)[caption - int(self._caption_starts[image])]


Numbers = Sequence[int] | np.ndarray
"""Of images or captions, int64 where it is an array."""

ImageSplit = StoreSplit | SelectedImages
"""Captioned images to learn from or to look at."""


def _starts(ranges: list[range]) -> np.ndarray:
    return np.cumsum([0, *map(len, ranges)], dtype=np.int64)


def only_with(split: ImageSplit, needed: Collection[str]) -> ImageSplit:
    """Select the images of a split that have all required parts.

    Args:
        split: the images.
        needed: any of ``layouts``, ``segments``, ``narratives``.
    """
    held = np.logical_and.reduce([np.ones(len(split), bool), *(split.holding(what) for what in needed)])
    return split if held.all() else SelectedImages(split.name, [(split, np.flatnonzero(held))])


class NarrativesAsCaptions(Store):
    """View of a store whose captions are its narratives; images without one are left out.

    Args:
        store: the whole.
    """

    def __init__(self, store: Store) -> None:
        vars(self).update(vars(store))
        self._whole = store
        whole = [(name, store.split(name)) for name in SPLITS]
        self._splits = {
            name: SelectedImages(name, [(split, np.flatnonzero(split.holding("narratives")))], narrated=True)
            for name, split in whole
        }
        self.fingerprint = _digest(f"{store.fingerprint} narratives")

    def __reduce__(self) -> tuple:
        return NarrativesAsCaptions, (self._whole,)


class HeldOutClasses(Store):
    """View of a store that holds out some training classes as its test split.

    Selecting a checkpoint on them does not use the test split. The choice of classes depends on their names alone;
    those of a smaller ``count`` are among those of a larger one.

    Args:
        store: the whole.
        count: how many training classes to hold out.

    Raises:
        UserError: fewer than one class would be held out or kept for training.
    """

    def __init__(self, store: Store, count: int) -> None:
        vars(self).update(vars(store))
        whole = store.split("train")
        classes = sorted({int(each) for each in whole.class_ids}, key=lambda each: _digest(store.class_names[each]))
        if not 0 < count < len(classes):
            raise UserError(
                f"data.val_classes: {count} of the {len(classes)} training classes of {store.path} cannot be held "
                f"out: give a number from 1 to {len(classes) - 1}"
            )
        self._whole, self._count = store, count
        self.held_out = sorted(store.class_names[each] for each in classes[:count])
        mask = np.isin(whole.class_ids, classes[:count])
        self._splits = {
            "train": SelectedImages("train", [(whole, np.flatnonzero(~mask))]),
            "test": SelectedImages("held-out training classes", [(whole, np.flatnonzero(mask))]),
        }
        self.fingerprint = _digest("\n".join([store.fingerprint, *self.held_out]))

    def __reduce__(self) -> tuple:
        return HeldOutClasses, (self._whole, self._count)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
