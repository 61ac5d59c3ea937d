"""Grids of generated images while a training runs."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from t2igan.callbacks.guards import warn_of_equal_images
from t2igan.layout.layout import Layouts
from t2igan.lightning_private import datamodule_of
from t2igan.models.gan_step import warn_of_range
from t2igan.nn.images import to_uint8
from t2igan.nn.noise import caption_noise
from t2igan.plotting.grids import rows_grid, save_png, to_pil
from t2igan.plotting.layouts import coloured
from t2igan.plotting.overlays import attention_overlay, mask_overlay
from t2igan.plotting.sample_file import SUFFIX, SampleImages, write_samples
from t2igan.ranges import Count, Whole, check_ranges

MOST_ATTENTION = 4

Shown = dict[str, list[Image.Image]]
"""Kind of image -> images, of the first captions or of all."""


class Synthesised(Protocol):
    """Protocol of the result of a module's ``synthesise``."""

    images: list[torch.Tensor]
    attention: list[torch.Tensor]
    masks: list[torch.Tensor]


class SampleGrid(Callback):
    """Generates images of the same captions from the same noise at intervals, with the averaged weights.

    Writes ``samples/step_<n>.png`` into the run's folder, with the bare images beside it (``.npz``), and logs the
    image to TensorBoard and wandb, and the attention maps of the words, if the generator has them. wandb gets each
    image with its caption too, and under its mask. The captions are the first of test images spread evenly over the
    split; real images are below them, and layouts above if the model is conditioned on them. Modules that generate
    no images are ignored.

    Args:
        every_n_steps: steps between two images; one more is made at the end.
        captions: number of captions, at most the number of test images.
        seed: seed of the noise.
    """

    def __init__(self, every_n_steps: Count = 500, captions: Count = 8, seed: Whole = 0) -> None:
        check_ranges(type(self), dict(locals()), SampleGrid.__init__)
        self.every_n_steps = every_n_steps
        self.captions = captions
        self.seed = seed

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write a grid every ``every_n_steps`` steps."""
        if trainer.global_step % self.every_n_steps == 0:
            self._draw(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the last grid."""
        if trainer.global_step % self.every_n_steps != 0:
            self._draw(trainer, pl_module)

    @rank_zero_only
    def _draw(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if not hasattr(pl_module, "synthesise") or trainer.sanity_checking:
            return
        data = datamodule_of(trainer)
        split = data.test_split
        captions = min(self.captions, len(split))
        images = [round(k * (len(split) - 1) / max(captions - 1, 1)) for k in range(captions)]
        ids = [split.captions_of(image)[0] for image in images]
        batch = data.eval_dataset("test")[ids].to(pl_module.device)
        noise = caption_noise(batch.caption_ids, pl_module.generator.random_dim, self.seed).to(pl_module.device)
        shaped = data.on_after_batch_transfer(batch, 0)
        with torch.no_grad():
            generated = pl_module.synthesise(noise, batch.captions, batch.lengths, layouts=shaped.layouts)
        real = shaped.images.cpu()
        captions = [split.caption_text(caption) for caption in ids]
        words = [data.vocabulary.decode(row) for row in batch.captions.tolist()]
        images = to_uint8(generated.images[-1]).cpu()
        warn_of_equal_images(images, real, trainer.global_step)
        warn_of_range(generated.images[-1], pl_module.generator, trainer.global_step)
        shown = self._shown(images, generated, words)
        sheet = self._sheet(images, real, generated, captions, shaped.layouts)
        path = Path(trainer.default_root_dir) / "samples" / f"step_{trainer.global_step:06d}.png"
        save_png(sheet, path)
        write_samples(path.with_suffix(SUFFIX), SampleImages(tuple(captions), images, real))
        self._log(trainer, sheet, shown, captions)

    @staticmethod
    def _sheet(
        images: torch.Tensor,
        real: torch.Tensor,
        generated: Synthesised,
        captions: list[str],
        layouts: Layouts | None,
    ) -> Image.Image:
        rows = [("generated", images), ("real", real)]
        if layouts is not None:
            rows.insert(0, ("layout", torch.stack([coloured(each) for each in layouts.labels.cpu().numpy()])))
        if generated.masks:
            rows.append(("mask", torch.stack(_under_masks(images, generated))))
        return rows_grid(rows, captions)

    @staticmethod
    def _shown(images: torch.Tensor, generated: Synthesised, words: list[list[str]]) -> Shown:
        shown = {"images": [to_pil(image) for image in images]}
        if generated.masks:
            shown["masks"] = [to_pil(image) for image in _under_masks(images, generated)]
        if generated.attention:
            looked = zip(images[:MOST_ATTENTION], generated.attention[-1].cpu(), words)
            shown["attention"] = [attention_overlay(image, maps, own) for image, maps, own in looked]
        return shown

    @staticmethod
    def _log(trainer: pl.Trainer, sheet: Image.Image, shown: Shown, captions: list[str]) -> None:
        step = trainer.global_step
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("samples", np.asarray(sheet), step, dataformats="HWC")
                for number, image in enumerate(shown.get("attention", [])):
                    name = f"attention/{number}"
                    logger.experiment.add_image(name, np.asarray(image), step, dataformats="HWC")
            if isinstance(logger, WandbLogger):
                logger.log_image("samples", [sheet], step=step)
                for kind, images in shown.items():
                    logger.log_image(kind, images, step=step, caption=captions[: len(images)])


def _under_masks(images: torch.Tensor, generated: Synthesised) -> list[torch.Tensor]:
    """Images, uint8 (3, H, W) each, with their finest masks laid over them."""
    return [mask_overlay(image, mask) for image, mask in zip(images, generated.masks[-1].float().cpu())]
