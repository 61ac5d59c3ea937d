"""Pictures of a training in progress."""

from pathlib import Path
from typing import Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from t2igan.nn.images import to_uint8
from t2igan.nn.noise import caption_noise
from t2igan.plotting.grids import rows_grid
from t2igan.plotting.overlays import mask_overlay


class Drawing(Protocol):
    """What a module's ``synthesise`` returns."""

    images: list[torch.Tensor]
    masks: list[torch.Tensor]


class SampleGrid(Callback):
    """Every so often, draws the same captions from the same noise with averaged weights.

    Writes ``samples/step_<n>.png`` into the run's folder and logs the picture to TensorBoard and wandb. The
    captions are the first of test images spread evenly over the split; real pictures stand below. Modules that draw
    nothing are left alone.

    Args:
        every_n_steps: steps between two pictures; one more is made at the end.
        captions: how many.
        seed: of the noise.
    """

    def __init__(self, every_n_steps: int = 500, captions: int = 8, seed: int = 0) -> None:
        self.every_n_steps = every_n_steps
        self.captions = captions
        self.seed = seed

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        """Draw when it is time."""
        if trainer.global_step % self.every_n_steps == 0:
            self._draw(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw once more."""
        if trainer.global_step % self.every_n_steps != 0:
            self._draw(trainer, pl_module)

    @rank_zero_only
    def _draw(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not hasattr(pl_module, "synthesise") or trainer.sanity_checking:
            return
        data = trainer.datamodule
        split = data.test_split
        images = [round(k * (len(split) - 1) / max(self.captions - 1, 1)) for k in range(self.captions)]
        ids = [split.captions_of(image)[0] for image in images]
        batch = data.eval_dataset("test")[ids].to(pl_module.device)
        noise = caption_noise(batch.caption_ids, pl_module.generator.random_dim, self.seed).to(pl_module.device)
        with torch.no_grad():
            drawn = pl_module.synthesise(noise, batch.captions, batch.lengths)
        real = data.on_after_batch_transfer(batch, 0).images.cpu()
        picture = self._picture(real, drawn, [split.caption_text(caption) for caption in ids])
        folder = Path(trainer.default_root_dir) / "samples"
        folder.mkdir(parents=True, exist_ok=True)
        picture.save(folder / f"step_{trainer.global_step:06d}.png")
        self._log(trainer, picture)

    @staticmethod
    def _picture(real: torch.Tensor, drawn: Drawing, captions: list[str]) -> Image.Image:
        images = to_uint8(drawn.images[-1]).cpu()
        rows = [("drawn", images), ("real", real)]
        if drawn.masks:
            masks = drawn.masks[-1].float().cpu()
            rows.append(("mask", torch.stack([mask_overlay(image, mask) for image, mask in zip(images, masks)])))
        return rows_grid(rows, captions)

    @staticmethod
    def _log(trainer: pl.Trainer, picture: Image.Image) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("samples", np.asarray(picture), trainer.global_step, dataformats="HWC")
            if isinstance(logger, WandbLogger):
                logger.log_image("samples", [picture], step=trainer.global_step)
