"""Mismatching captions for R-precision."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from t2igan.errors import UserError

NegativesPolicy = Literal["other-class", "other-image", "fixed"]


class NegativeCaptions:
    """Draws mismatching captions like the code of DM-GAN.

    Uniform over the allowed images, then uniform over the captions of that image, with replacement. The draw of a
    trial depends only on the seed, its true caption and the image's number for that caption, not on the order of
    images: the bits come from Philox, a counter-based generator, with the seed as key and the other two in the
    counter.

    Args:
        class_ids: (N,), class of each caption's image.
        image_ids: (N,), image of each caption.
        policy: ``other-class`` leaves out all images of the true class, ``other-image`` the true image only.
            ``fixed`` does the latter, and gives a caption the same mismatching ones in every trial, as lists made
            beforehand do (TISE).
        seed: not negative.

    Raises:
        UserError: no image is left for some caption.
    """

    def __init__(
        self,
        class_ids: Sequence[int] | np.ndarray,
        image_ids: Sequence[int] | np.ndarray,
        policy: NegativesPolicy,
        seed: int,
    ) -> None:
        if policy not in get_args(NegativesPolicy):
            raise UserError(f"negatives: {policy!r} is not one of {', '.join(get_args(NegativesPolicy))}")
        class_ids, image_ids = np.asarray(class_ids, np.int64), np.asarray(image_ids, np.int64)
        if class_ids.ndim != 1 or class_ids.shape != image_ids.shape:
            raise ValueError(f"class_ids {class_ids.shape}, image_ids {image_ids.shape}: must be (N,)")
        self._seed, self._fixed = int(seed), policy == "fixed"
        group = class_ids if policy == "other-class" else image_ids
        # captions sorted by (group, image): the images left out by a trial are then neighbours
        self._captions = np.lexsort((image_ids, group))
        sorted_images, sorted_groups = image_ids[self._captions], group[self._captions]
        changed = (sorted_images[1:] != sorted_images[:-1]) | (sorted_groups[1:] != sorted_groups[:-1])
        new_image = np.concatenate([[True], changed])
        self._caption_start = np.flatnonzero(new_image)
        if len(self._caption_start) != len(np.unique(image_ids)):
            raise ValueError("an image has captions of two classes")
        self._caption_count = np.diff(np.append(self._caption_start, len(group)))
        _, start, member, count = np.unique(
            sorted_groups[self._caption_start], return_index=True, return_inverse=True, return_counts=True
        )
        image_of_caption = np.empty(len(group), np.int64)
        image_of_caption[self._captions] = np.cumsum(new_image) - 1
        group_of_caption = member[image_of_caption]
        self._excluded_start, self._excluded_count = start[group_of_caption], count[group_of_caption]
        if count.max() == len(self._caption_start):
            what = "classes" if policy == "other-class" else "images"
            raise UserError(f"negatives: {policy} needs captions of at least two {what}, the split has one")

    def draw(self, draws: np.ndarray, caption_ids: np.ndarray, count: int) -> np.ndarray:
        """Draw the mismatching captions of some trials.

        Args:
            draws: int64 (B,), 0 for the first image of a caption, 1 for the second, ...
            caption_ids: int64 (B,), their true captions, 0 <= id < N.
            count: K.

        Returns:
            int64 (B, K), caption ids; one may occur more than once.
        """
        if caption_ids.min() < 0 or caption_ids.max() >= len(self._captions):
            raise ValueError(f"caption ids must be in 0..{len(self._captions) - 1}")
        # Each caption has its own list, from another part of the counter than the trials.
        pairs = zip(draws.tolist(), caption_ids.tolist())
        counters = [[0, 0, 1, caption] if self._fixed else [0, draw, 0, caption] for draw, caption in pairs]
        bits = np.stack(
            [np.random.Philox(key=self._seed, counter=counter).random_raw(count) for counter in counters]
        )
        upper = (bits >> np.uint64(32)).astype(np.int64)
        lower = (bits & np.uint64(2**32 - 1)).astype(np.int64)
        excluded_start = self._excluded_start[caption_ids][:, None]
        excluded_count = self._excluded_count[caption_ids][:, None]
        image = upper * (len(self._caption_start) - excluded_count) >> 32  # uniform without rejection
        image += np.where(image >= excluded_start, excluded_count, 0)
        return self._captions[self._caption_start[image] + (lower * self._caption_count[image] >> 32)]
