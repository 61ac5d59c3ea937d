"""DAMSM: the deep attentional multimodal similarity model (AttnGAN, Xu et al., CVPR 2018, sec. 3.2).

Trains a text encoder and an image encoder to match words with image regions and sentences with whole images. All
text-to-image GANs of the suite use its text encoder.
"""

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import inception_v3

from t2igan.data.batch import CaptionedImages
from t2igan.errors import UserError
from t2igan.lightning_private import has_trainer
from t2igan.losses.matching import Gammas, damsm_loss, sentence_logits
from t2igan.models.frozen_trunk import BatchNormMode, FrozenTrunk
from t2igan.models.suite_module import SuiteModule, read_checkpoint
from t2igan.nn.config import Configured
from t2igan.nn.images import resize, to_signed
from t2igan.nn.levers import lay_out, pull
from t2igan.ranges import Count, Decay, Positive, Rate, Share, Side
from t2igan.text import TextEncoder


class ImageEncoder(Configured, nn.Module):
    """Images (B, 3, S, S) in [-1, 1] -> regions (B, D, h, w) and code (B, D).

    Attributes:
        dim: width D of both.
        INPUT_SIZE: side to which images are resized, if it is fixed.
        faster_channels_last: whether the channels-last memory layout is faster on a CPU.
    """

    INPUT_SIZE: ClassVar[int]
    faster_channels_last: ClassVar[bool] = False
    dim: int

    def load_pretrained(self) -> None:
        """Load pre-trained weights before training, if the encoder has any."""

    def trainable(self) -> list[nn.Parameter]:
        """The parameters that pre-training trains."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


class InceptionImageEncoder(FrozenTrunk, ImageEncoder):
    """Inception-v3 with a frozen trunk: regions from its 17x17 map (768), the code from its last pooling (2048).

    Args:
        dim: width of regions and code.
        weights: ``imagenet`` (torchvision's, from ``checkpoints/`` or downloaded), ``random``, or a file.
        align_corners: alignment of corners in the resize to 299 pixels. False in SSA-GAN and DF-GAN, True in DM-GAN
            and in AttnGAN and MirrorGAN as they were run.
        bn_mode: ``train``: the trunk's batch statistics are those of the batch while pre-training, and its
            running statistics drift, as in the released code; ``eval``: they stay ImageNet's.
    """

    INPUT_SIZE = 299
    faster_channels_last = True
    STEM = (
        *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1"),
        *("Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2"),
        *("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    )
    TOP = ("Mixed_7a", "Mixed_7b", "Mixed_7c")
    TRUNK, PUBLISHED, UNUSED, PURPOSE = "Inception", "inception-torchvision", ("AuxLogits.", "fc."), "scores"

    def __init__(
        self,
        dim: Count = 256,
        weights: str = "imagenet",
        align_corners: bool = False,
        bn_mode: BatchNormMode = "train",
    ) -> None:
        super().__init__()
        self.dim = dim
        self.align_corners = align_corners
        trunk = inception_v3(weights=None, init_weights=False, transform_input=False, aux_logits=False)
        self.set_trunk(trunk, weights, bn_mode)
        self.emb_features = nn.Conv2d(768, dim, 1, bias=False)
        self.emb_cnn_code = nn.Linear(2048, dim)
        nn.init.uniform_(self.emb_features.weight, -0.1, 0.1)
        nn.init.uniform_(self.emb_cnn_code.weight, -0.1, 0.1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Regions (B, D, 17, 17) and code (B, D)."""
        size = (self.INPUT_SIZE, self.INPUT_SIZE)
        features = F.interpolate(images, size=size, mode="bilinear", align_corners=self.align_corners)
        for name in self.STEM:
            features = getattr(self.trunk, name)(features)
        regions = self.emb_features(features)
        for name in self.TOP:
            features = getattr(self.trunk, name)(features)
        return regions, self.emb_cnn_code(features.mean(dim=(2, 3)))


class SmallImageEncoder(ImageEncoder):
    """A small convolutional encoder for 64-pixel images, trained from scratch; larger images are resized first.

    Args:
        dim: width of regions and code.
        channels: base width.
        image_size: side to which images are resized; the region map has a side of ``image_size / 8``.
    """

    def __init__(self, dim: Count = 256, channels: Count = 32, image_size: Side = 64) -> None:
        super().__init__()
        if image_size < 16:
            raise UserError(f"SmallImageEncoder: image_size is {image_size}, but must be at least 16")
        self.dim = dim
        self.image_size = image_size
        self.local = nn.Sequential(
            _halve(3, channels), _halve(channels, 2 * channels), _halve(2 * channels, 4 * channels)
        )
        self.whole = _halve(4 * channels, 8 * channels)
        self.emb_features = nn.Conv2d(4 * channels, dim, 1, bias=False)
        self.emb_cnn_code = nn.Linear(8 * channels, dim)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Regions (B, D, S / 8, S / 8) and code (B, D)."""
        features = self.local(resize(images, self.image_size))
        return self.emb_features(features), self.emb_cnn_code(self.whole(features).mean(dim=(2, 3)))


def _halve(channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.2),
    )


class DAMSM(SuiteModule):
    """Pre-training of both encoders (AttnGAN, sec. 4; released ``pretrain_DAMSM.py``).

    Adam with a rate that falls by ``lr_decay`` per epoch down to ``lr_floor``; the text encoder's gradient is
    clipped at ``clip``. The released code makes a new Adam every epoch; ``persistent_adam`` keeps one.

    Args:
        image_encoder: the image encoder, whose width is also the text encoder's.
        vocabulary_size: number of words; None takes the data set's.
        gammas: smoothing factors of the loss (AttnGAN's yml: 4, 5, 10; its paper: 5, 5, 10).
        class_masking: exclude pairs of the same class from the loss.
        lr: first learning rate.
        lr_decay: factor after each epoch.
        lr_floor: the rate falls no further once it is below this.
        clip: largest norm of the text encoder's gradient.
        persistent_adam: keep Adam's state over epochs.
        dropout: dropout rate of the word embedding.

    Attributes:
        text_encoder: the text encoder, built by :meth:`configure_model`.
    """

    text_encoder: TextEncoder

    def __init__(
        self,
        image_encoder: ImageEncoder,
        vocabulary_size: Count | None = None,
        gammas: Gammas = Gammas(),  # noqa: B008 (frozen)
        class_masking: bool = True,
        lr: Rate = 2e-3,
        lr_decay: Share = 0.98,
        lr_floor: Rate = 2e-4,
        clip: Positive = 0.25,
        persistent_adam: bool = False,
        dropout: Decay = 0.5,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.vocabulary_size = vocabulary_size
        self.gammas = gammas
        self.class_masking = class_masking
        self.lr, self.lr_decay, self.lr_floor = lr, lr_decay, lr_floor
        self.clip = clip
        self.persistent_adam = persistent_adam
        self.dropout = dropout

    def configure_model(self) -> None:
        """Build the text encoder once the vocabulary is known, and fetch pre-trained weights before training."""
        if hasattr(self, "text_encoder"):
            return
        size = self.vocabulary_size or len(self.vocabulary)
        self.remember(vocabulary_size=size)
        make = partial(TextEncoder, size, self.image_encoder.dim, dropout=self.dropout)
        self.require_memory(make, f"model.init_args.image_encoder: dim {self.image_encoder.dim}")
        self.text_encoder = make()
        if has_trainer(self) and self.trainer.training and self.trainer.ckpt_path is None:
            self.image_encoder.load_pretrained()
        pull(self, self.levers)
        lay_out(self, self.levers)

    def training_step(self, batch: CaptionedImages, batch_idx: int) -> Tensor:
        """One step of pre-training; the batch is that of all devices."""
        regions, codes = self.image_encoder(to_signed(batch.images))
        text = self.text_encoder(batch.captions, batch.lengths, self.step_random(len(batch)))
        class_ids = batch.class_ids if self.class_masking else None
        loss = damsm_loss(regions, codes, text, class_ids, self.gammas, everywhere=True).total
        self.log_step({"train/loss": loss}, len(batch))
        return loss

    def validation_step(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Log the loss, and the share of images whose own caption ranks first within the batch."""
        regions, codes = self.image_encoder(to_signed(batch.images))
        text = self.text_encoder(batch.captions, batch.lengths)
        class_ids = batch.class_ids if self.class_masking else None
        loss = damsm_loss(regions, codes, text, class_ids, self.gammas).total
        ranks = sentence_logits(codes, text.sentence, self.gammas).argmax(dim=1)
        found = (ranks == torch.arange(len(batch), device=ranks.device)).float().mean()
        self.log("val/loss", loss, prog_bar=True, batch_size=len(batch), sync_dist=True)
        self.log("val/top1_of_batch", found, prog_bar=True, batch_size=len(batch), sync_dist=True)

    def on_train_batch_start(self, batch: CaptionedImages, batch_idx: int) -> None:
        """At the first batch of an epoch, set the rate, and reset Adam unless it is persistent."""
        super().on_train_batch_start(batch, batch_idx)
        if batch_idx > 0:
            return
        if not self.persistent_adam:
            self.every_optimizer()[0].optimizer.state.clear()
        self.set_rate(self.rate(self.current_epoch))

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        rate = self.lr
        for _ in range(epoch):
            if rate <= self.lr_floor:
                break
            rate *= self.lr_decay
        return rate

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, *_: Any, **__: Any) -> None:
        """Clip only the text encoder's gradient, as in the released code."""
        nn.utils.clip_grad_norm_(self.text_encoder.parameters(), self.clip)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam over the text encoder and the trainable part of the image encoder."""
        parameters = [*self.text_encoder.parameters(), *self.image_encoder.trainable()]
        return torch.optim.Adam(parameters, lr=self.lr, betas=(0.5, 0.999), fused=self.fused_adam(clips=True))


def sentence_dim_of(path: str | Path) -> int:
    """Width D of the sentence and word vectors of the DAMSM in a checkpoint.

    Raises:
        UserError: the file is missing, damaged, or holds no DAMSM.
    """
    weights = read_checkpoint(path)["state_dict"].get("image_encoder.emb_features.weight")
    if weights is None:
        raise UserError(f"{path} holds no DAMSM: give the checkpoint of a damsm.yaml")
    return weights.shape[0]
