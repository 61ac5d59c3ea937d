"""Masks for composing, from the label maps of training images: single things and whole stuff regions."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from scipy import ndimage

from t2igan.layout.labels import COCO_STUFF, VOID, LabelSet
from t2igan.layout.layout import NO_SEGMENT, Layout

LEAST_SHARE = 0.001
"""Masks of fewer of an image's pixels are crumbs, and used only where the image has nothing else of the label."""
_KEPT_IMAGES = 4096


@dataclass(frozen=True, eq=False)
class Mask:
    """Mask of a thing or stuff region.

    Attributes:
        label: value of its label.
        image: index of the image in the bank.
        bits: bool (h, w), the mask within its bounding box.
        top: first row of the box, in pixels of the bank's maps.
        left: first column of the box.
    """

    label: int
    image: int
    bits: np.ndarray
    top: int
    left: int


class NumberedLayouts(Protocol):
    """Protocol of a sequence of layouts, in memory or read on access."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Layout: ...


class MaskBank:
    """The masks of some images, extracted on demand.

    Args:
        layouts: layouts of the images; read once for what they show, and again for the masks of those that are
            retrieved.
        size: side to which maps are resized by nearest neighbours.
        labels: names of the values.

    Attributes:
        shows: bool (N, labels), which labels each image shows.
    """

    def __init__(self, layouts: NumberedLayouts, size: int, labels: LabelSet = COCO_STUFF) -> None:
        self._layouts, self.size, self.labels = layouts, size, labels
        self.shows = np.zeros((len(layouts), len(labels)), bool)
        for number in range(len(layouts)):
            found = np.unique(layouts[number].labels)
            self.shows[number, found[found != VOID]] = True
        self._masks_of = lru_cache(_KEPT_IMAGES)(self._find)

    def __len__(self) -> int:
        return len(self._layouts)

    def layout(self, image: int) -> Layout:
        """The layout of an image at the bank's size."""
        whole = self._layouts[image]
        if whole.labels.shape == (self.size, self.size):
            return whole
        rows, columns = (
            ((np.arange(self.size) + 0.5) * side / self.size).astype(int) for side in whole.labels.shape
        )
        return Layout(
            *(np.ascontiguousarray(each[np.ix_(rows, columns)]) for each in (whole.labels, whole.instances))
        )

    def masks(self, image: int, label: int) -> list[Mask]:
        """The masks of a label in an image, the largest first."""
        return self._masks_of(image).get(label, []) if self.shows[image, label] else []

    def candidates(self, label: int, ranked: np.ndarray, k: int) -> list[Mask]:
        """The masks of a label in the first ``k`` ranked images, or in the next image that has any.

        Args:
            label: value of the label.
            ranked: int64 (N,), image indices, best match first.
            k: number of images to search.
        """
        holders = ranked[self.shows[ranked, label]]
        near = [image for image in ranked[:k] if self.shows[image, label]]
        for group in (near, *([image] for image in holders[len(near) :])):
            # A region may vanish when its map is resized, so the image's list of labels is not enough.
            if found := [mask for image in group for mask in self.masks(int(image), label)]:
                return found
        return []

    def _find(self, image: int) -> dict[int, list[Mask]]:
        layout = self.layout(image)
        found: dict[int, list[Mask]] = {}
        for label in np.unique(layout.labels):
            if label != VOID:
                own = [_cut(part, int(label), image) for part in self._parts(layout, int(label))]
                own.sort(key=lambda mask: -int(mask.bits.sum()))
                whole = [mask for mask in own if mask.bits.sum() >= LEAST_SHARE * self.size**2]
                found[int(label)] = whole or own[:1]
        return found

    def _parts(self, layout: Layout, label: int) -> list[np.ndarray]:
        """The whole region of a stuff label, or each thing of a label, bool (H, W) each."""
        region = layout.labels == label
        if not self.labels.is_thing(label):
            return [region]
        numbers = np.unique(layout.instances[region])
        parts = [region & (layout.instances == number) for number in numbers if number != NO_SEGMENT]
        # Outside of instances, each connected region counts as one thing.
        found: Any = ndimage.label(region & (layout.instances == NO_SEGMENT))
        pieces, count = found
        return parts + [pieces == number for number in range(1, count + 1)]


def _cut(part: np.ndarray, label: int, image: int) -> Mask:
    ((rows, columns),) = ndimage.find_objects(part.astype(np.uint8))
    return Mask(label, image, part[rows, columns].copy(), rows.start, columns.start)
