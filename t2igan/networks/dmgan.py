"""DM-GAN's networks (Zhu et al., CVPR 2019).

AttnGAN's cascade, where each refinement reads a memory that is written from the words and the coarse image. Where
paper and released code differ, this follows the code: ReLU after the memory's 1x1 convolutions, no gradient through
the mean of the image's features, spectral normalisation in the discriminators.
"""

from functools import partial

import torch
from torch import Tensor, nn

from t2igan.networks.cascade import CascadedGenerator, CascadeDiscriminator
from t2igan.nn.attention import attend
from t2igan.nn.gated import ResidualBlock, up_block
from t2igan.nn.spectral import SpectralConv2d
from t2igan.ranges import Count, Side, Whole
from t2igan.text import TextEmbedding


class DynamicMemoryStage(nn.Module):
    """Dynamic memory based image refinement (sec. 3.2): features and words -> features of twice the side.

    Args:
        channels: width C of the features and of keys and values; a memory slot has 2C.
        word_dim: width D of the words.
        residual_blocks: number of residual blocks before the upsampling.
        legacy_mask: mask of the key addressing; see :func:`t2igan.nn.attention.attend`.
    """

    def __init__(self, channels: int, word_dim: int, residual_blocks: int, legacy_mask: bool = False) -> None:
        super().__init__()
        self.legacy_mask = legacy_mask
        self.gate_from_word = nn.Linear(word_dim, 1, bias=False)
        self.gate_from_image = nn.Linear(channels, 1, bias=False)
        self.memory_from_word = nn.Sequential(nn.Conv1d(word_dim, 2 * channels, 1), nn.ReLU())
        self.memory_from_image = nn.Sequential(nn.Conv1d(channels, 2 * channels, 1), nn.ReLU())
        self.key = nn.Sequential(nn.Conv1d(2 * channels, channels, 1), nn.ReLU())
        self.value = nn.Sequential(nn.Conv1d(2 * channels, channels, 1), nn.ReLU())
        self.response_gate = nn.Sequential(nn.Conv2d(2 * channels, 1, 1), nn.Sigmoid())
        # The features twice, as released: this gives the width of AttnGAN's residual blocks.
        self.residual = nn.Sequential(
            *(ResidualBlock(2 * channels, repeated=place == 0) for place in range(residual_blocks))
        )
        self.upsample = up_block(2 * channels, channels)

    def forward(self, features: Tensor, text: TextEmbedding, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, C, s, s) -> features (B, C, 2s, 2s) and attention (B, T, s, s)."""
        memory = self.write(features, text.words)
        read, attention = attend(features, self.key(memory), self.value(memory), text.padding, self.legacy_mask)
        gate = self.response_gate(torch.cat([features, read], dim=1))
        answered = features + gate * (read - features)
        if not len(self.residual):
            answered = torch.cat([answered, answered], dim=1)
        return self.upsample(self.residual(answered)), attention

    def write(self, features: Tensor, words: Tensor) -> Tensor:
        """Memory writing (Eqs. 4 and 5): a slot per word, which the gate fills from word or image.

        Args:
            features: (B, C, s, s), of which only the detached mean is used.
            words: (B, D, T).

        Returns:
            Memory (B, 2C, T).
        """
        image = features.mean(dim=(2, 3)).detach()
        gate = self.gate_from_word(words.transpose(1, 2)) + self.gate_from_image(image)[:, None]
        gate = gate.sigmoid().transpose(1, 2)
        return gate * self.memory_from_word(words) + (1 - gate) * self.memory_from_image(image[..., None])


class DMGANGenerator(CascadedGenerator):
    """AttnGAN's cascade with a dynamic memory in each refinement (Fig. 2).

    Args:
        image_size: side of the finest image.
        stages: number of images, the coarsest of them ``image_size / 2 ** (stages - 1)`` wide.
        channels: width of the features (``GF_DIM``: 64).
        residual_blocks: per refinement (``R_NUM``: 2 for CUB, 3 for COCO).
        noise_dim: width Z of the noise.
        sentence_dim: width D of sentence and words.
        eps_dim: width C of the conditioning augmentation.
        legacy_mask: the attention mask as released; see :func:`t2igan.nn.attention.attend`.
    """

    def __init__(
        self,
        image_size: Side = 256,
        stages: Count = 3,
        channels: Count = 64,
        residual_blocks: Whole = 2,
        noise_dim: Count = 100,
        sentence_dim: Count = 256,
        eps_dim: Whole = 100,
        legacy_mask: bool = False,
    ) -> None:
        refinement = partial(DynamicMemoryStage, channels, sentence_dim, residual_blocks, legacy_mask)
        super().__init__(refinement, image_size, stages, channels, noise_dim, sentence_dim, eps_dim)


class DMGANDiscriminator(CascadeDiscriminator):
    """AttnGAN's discriminator with spectral normalisation instead of batch norm; its heads have none (released).

    Args:
        image_size: side of the images.
        channels: base width (``DF_DIM``: 32).
        sentence_dim: width of the sentence.
        conditional_only: without the head for the image alone.
        probabilities: return probabilities, as the released networks do, rather than logits.
        legacy_power_iteration: see :class:`t2igan.nn.spectral.SpectralConv2d`.
    """

    def __init__(
        self,
        image_size: Side = 256,
        channels: Count = 32,
        sentence_dim: Count = 256,
        conditional_only: bool = False,
        probabilities: bool = False,
        legacy_power_iteration: bool = False,
    ) -> None:
        # Set first, because the base's constructor calls block(), which needs it.
        self.legacy_power_iteration = legacy_power_iteration
        super().__init__(image_size, channels, sentence_dim, conditional_only, probabilities)

    def block(self, channels: int, out_channels: int, kernel: int, stride: int, norm: bool = True) -> nn.Sequential:
        """Spectrally normalised convolution, next to the image too, and LeakyReLU."""
        convolution = SpectralConv2d(channels, out_channels, kernel, stride, 1, self.legacy_power_iteration)
        return nn.Sequential(convolution, nn.LeakyReLU(0.2))
