"""Lightning data modules that read stores."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import DataLoader

from t2igan.data.batch import CaptionedImages
from t2igan.data.datasets import EvaluationItems, TrainingItems, UncutBatch, resize_images
from t2igan.data.loader import TrainingLoader, loading
from t2igan.data.sampler import EvaluationBatches, TrainingBatches
from t2igan.data.store_module import StoreModule
from t2igan.errors import UserError
from t2igan.lightning_private import overfits, resumable_position
from t2igan.ranges import Count, Side, Whole, Workers, check_ranges


class CaptionedImagesModule(StoreModule):
    """Batches of captioned images from a store.

    Training batches are a pure function of (seed, epoch, batch number): they depend neither on the number of
    workers nor on interruptions, and those of all devices together not on the number of devices. Workers read, the
    device crops and flips. Validation and test batches are pairs of the test split, each image with its first
    caption.

    Args:
        store: path of the store (``t2igan prepare``).
        image_size: side of the images in the batches. Images of a store with a larger training resolution S are
            cropped to S and resized on the device.
        batch_size: training images per step and device.
        words: the most words of a training caption; longer ones are sub-sampled.
        eval_words: the same for evaluation; default: ``words``.
        eval_batch_size: images per evaluation step and device; default: ``batch_size``.
        num_workers: loader processes per device; 0 loads in the main process; None uses two, or fewer if this
            process has too few CPUs.
        seed: seed of the order of the images and of every augmentation.
        sort_by_length: sort each training batch by caption length, as the released scripts do.
        allow_upsampling: accept a store of a smaller training resolution than ``image_size``.
        decode: where training images of a JPEG store are decoded: in the workers, or on the device (by nvJPEG on
            CUDA, which rounds slightly differently).
        captions: which texts are used as captions: the data set's captions, or the narratives, which leaves out
            images without one. Raise ``words`` with narratives: they have forty words on average.
        carry: further parts of a batch beside those that the model requires: ``layouts``, ``narratives``. Images
            without them are left out.
        val_classes: number of training classes held out of the training, so that a checkpoint can be selected on
            them instead of on the test split (``Scores.selection: val-classes``). A hash of the class names decides
            which.
    """

    def __init__(
        self,
        store: str,
        image_size: Side,
        batch_size: Count = 32,
        words: Count = 18,
        eval_words: Count | None = None,
        eval_batch_size: Count | None = None,
        num_workers: Workers | None = None,
        seed: Whole = 0,
        sort_by_length: bool = True,
        allow_upsampling: bool = False,
        decode: Literal["worker", "device"] = "worker",
        val_classes: Whole = 0,
        captions: Literal["captions", "narratives"] = "captions",
        carry: list[Literal["layouts", "narratives"]] | None = None,
    ) -> None:
        check_ranges(type(self), dict(locals()), CaptionedImagesModule.__init__)
        super().__init__(store, image_size, allow_upsampling, val_classes, captions, carry or ())
        self.batch_size, self.words = batch_size, words
        self.eval_words = words if eval_words is None else eval_words
        self.eval_batch_size = eval_batch_size or batch_size
        self.num_workers, self.seed = num_workers, seed
        self.sort_by_length, self.decode = sort_by_length, decode
        # In distributed evaluation a rank may have no image; every image is still scored exactly once.
        self.allow_zero_length_dataloader_with_multiple_devices = True

    def setup(self, stage: str | None = None) -> None:
        """Open the store, so that problems with it are reported first.

        Raises:
            UserError: see :attr:`store`; or the trainer is told to overfit, for which it would replace the sampler.
        """
        if self.trainer is not None and overfits(self.trainer):
            raise UserError("trainer.overfit_batches is not supported; use trainer.limit_train_batches")
        _ = self.train_split

    def train_dataloader(self) -> TrainingLoader:
        """Batches of the training split; resumes at the position of the trainer's checkpoint.

        Raises:
            UserError: there are fewer images than one step needs.
        """
        rank, world_size = self._share()
        images, position = len(self.train_split), resumable_position(self.trainer)
        if images < self.batch_size * world_size:
            raise UserError(
                f"{self.store_path}: {images} training images are fewer than data.batch_size {self.batch_size} on "
                f"{world_size} device(s); make the batch smaller"
            )
        sampler = TrainingBatches(images, self.batch_size, self.seed, rank, world_size, position=position)
        encoded = self.store.encoding == "jpeg" and self.decode == "device"
        items = TrainingItems(
            self.train_split,
            self.store.image_size,
            self.words,
            self.seed,
            self.sort_by_length,
            not encoded,
            rank,
            world_size,
            self.carried,
        )
        return TrainingLoader(items, sampler=sampler, **self._loading())

    def eval_dataset(self, split: str = "test") -> EvaluationItems:
        """All image-caption pairs of a split; ``dataset[[caption_id, ...]]`` is a batch."""
        images = self._images(split)
        return EvaluationItems(images, self.store.image_size, self.eval_words, self.seed, self.carried)

    def eval_dataloader(
        self, split: str = "test", caption_ids: Sequence[int] | None = None, batch_size: int | None = None
    ) -> DataLoader:
        """This rank's share of image-caption pairs of a split, in the order of ``caption_ids``.

        Outside of a trainer the batches are those of the store; :meth:`on_after_batch_transfer` brings them to
        ``image_size``.

        Args:
            split: ``"train"``, ``"val"`` (:attr:`val_split`) or ``"test"``.
            caption_ids: default: the first caption of each image.
            batch_size: default: ``eval_batch_size``.
        """
        items = self.eval_dataset(split)
        captions = self.first_captions(split) if caption_ids is None else caption_ids
        sampler = EvaluationBatches(captions, batch_size or self.eval_batch_size, *self._share())
        return DataLoader(items, sampler=sampler, **self._loading())

    def first_captions(self, split: str = "test") -> list[int]:
        """The first caption of each image of a split."""
        images = self._images(split)
        return [images.captions_of(image).start for image in range(len(images))]

    def val_dataloader(self) -> DataLoader:
        """:attr:`val_split`, each image with its first caption, in a fixed order that mixes the classes.

        Stores keep classes together, and losses over a batch of one class would mean little.
        """
        return self._in_mixed_order("val")

    def test_dataloader(self) -> DataLoader:
        """The test images, in the same order as :meth:`val_dataloader`."""
        return self._in_mixed_order("test")

    def predict_dataloader(self) -> DataLoader:
        """The test images, each with its first caption, in the order of the store."""
        return self.eval_dataloader("test")

    def _in_mixed_order(self, split: str) -> DataLoader:
        captions = np.random.default_rng(self.seed).permutation(self.first_captions(split))
        return self.eval_dataloader(split, captions.tolist())

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Copy a batch to the device while the device still works on the previous one."""
        if isinstance(batch, (UncutBatch, CaptionedImages)):
            return batch.to(device, non_blocking=device.type == "cuda")
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Crop, flip and resize images and layouts to ``image_size``, on the device."""
        if isinstance(batch, UncutBatch):
            batch = batch.cut()
        if not isinstance(batch, CaptionedImages):
            return batch
        layouts = batch.layouts and batch.layouts.resized(self.image_size)
        return replace(batch, images=resize_images(batch.images, self.image_size), layouts=layouts)

    def _share(self) -> tuple[int, int]:
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)

    def _loading(self) -> dict[str, Any]:
        devices = 1 if self.trainer is None else self.trainer.num_devices
        return loading(devices, self.num_workers)


class CUB(CaptionedImagesModule):
    """Caltech-UCSD Birds 200-2011.

    Args:
        store: HDF5 file of `t2igan prepare`.
        image_size: side of the images in the batches.
        **options: see :class:`CaptionedImagesModule`.
    """

    expected_name = "cub"

    def __init__(self, store: str = "datasets/cub/cub-256.h5", image_size: Side = 256, **options: Any) -> None:
        super().__init__(store, image_size, **options)


class DrawnBirds(CaptionedImagesModule):
    """The synthetic birds that the suite draws itself.

    Args:
        store: HDF5 file of `t2igan prepare`.
        image_size: side of the images in the batches.
        **options: see :class:`CaptionedImagesModule`.
    """

    expected_name = "drawn-birds"

    def __init__(
        self, store: str = "datasets/drawn-birds/drawn-birds-64.h5", image_size: Side = 64, **options: Any
    ) -> None:
        super().__init__(store, image_size, **options)


class Scenes(CaptionedImagesModule):
    """The synthetic scenes that the suite draws itself, with layouts and narratives.

    Args:
        store: HDF5 file of `t2igan prepare`.
        image_size: side of the images in the batches.
        **options: see :class:`CaptionedImagesModule`.
    """

    expected_name = "scenes"

    def __init__(self, store: str = "datasets/scenes/scenes-64.h5", image_size: Side = 64, **options: Any) -> None:
        super().__init__(store, image_size, **options)


class COCO(CaptionedImagesModule):
    """MS-COCO captions, of 2014 or 2017.

    Args:
        store: HDF5 file of `t2igan prepare`.
        image_size: side of the images in the batches.
        words: the most words of a training caption; the default is AttnGAN's for COCO.
        eval_words: the same for evaluation.
        **options: see :class:`CaptionedImagesModule`.
    """

    expected_name = "coco"

    def __init__(
        self,
        store: str = "datasets/coco/coco-256.h5",
        image_size: Side = 256,
        words: Count = 12,
        eval_words: Count | None = 20,
        **options: Any,
    ) -> None:
        super().__init__(store, image_size, words=words, eval_words=eval_words, **options)


class Folder(CaptionedImagesModule):
    """Your own images and captions (``t2igan prepare folder``).

    Args:
        store: HDF5 file of `t2igan prepare`.
        image_size: side of the images in the batches.
        **options: see :class:`CaptionedImagesModule`.
    """

    expected_name = "folder"

    def __init__(self, store: str, image_size: Side = 256, **options: Any) -> None:
        super().__init__(store, image_size, **options)
