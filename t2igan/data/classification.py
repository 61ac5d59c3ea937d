"""Lightning data module of the evaluation classifier: images and classes of a whole store."""

from functools import cached_property

import numpy as np

from t2igan.data.datamodule import CaptionedImagesModule
from t2igan.data.selection import SelectedImages
from t2igan.errors import UserError
from t2igan.ranges import Count, Part, Side, Whole, Workers, check_ranges


class ClassificationData(CaptionedImagesModule):
    """All classes of a store, of both splits, with some images of each held out for validation.

    A classifier that scores generated images must know the test species, like the Inception network with which CUB
    is scored in the literature. In each class every k-th image of the store is held out, k = 1 / ``holdout``.

    Args:
        store: path of the store (``t2igan prepare``).
        image_size: side of the images in the batches.
        batch_size: training images per step and device.
        holdout: share of each class that is held out, between 0 and 1.
        eval_batch_size: images per validation step and device; default: ``batch_size``.
        num_workers: processes that read ahead, per device; None: as :class:`CaptionedImagesModule` has it.
        seed: seed of the order of the images and of every augmentation.
        allow_upsampling: accept a store of a smaller training resolution than ``image_size``.
    """

    def __init__(
        self,
        store: str,
        image_size: Side = 64,
        batch_size: Count = 64,
        holdout: Part = 0.2,
        eval_batch_size: Count | None = None,
        num_workers: Workers | None = None,
        seed: Whole = 0,
        allow_upsampling: bool = False,
    ) -> None:
        super().__init__(
            store,
            image_size,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            sort_by_length=False,
            allow_upsampling=allow_upsampling,
        )
        check_ranges(type(self), {"holdout": holdout}, ClassificationData.__init__)
        self.holdout = holdout

    @cached_property
    def _selections(self) -> dict[str, SelectedImages]:
        splits = [self.store.split(name) for name in ("train", "test")]
        class_ids = np.concatenate([split.class_ids for split in splits])
        held_out = held_out_images(class_ids, self.holdout)
        if not held_out.any():
            raise UserError(f"{self.store_path}: no class is large enough to hold out {self.holdout:g} of it")
        edge = len(splits[0])
        parts = [(splits[0], held_out[:edge]), (splits[1], held_out[edge:])]
        return {
            "train": SelectedImages("train", [(split, np.flatnonzero(~mask)) for split, mask in parts]),
            "test": SelectedImages("held out", [(split, np.flatnonzero(mask)) for split, mask in parts]),
        }

    @property
    def classes(self) -> list[int]:
        """Sorted class ids of the store."""
        return sorted({int(c) for images in self._selections.values() for c in images.class_ids})

    @property
    def train_split(self) -> SelectedImages:
        """The training images."""
        return self._selections["train"]

    @property
    def test_split(self) -> SelectedImages:
        """The held-out images."""
        return self._selections["test"]

    def _images(self, split: str) -> SelectedImages:
        """The images of ``"train"``, or the held-out ones for ``"val"`` and ``"test"``."""
        return self._selections["train" if split == "train" else "test"]


def held_out_images(class_ids: np.ndarray, share: float) -> np.ndarray:
    """Choose the held-out images: evenly spaced in each class, the last of every 1 / share.

    Args:
        class_ids: int64 (N,), class of each image.
        share: held-out share of each class, between 0 and 1.

    Returns:
        bool (N,), True for held-out images.
    """
    order = np.argsort(class_ids, kind="stable")
    _, start, counts = np.unique(class_ids[order], return_index=True, return_counts=True)
    rank = np.empty(len(class_ids), np.int64)
    rank[order] = np.arange(len(class_ids)) - np.repeat(start, counts)
    rounding = 1e-9  # 0.2 * 5 may come out as 0.999...
    return np.floor((rank + 1) * share + rounding) > np.floor(rank * share + rounding)
