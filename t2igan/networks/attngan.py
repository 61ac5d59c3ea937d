"""AttnGAN's networks (Xu et al., CVPR 2018).

A cascade of three generators. Each finer one attends to the relevant words at every position of its features. One
discriminator per image size judges the image alone and the image-text pair.
"""

from functools import partial

import torch
from torch import Tensor, nn

from t2igan.networks.cascade import CascadedGenerator, CascadeDiscriminator
from t2igan.networks.synthesis import Discriminator, Generator
from t2igan.nn.attention import WordAttention
from t2igan.nn.convolution import Conv2d
from t2igan.nn.gated import ResidualBlock, up_block
from t2igan.nn.in_turn import BatchNorm2d
from t2igan.ranges import Count, Side, Whole
from t2igan.text import TextEmbedding


class AttentionStage(nn.Module):
    """F_i (AttnGAN, Eqs. 1 and 2): features with attention to the words -> features of twice the side."""

    def __init__(self, channels: int, word_dim: int, residual_blocks: int, legacy_mask: bool) -> None:
        super().__init__()
        self.attention = WordAttention(channels, word_dim, legacy_mask)
        self.residual = nn.Sequential(*(ResidualBlock(2 * channels) for _ in range(residual_blocks)))
        self.upsample = up_block(2 * channels, channels)

    def forward(self, features: Tensor, text: TextEmbedding, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, C, s, s) -> features (B, C, 2s, 2s) and attention (B, T, s, s)."""
        context, attention = self.attention(features, text.words, text.padding)
        return self.upsample(self.residual(torch.cat([features, context], dim=1))), attention


class AttnGANGenerator(CascadedGenerator):
    """The attentional generative network (sec. 3.1).

    Args:
        image_size: side of the finest image.
        stages: number of images, the coarsest of them ``image_size / 2 ** (stages - 1)`` wide.
        channels: width of the features (``GF_DIM``: 32 for CUB, 48 for COCO).
        residual_blocks: number of residual blocks per stage (``R_NUM``: 2 for CUB, 3 for COCO).
        noise_dim: width Z of the noise.
        sentence_dim: width D of sentence and words.
        eps_dim: width C of the conditioning augmentation.
        legacy_mask: use the attention mask of the released code; see :func:`t2igan.nn.attention.attend`.
        finest_only: return the finest image only.
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
        finest_only: bool = False,
    ) -> None:
        refinement = partial(AttentionStage, channels, sentence_dim, residual_blocks, legacy_mask)
        super().__init__(refinement, image_size, stages, channels, noise_dim, sentence_dim, eps_dim, finest_only)


class AttnDCGANGenerator(AttnGANGenerator):
    """The DCGAN variant (sec. 4.2, ``G_DCGAN``): the same stages, no residual blocks, one image.

    Args:
        image_size: side of the image.
        stages: number of feature levels.
        channels: width of the features.
        residual_blocks: number of residual blocks per stage (0 in the released configuration).
        noise_dim: width Z of the noise.
        sentence_dim: width D of sentence and words.
        eps_dim: width C of the conditioning augmentation.
        legacy_mask: use the attention mask of the released code.
    """

    def __init__(
        self,
        image_size: Side = 256,
        stages: Count = 3,
        channels: Count = 32,
        residual_blocks: Whole = 0,
        noise_dim: Count = 100,
        sentence_dim: Count = 256,
        eps_dim: Whole = 100,
        legacy_mask: bool = False,
    ) -> None:
        super().__init__(
            image_size,
            stages,
            channels,
            residual_blocks,
            noise_dim,
            sentence_dim,
            eps_dim,
            legacy_mask,
            finest_only=True,
        )


class AttnGANDiscriminator(CascadeDiscriminator):
    """Strided convolutions with batch norm (``D_NET64``, ``D_NET128``, ``D_NET256``); MirrorGAN has the same.

    It has the arguments and methods of :class:`CascadeDiscriminator`.
    """

    independent = True

    def block(self, channels: int, out_channels: int, kernel: int, stride: int, norm: bool = True) -> nn.Sequential:
        """Convolution without bias, batch norm, LeakyReLU."""
        layers: list[nn.Module] = [Conv2d(channels, out_channels, kernel, stride, padding=1, bias=False)]
        if norm:
            layers.append(BatchNorm2d(out_channels))
        return nn.Sequential(*layers, nn.LeakyReLU(0.2))


def attngan_discriminators(generator: Generator, channels: int) -> list[Discriminator]:
    """A discriminator for each image of a generator."""
    return [AttnGANDiscriminator(size, channels, generator.sentence_dim) for size in generator.image_sizes]
