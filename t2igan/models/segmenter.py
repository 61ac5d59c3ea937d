"""Semantic segmenters, which measure whether an image follows a layout.

A small one is trained by ``t2igan fit`` on a data set's own layouts; for COCO a segmenter of ``transformers`` is
loaded from a local folder.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2igan.data.batch import CaptionedImages
from t2igan.data.datasets import resize_images
from t2igan.errors import UserError
from t2igan.layout.labels import COCO_STUFF, VOID
from t2igan.layout.layout import required, resize_maps
from t2igan.metrics.weights import file_sha256
from t2igan.models.suite_module import SuiteModule, content_sha256, load_module
from t2igan.nn.images import to_signed
from t2igan.nn.randomness import Purpose
from t2igan.optional import library, reading
from t2igan.ranges import Count, Rate, Share, Side, Whole

WEIGHTS = "model.safetensors"


class SmallUNet(nn.Module):
    """Small U-Net with three levels: images (B, 3, S, S) -> logits (B, labels, S, S)."""

    def __init__(self, channels: int, labels: int) -> None:
        super().__init__()
        widths = [channels, 2 * channels, 3 * channels, 4 * channels]
        self.first = _block(3, channels)
        self.down = nn.ModuleList(_block(width, out) for width, out in pairwise(widths))
        self.up = nn.ModuleList(_block(width + out, out) for width, out in pairwise(widths[::-1]))
        self.head = nn.Conv2d(channels, labels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """The logits."""
        features = [self.first(images)]
        for block in self.down:
            features.append(block(F.max_pool2d(features[-1], 2)))
        found = features.pop()
        for block in self.up:
            beside = features.pop()
            found = block(torch.cat([F.interpolate(found, scale_factor=2.0), beside], dim=1))
        return self.head(found)


def _block(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
        nn.Conv2d(out, out, 3, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


class Segmenter(SuiteModule):
    """Trains a small U-Net with pixel-wise cross-entropy; unlabelled pixels are ignored.

    Args:
        image_size: side to which images are resized, a multiple of 8.
        channels: base width.
        lr: highest learning rate of AdamW; it falls to zero along a cosine.
        recoloured: share of the training images whose colour channels are permuted, so that things are recognised
            in colours unseen in training.
        seed: seed of the permutations.
    """

    requires = frozenset({"layouts"})
    of_each_device = "the loss is a mean over each device's labelled pixels, of which not all have equally many"

    def __init__(
        self,
        image_size: Side = 64,
        channels: Count = 16,
        lr: Rate = 3e-3,
        recoloured: Share = 0.5,
        seed: Whole = 0,
    ) -> None:
        super().__init__()
        self.image_size, self.lr, self.recoloured, self.seed = image_size, lr, recoloured, seed
        self.network = SmallUNet(channels, len(COCO_STUFF))
        self.sha256 = ""

    def _logits(self, images: Tensor) -> Tensor:
        return self.network(to_signed(resize_images(images, self.image_size)))

    @torch.no_grad()
    def label_maps(self, images: Tensor) -> Tensor:
        """uint8 (B, H, H), the likeliest label of each pixel of square images, uint8 (B, 3, H, H)."""
        return resize_maps(self._logits(images).argmax(1).to(torch.uint8), images.shape[-1])

    def training_step(self, batch: CaptionedImages, batch_idx: int) -> Tensor:
        """Cross-entropy of a batch's pixels."""
        labels = resize_maps(required(batch.layouts).labels, self.image_size).long()
        drawn = self.step_random(len(batch)).uniform(len(batch), 4, Purpose.RECOLOURING)
        order = torch.where(drawn[:, :1] < self.recoloured, drawn[:, 1:].argsort(1), torch.arange(3))
        order = order.to(batch.images.device, non_blocking=True)
        images = batch.images.gather(1, order[:, :, None, None].expand_as(batch.images))
        loss = F.cross_entropy(self._logits(images), labels, ignore_index=VOID)
        self.log_step({"train/loss": loss}, len(batch))
        return loss

    def validation_step(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Log pixel accuracy over labelled pixels, and mean IoU over the batch's labels."""
        gold, found = required(batch.layouts).labels, self.label_maps(batch.images)
        there = gold != VOID
        values = [
            ((found == label) & (gold == label)).sum() / (((found == label) | (gold == label)) & there).sum()
            for label in gold[there].unique()
        ]
        accuracy = (found == gold)[there].float().mean()
        scores = {"val/pixel_accuracy": accuracy, "val/miou": torch.stack(values).mean()}
        self.log_dict(scores, prog_bar=True, batch_size=len(batch), sync_dist=True)

    def on_train_batch_start(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Set the learning rate of the step."""
        super().on_train_batch_start(batch, batch_idx)
        done = torch.tensor(self.global_step / max(1, self.training_steps))
        self.set_rate(self.lr * (0.5 + 0.5 * torch.cos(torch.pi * done.clamp(max=1))).item())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW.

        Raises:
            UserError: the trainer has no limit of steps or epochs.
        """
        self.require_an_end("the segmenter's learning rate")
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


class TransformersSegmenter(nn.Module):
    """A semantic segmenter of ``transformers`` with COCO-Stuff's label names; never downloads.

    Args:
        folder: folder with config.json, preprocessor_config.json and ``model.safetensors``.

    Raises:
        UserError: the folder is missing, or the segmenter has no label of COCO-Stuff.
    """

    table: Tensor

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        folder = Path(folder)
        if not (folder / WEIGHTS).is_file():
            raise UserError(
                f"{folder}: no segmenter here; put config.json, preprocessor_config.json, {WEIGHTS} there"
            )
        transformers = library("transformers", "segmenters of transformers", "transformers")
        with reading(folder, "segmenter"):
            model = transformers.AutoModelForSemanticSegmentation
            self._model: Any = model.from_pretrained(folder, local_files_only=True)
            self._processor: Any = transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        names = {int(number): name.replace(" ", "-") for number, name in self._model.config.id2label.items()}
        table = torch.full((max(names) + 1,), VOID, dtype=torch.uint8)
        for number, name in names.items():
            if name in COCO_STUFF:
                table[number] = COCO_STUFF.value(name)
        if (table == VOID).all():
            raise UserError(
                f"{folder}: none of its labels ({', '.join(list(names.values())[:4])}) is a label of COCO-Stuff"
            )
        self.register_buffer("table", table)
        self.sha256 = file_sha256(folder / WEIGHTS)
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def label_maps(self, images: Tensor) -> Tensor:
        """Predicted labels, uint8 (B, H, W), 255 for classes that COCO-Stuff lacks."""
        pixels = self._processor(images=list(images.cpu()), return_tensors="pt").pixel_values
        logits = self._model(pixel_values=pixels.to(self.table.device)).logits
        whole = F.interpolate(logits, images.shape[-2:], mode="bilinear", align_corners=False)
        return self.table[whole.argmax(1)]


def load_segmenter(path: str | Path) -> Segmenter | TransformersSegmenter:
    """Load a segmenter from a folder of ``transformers`` or the checkpoint of a :class:`Segmenter`.

    Raises:
        UserError: the path does not exist, or holds something else.
    """
    if Path(path).is_dir():
        return TransformersSegmenter(path)
    module = load_module(path)
    if not isinstance(module, Segmenter):
        raise UserError(f"--segmenter: {path} holds {type(module).__name__}, not a Segmenter")
    module.sha256 = content_sha256(module)
    return module
