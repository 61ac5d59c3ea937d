"""MirrorGAN: learning text-to-image generation by redescription (Qiao et al., CVPR 2019).

Three parts: STEM embeds the caption (:class:`t2igan.text.TextEncoder`); GLAM, in the cascaded generator of this
file, attends to its words and to the sentence as a whole; STREAM (:mod:`t2igan.models.stream`) tells what an image
shows, and of a generated image that should be its caption (:mod:`t2igan.models.redescription`).
"""

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from t2igan.data.batch import CaptionedImages
from t2igan.errors import UserError
from t2igan.losses.adversarial import BCE, Objective
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.attngan import attngan_discriminators
from t2igan.models.cascade import CascadedGenerator, matching_losses
from t2igan.models.generator_losses import GeneratorLoss
from t2igan.models.redescription import RedescriptionLoss
from t2igan.models.synthesis import Discriminator, Generator
from t2igan.nn.attention import WordAttention
from t2igan.nn.gated import ResidualBlock, up_block
from t2igan.ranges import Count, Weight, Whole
from t2igan.text import TextEmbedding

SoftmaxOver = Literal["channels", "spatial"]


class SentenceAttention(nn.Module):
    """Which features speak of the sentence as a whole (Att^s, sec. 3.2).

    Args:
        channels: width C of the features.
        condition_dim: width of the conditioning augmentation.
        softmax: over what the attention sums to 1. The paper does not say; ``channels`` at each place, as released,
            or ``spatial``: over the places, for each channel.
    """

    def __init__(self, channels: int, condition_dim: int, softmax: SoftmaxOver = "channels") -> None:
        super().__init__()
        self.softmax = softmax
        self.project = nn.Linear(condition_dim, channels)
        self.score = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, features: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """``features`` (B, C, h, w), ``condition`` (B, E) -> context and attention, (B, C, h, w) each."""
        projected = self.project(condition)[:, :, None, None]
        scores = self.score(projected * features)
        if self.softmax == "channels":
            attention = scores.softmax(dim=1)
        else:
            attention = scores.flatten(2).softmax(dim=2).view_as(scores)
        return projected * attention, attention


