"""The plan of an evaluation: captions, number of images per caption, and shares of the processes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from t2igan.data.store import StoreSplit
from t2igan.errors import UserError
from t2igan.evaluation.protocol import Protocol


@dataclass(frozen=True)
class ImagePlan:
    """The images of an evaluation. Image ``i`` is trial ``i`` of R-precision, for every subject.

    Attributes:
        captions: int64 (N,), caption ids.
        draws: int64 (N,), 0 for the first image of a caption, 1 for the second, ...
    """

    captions: np.ndarray
    draws: np.ndarray

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def ids(self) -> np.ndarray:
        """What tells the images of one subject apart, int64 (N, 2).

        Caption and draw, so that protocols which choose captions in different ways share what they have in common.
        """
        return np.stack([self.captions, self.draws], axis=1)


def plan_images(split: StoreSplit, count: int, images: Sequence[int] | None = None) -> ImagePlan:
    """Use captions as evenly as possible; a pure function of the split and ``count``.

    Images take turns, in the order of the sha256 of their keys; in each turn an image contributes its next caption.
    After the last caption the plan starts again with new noise. A shorter plan is a prefix of a longer one.

    Args:
        split: whose captions are used.
        count: N.
        images: only captions of these images.

    Raises:
        UserError: there is no caption.
    """
    chosen = range(len(split)) if images is None else images
    ordered = sorted(chosen, key=lambda image: hashlib.sha256(split.keys[image].encode()).digest())
    captions = [split.captions_of(image) for image in ordered]
    turns = max((len(own) for own in captions), default=0)
    # The position is added so that the first round does not use only first captions.
    cycle = [
        own[(turn + place) % len(own)]
        for turn in range(turns)
        for place, own in enumerate(captions)
        if turn < len(own)
    ]
    if not cycle:
        raise UserError(f"the {split.name} split has no captions: prepare the store again")
    numbers = np.arange(count)
    return ImagePlan(np.asarray(cycle, np.int64)[numbers % len(cycle)], numbers // len(cycle))


def plan_passes(
    split: StoreSplit,
    count: int,
    loader_batch: int = 0,
    passes: int = 0,
    seed: int = 0,
    images: Sequence[int] | None = None,
) -> ImagePlan:
    """Draw as the released samplers do: pass after pass over the images, one random caption of each.

    A pass has an order of its own and loses the images behind its last whole batch, as a shuffling loader with
    ``drop_last`` does. A plan of fewer images is the beginning of a plan of more.

    Args:
        split: whose captions are used.
        count: the most images.
        loader_batch: batch of the loader, 0 to lose no image.
        passes: the most passes, 0 for no limit.
        seed: seed of order and captions.
        images: only captions of these images.

    Raises:
        UserError: no image has a caption, or they do not fill a batch.
    """
    chosen = np.arange(len(split)) if images is None else np.asarray(images, np.int64)
    captions = [split.captions_of(int(image)) for image in chosen]
    first = np.array([own.start for own in captions], np.int64)
    number = np.array([len(own) for own in captions], np.int64)
    first, number = first[number > 0], number[number > 0]
    kept = len(first) - len(first) % max(loader_batch, 1)
    if kept == 0:
        raise UserError(
            f"the {split.name} split has {len(first)} images with captions, too few for a batch of {loader_batch}: "
            "use a protocol without loader_batch"
        )
    needed = -(-count // kept)
    drawn = []
    for turn in range(min(needed, passes) if passes else needed):
        generator = np.random.default_rng([seed, turn])
        order = generator.permutation(len(first))[:kept]
        drawn.append(first[order] + generator.integers(number[order]))
    found = np.concatenate(drawn)[:count]
    return ImagePlan(found, _occurrences(found))


def _occurrences(values: np.ndarray) -> np.ndarray:
    """How often each value has come before its place."""
    order = np.argsort(values, kind="stable")
    ranks = np.arange(len(values)) - np.searchsorted(values[order], values[order])
    found = np.empty(len(values), np.int64)
    found[order] = ranks
    return found


def plan_for(protocol: Protocol, split: StoreSplit, images: Sequence[int] | None = None) -> ImagePlan:
    """The images that a protocol asks for.

    Args:
        protocol: gives their number and the way captions are chosen.
        split: whose captions are used.
        images: only captions of these images.
    """
    if protocol.captions == "even":
        return plan_images(split, protocol.images, images)
    return plan_passes(
        split, protocol.images, protocol.loader_batch, protocol.passes, protocol.captions_seed, images
    )


def share(count: int, rank: int, world_size: int) -> range:
    """The numbers of 0 ... count - 1 that fall to one process: a range, disjoint from the others', none left."""
    return range(rank * count // world_size, (rank + 1) * count // world_size)


def shuffled_captions(captions: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """The same captions in another order, so that each image gets one of another group: R-precision's control.

    Args:
        captions: int64 (N,), the caption of each image.
        groups: int64 (N,), the class (or image) of each image's caption.
        seed: seed of the order.

    Raises:
        UserError: more than half of the images are of one group.
    """
    generator, count = np.random.default_rng(seed), len(captions)
    largest = int(np.unique(groups, return_counts=True)[1].max())
    if 2 * largest > count:
        raise UserError(
            f"captions cannot be shuffled: {largest} of {count} images are of one class; use more images"
        )
    # In the order of groups, a shift by the size of the largest group moves each element to another group.
    by_group = np.argsort(groups, kind="stable")
    source = np.empty(count, np.int64)
    source[by_group] = np.roll(by_group, -largest)
    # Random swaps that preserve this then remove the regularity.
    for i, j in generator.integers(count, size=(10 * count, 2)):
        if groups[source[j]] != groups[i] and groups[source[i]] != groups[j]:
            source[i], source[j] = source[j], source[i]
    return captions[source]
