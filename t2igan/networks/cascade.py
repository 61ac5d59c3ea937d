"""Common parts of AttnGAN, MirrorGAN and DM-GAN: a cascade of images, each with its own discriminator."""

import math
from abc import ABC
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from t2igan.networks.synthesis import Discriminator, Generator, Synthesis
from t2igan.nn.conditioning import ConditioningAugmentation
from t2igan.nn.gated import up_block
from t2igan.nn.initialise import initialise_orthogonally
from t2igan.ranges import Count, Side, Whole
from t2igan.text import TextEmbedding


def doublings(size: int) -> int:
    """Number of doublings from 4 to ``size``.

    Raises:
        ValueError: ``size`` is not 4 times a power of two.
    """
    times = int(math.log2(size)) - 2
    if times < 1 or 4 * 2**times != size:
        raise ValueError(f"an image's side must be a power of two and at least 8, not {size}")
    return times


class InitialStage(nn.Module):
    """F_0 (AttnGAN, Eq. 1): condition and noise -> features of the coarsest image.

    Args:
        channels: width of the features; the 4x4 map it starts from is wider by 2 per doubling.
        size: side of the features.
        input_dim: width of condition and noise together.
    """

    def __init__(self, channels: int, size: int, input_dim: int) -> None:
        super().__init__()
        widths = [channels * 2**k for k in reversed(range(doublings(size) + 1))]
        self.fc = nn.Sequential(
            nn.Linear(input_dim, widths[0] * 4 * 4 * 2, bias=False),
            nn.BatchNorm1d(widths[0] * 4 * 4 * 2),
            nn.GLU(dim=1),
        )
        self.upsample = nn.Sequential(*(up_block(width, out) for width, out in pairwise(widths)))

    def forward(self, condition: Tensor, noise: Tensor) -> Tensor:
        """``condition`` (B, C) and ``noise`` (B, Z) -> features (B, channels, size, size)."""
        return self.upsample(self.fc(torch.cat([condition, noise], dim=1)).view(len(noise), -1, 4, 4))


class CascadedGenerator(Generator, ABC):
    """Coarse image -> attention to the words -> finer image -> ... (AttnGAN, Fig. 2).

    Args:
        refinement: makes a refinement stage, ``stage(features, text, condition) -> (features, attention)``, which
            doubles the side of the features.
        image_size: side of the finest image.
        stages: number of images; each has half the side of the next.
        channels: width of the features (``GF_DIM``).
        noise_dim: width Z of the noise.
        sentence_dim: width D of sentence and words.
        eps_dim: width C of the conditioning augmentation.
        finest_only: return the finest image only (AttnGAN's DCGAN variant).
    """

    recomputes = True

    def __init__(
        self,
        refinement: Callable[[], nn.Module],
        image_size: Side = 256,
        stages: Count = 3,
        channels: Count = 32,
        noise_dim: Count = 100,
        sentence_dim: Count = 256,
        eps_dim: Whole = 100,
        finest_only: bool = False,
    ) -> None:
        super().__init__()
        if image_size.bit_length() < stages:
            raise ValueError(f"{stages} stages of {image_size} pixels: the coarsest would have none")
        sizes = [image_size // 2**k for k in reversed(range(stages))]
        self.noise_dim, self.sentence_dim, self.eps_dim = noise_dim, sentence_dim, eps_dim
        self.image_sizes = sizes[-1:] if finest_only else sizes
        self.augmentation = ConditioningAugmentation(sentence_dim, eps_dim)
        self.initial = InitialStage(channels, sizes[0], eps_dim + noise_dim)
        self.stages = nn.ModuleList(refinement() for _ in range(stages - 1))
        heads = 1 if finest_only else stages
        self.to_image = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1, bias=False), nn.Tanh()) for _ in range(heads)
        )
        initialise_orthogonally(self)

    def forward(self, noise: Tensor, text: TextEmbedding, eps: Tensor | None = None) -> Synthesis:
        """Generate images; ``eps`` (B, C) is the conditioning augmentation's noise, drawn if it is not given."""
        condition, mu, logvar = self.augmentation(text.sentence, eps)
        levels, attention = [self.initial(condition, noise)], []
        for stage in self.stages:
            features, weights = self.through(stage, levels[-1], text, condition)
            levels.append(features)
            attention.append(weights)
        generated = levels[-len(self.to_image) :]
        images = [to_image(features) for to_image, features in zip(self.to_image, generated)]
        return Synthesis(images, attention, mu=mu, logvar=logvar)


class CascadeDiscriminator(Discriminator, ABC):
    """A discriminator of one image size: features down to 4x4, one head for the image, one for the pair.

    Subclasses define the convolutional block.

    Args:
        image_size: side of the images.
        channels: base width (``DF_DIM``).
        sentence_dim: width of the sentence.
        conditional_only: without the head for the image alone (AttnGAN's DCGAN variant).
        probabilities: return probabilities like the released networks, instead of logits. The suite trains on
            logits, to avoid saturation.
    """

    def __init__(
        self,
        image_size: Side = 256,
        channels: Count = 64,
        sentence_dim: Count = 256,
        conditional_only: bool = False,
        probabilities: bool = False,
    ) -> None:
        super().__init__()
        self.image_size, self.sentence_dim = image_size, sentence_dim
        self.probabilities = probabilities
        widths = [3, *(channels * 2**k for k in range(doublings(image_size)))]
        # For images above 64 pixels the trunk ends wider than 8 * channels; 3x3 blocks reduce it to that width.
        narrowing = [channels * 2**k for k in reversed(range(3, max(doublings(image_size), 4)))]
        self.down = nn.Sequential(
            *(self.block(width, out, 4, 2, level > 0) for level, (width, out) in enumerate(pairwise(widths)))
        )
        self.narrow = nn.Sequential(*(self.block(width, out, 3, 1) for width, out in pairwise(narrowing)))
        width = min(widths[-1], 8 * channels)
        self.joint = self.block(width + sentence_dim, width, 3, 1)
        self.pair_head = nn.Conv2d(width, 1, 4, stride=4)
        self.picture_head = None if conditional_only else nn.Conv2d(width, 1, 4, stride=4)
        initialise_orthogonally(self)

    def block(self, channels: int, out_channels: int, kernel: int, stride: int, norm: bool = True) -> nn.Module:
        """Convolution with padding 1, normalisation, LeakyReLU; ``norm`` is False for the first layer."""
        raise NotImplementedError

    def forward(self, image: Tensor) -> Tensor:
        """Image (B, 3, S, S) -> features (B, C, 4, 4)."""
        return self.narrow(self.down(image))

    def conditional(self, features: Tensor, condition: Tensor) -> Tensor:
        """Logits or probabilities (B,) of "real and matching"."""
        everywhere = condition[:, :, None, None].expand(-1, -1, *features.shape[2:])
        return self._verdict(self.pair_head(self.joint(torch.cat([features, everywhere], dim=1))))

    def unconditional(self, features: Tensor) -> Tensor | None:
        """Logits or probabilities (B,) of "real"."""
        return None if self.picture_head is None else self._verdict(self.picture_head(features))

    def _verdict(self, logits: Tensor) -> Tensor:
        return logits.flatten().sigmoid() if self.probabilities else logits.flatten()