class GLAM(nn.Module):
    """Global-local collaborative attention: what the features read from words and from the sentence (sec. 3.2).

    Args:
        channels: width C of the features.
        word_dim: width D of the words.
        condition_dim: width of the conditioning augmentation.
        legacy_mask: the mask over words as released; see :func:`t2igan.nn.attention.attend`.
        sentence_softmax: see :class:`SentenceAttention`.
    """

    def __init__(
        self,
        channels: Count,
        word_dim: int,
        condition_dim: int,
        legacy_mask: bool = False,
        sentence_softmax: SoftmaxOver = "channels",
    ) -> None:
        super().__init__()
        self.words = WordAttention(channels, word_dim, legacy_mask)
        self.sentence = SentenceAttention(channels, condition_dim, sentence_softmax)

    def forward(self, features: Tensor, text: TextEmbedding, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Contexts of words and of the sentence, (B, C, h, w) each; attention to words (B, T, h, w)."""
        words, attention = self.words(features, text.words, text.padding)
        sentence, _ = self.sentence(features, condition)
        return words, sentence, attention


class GLAMStage(nn.Module):
    """F_i (sec. 3.2): features and what GLAM reads for them -> features of twice the side.

    Args:
        channels: width C of the features, on either side.
        word_dim: width D of the words.
        condition_dim: width of the conditioning augmentation.
        residual_blocks: number of them, at width 2C.
        legacy_mask: see :class:`GLAM`.
        sentence_softmax: see :class:`SentenceAttention`.
    """

    def __init__(
        self,
        channels: Count,
        word_dim: int,
        condition_dim: int,
        residual_blocks: int,
        legacy_mask: bool,
        sentence_softmax: SoftmaxOver,
    ) -> None:
        super().__init__()
        self.attention = GLAM(channels, word_dim, condition_dim, legacy_mask, sentence_softmax)
        # Not in the paper: the released code brings the three maps to the width of AttnGAN's two.
        self.fuse = nn.Conv2d(3 * channels, 2 * channels, 1, bias=False)
        self.residual = nn.Sequential(*(ResidualBlock(2 * channels) for _ in range(residual_blocks)))
        self.upsample = up_block(2 * channels, channels)

    def forward(self, features: Tensor, text: TextEmbedding, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, C, s, s) -> features (B, C, 2s, 2s) and attention to words (B, T, s, s)."""
        words, sentence, attention = self.attention(features, text, condition)
        fused = self.fuse(torch.cat([features, words, sentence], dim=1))
        return self.upsample(self.residual(fused)), attention


class MirrorGANGenerator(CascadedGenerator):
    """GLAM in a cascade (sec. 3.2).

    Args:
        image_size: side of the finest image.
        stages: number of images, the coarsest of them ``image_size / 2 ** (stages - 1)`` wide.
        channels: width of the features (``GF_DIM``: 32 for CUB).
        residual_blocks: per stage (``R_NUM``: 2 for CUB).
        noise_dim: width Z of the noise.
        sentence_dim: width D of sentence and words.
        eps_dim: width C of the conditioning augmentation.
        legacy_mask: the attention mask as released; see :func:`t2igan.nn.attention.attend`.
        sentence_softmax: what the attention to the sentence sums to 1 over; see :class:`SentenceAttention`.
    """

    def __init__(
        self,
        image_size: Count = 256,
        stages: Count = 3,
        channels: Count = 32,
        residual_blocks: int = 2,
        noise_dim: Count = 100,
        sentence_dim: Count = 256,
        eps_dim: Whole = 100,
        legacy_mask: bool = False,
        sentence_softmax: SoftmaxOver = "channels",
    ) -> None:
        refinement = partial(
            GLAMStage, channels, sentence_dim, eps_dim, residual_blocks, legacy_mask, sentence_softmax
        )
        super().__init__(refinement, image_size, stages, channels, noise_dim, sentence_dim, eps_dim)


class MirrorGAN(AdversarialModule):
    """MirrorGAN's training: cross-entropy at every scale, redescription of the finest image, divergence of F_ca.

    Args:
        damsm: checkpoint of the DAMSM whose text encoder is STEM; in validation it scores what is generated.
        captioner: checkpoint of a STREAM trained on the same vocabulary. With ``redescription_weight`` 0 it only
            measures, and may be left out.
        image_size: side of the finest image.
        channels: width of the generator (32 for CUB).
        discriminator_channels: base width of the discriminators (64 for CUB).
        residual_blocks: per stage (2 for CUB).
        legacy_mask: the attention mask as released.
        sentence_softmax: what the attention to the sentence sums to 1 over; see :class:`SentenceAttention`.
        sentence_dim: width of the text encoder's vectors; `t2igan fit` takes the DAMSM's.
        generator: any other generator.
        discriminators: any other discriminators; None makes one per image of the generator.
        objective: any other objective; None is cross-entropy.
        generator_losses: None makes them of what follows.
        redescription_weight: lambda (10 released, 20 in the paper).
        redescription_reduction: of the loss of single words; see :class:`RedescriptionLoss`.
        damsm_weight: of AttnGAN's DAMSM loss, which MirrorGAN does without.
        kl_weight: of the divergence.
        kwargs: as of :class:`AdversarialModule`.
    """

    VOID = (
        (
            ("generator",),
            ("image_size", "channels", "residual_blocks", "legacy_mask", "sentence_softmax", "sentence_dim"),
        ),
        (("discriminators",), ("discriminator_channels",)),
        (
            ("generator_losses",),
            ("captioner", "redescription_weight", "redescription_reduction", "damsm_weight", "kl_weight"),
        ),
    )

    def __init__(
        self,
        damsm: str | None = None,
        captioner: str | None = None,
        image_size: Count = 256,
        channels: Count = 32,
        discriminator_channels: int = 64,
        residual_blocks: int = 2,
        legacy_mask: bool = False,
        sentence_softmax: SoftmaxOver = "channels",
        sentence_dim: Count = 256,
        generator: Generator | None = None,
        discriminators: list[Discriminator] | None = None,
        objective: Objective | None = None,
        generator_losses: list[GeneratorLoss] | None = None,
        redescription_weight: Weight = 10.0,
        redescription_reduction: Literal["mean", "sum"] = "mean",
        damsm_weight: Weight = 0.0,
        kl_weight: Weight = 1.0,
        **kwargs: Any,
    ) -> None:
        generator = generator or MirrorGANGenerator(
            image_size,
            channels=channels,
            residual_blocks=residual_blocks,
            legacy_mask=legacy_mask,
            sentence_softmax=sentence_softmax,
            sentence_dim=sentence_dim,
        )
        if generator_losses is None:
            generator_losses = redescription(captioner, redescription_weight, redescription_reduction)
            generator_losses += matching_losses(generator, damsm_weight, kl_weight)
        if discriminators is None:
            discriminators = attngan_discriminators(generator, discriminator_channels)
        super().__init__(
            generator=generator,
            discriminators=discriminators,
            objective=objective or BCE(),
            damsm=damsm,
            generator_losses=generator_losses,
            **kwargs,
        )

    def validation_step(self, batch: CaptionedImages, batch_idx: int) -> None:
        """As of every GAN, and the captioner's loss per word on generated images, whatever its weight."""
        super().validation_step(batch, batch_idx)
        streams = [loss.stream for loss in self.generator_losses if isinstance(loss, RedescriptionLoss)]
        if not streams:
            return
        features = streams[0].encoder(self.predict_step(batch, batch_idx))
        words = batch.lengths.sum()
        loss = -streams[0].decoder.log_probabilities(features, batch.captions, batch.lengths).sum() / words
        self.log("val/redescription", loss, prog_bar=True, batch_size=int(words), sync_dist=True)


def redescription(captioner: str | None, weight: float, reduction: Literal["mean", "sum"]) -> list[GeneratorLoss]:
    """The redescription loss, or nothing where there is neither a captioner nor a weight.

    Raises:
        UserError: there is a weight without a captioner.
    """
    if captioner is None and weight:
        raise UserError(
            "MirrorGAN needs a captioner: set model.init_args.captioner to the checkpoint of a STREAM, "
            "or model.init_args.redescription_weight to 0"
        )
    return [] if captioner is None else [RedescriptionLoss(captioner, weight, reduction)]
