"""MirrorGAN's generator (Qiao et al., CVPR 2019): a cascade whose stages attend to words and sentence (GLAM)."""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from t2igan.networks.cascade import CascadedGenerator
from t2igan.nn.attention import WordAttention
from t2igan.nn.gated import ResidualBlock, up_block
from t2igan.ranges import Count, Side, Whole
from t2igan.text import TextEmbedding

SoftmaxOver = Literal["channels", "spatial"]


class SentenceAttention(nn.Module):
    """Attention of features to the sentence (Att^s, sec. 3.2).

    Args:
        channels: width C of the features.
        condition_dim: width of the conditioning augmentation.
        softmax: dimension over which the attention is normalised, which the paper leaves open; ``channels`` at each
            position, as released, or ``spatial``: over positions, for each channel.
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
    """Global-local collaborative attention of features to words and to the sentence (sec. 3.2).

    Args:
        channels: width C of the features.
        word_dim: width D of the words.
        condition_dim: width of the conditioning augmentation.
        legacy_mask: use the word mask of the released code; see :func:`t2igan.nn.attention.attend`.
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
    """F_i (sec. 3.2): features with GLAM's contexts -> features of twice the side.

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
        # Not in the paper: the released code projects the three maps to the width of AttnGAN's two.
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
        legacy_mask: use the attention mask of the released code; see :func:`t2igan.nn.attention.attend`.
        sentence_softmax: dimension over which the sentence attention is normalised; see :class:`SentenceAttention`.
    """

    def __init__(
        self,
        image_size: Side = 256,
        stages: Count = 3,
        channels: Count = 32,
        residual_blocks: Whole = 2,
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
