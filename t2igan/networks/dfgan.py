"""DF-GAN's networks (Tao et al., CVPR 2022).

A single stage generates the image; the caption enters through deep text-image fusion blocks, which scale and shift
the features by parameters predicted from noise and sentence. The one-way discriminator judges pairs only.

The released code has two generations. ``DFGANGenerator`` is the current one. ``DFGANLegacyGenerator`` is that of
the paper's first version, from which SSA-GAN took its discriminator.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2igan.networks.synthesis import Discriminator, Generator, Synthesis
from t2igan.nn.convolution import Conv2d, DoublingConv2d, Joining, LeakyReLU, double
from t2igan.nn.one_way import DownBlock, stage_widths
from t2igan.ranges import Count, Side
from t2igan.text import TextEmbedding

LEGACY_MLP_WIDTH = 256


class ModulationMLP(nn.Sequential):
    """Condition (B, K) -> one parameter per channel (B, C); constant ``start`` at the start of training."""

    def __init__(self, condition_dim: int, hidden: int, channels: int, start: float) -> None:
        # Built in this order, on which the initial weights of a seed depend.
        first, last = nn.Linear(condition_dim, hidden), nn.Linear(hidden, channels)
        super().__init__(first, nn.ReLU(), last)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, start)


class Affine(nn.Module):
    """Scales and shifts each channel depending on the condition (sec. 3.4); the identity at the start of training.

    Args:
        channels: width of the features.
        condition_dim: width of the condition.
        hidden: width inside the two small networks.
    """

    def __init__(self, channels: int, condition_dim: int, hidden: int) -> None:
        super().__init__()
        self.gamma = ModulationMLP(condition_dim, hidden, channels, start=1.0)
        self.beta = ModulationMLP(condition_dim, hidden, channels, start=0.0)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """``features`` (B, C, s, s) and ``condition`` (B, K) -> (B, C, s, s)."""
        gamma = self.gamma(condition)[:, :, None, None]
        beta = self.beta(condition)[:, :, None, None]
        return torch.addcmul(beta, gamma, features)


class DFBlock(nn.Module):
    """Deep text-image fusion block (sec. 3.4): affine, LReLU, affine, LReLU, convolution.

    Args:
        channels: width of the features.
        out_channels: width of what comes out.
        condition_dim: width of the condition.
        hidden: width inside the affines' networks; None: as wide as the features.
    """

    def __init__(self, channels: int, out_channels: int, condition_dim: int, hidden: int | None = None) -> None:
        super().__init__()
        self.affine1 = Affine(channels, condition_dim, hidden or channels)
        self.affine2 = Affine(channels, condition_dim, hidden or channels)
        self.conv = DoublingConv2d(channels, out_channels)

    def forward(self, features: Tensor, condition: Tensor, upsample: bool = False) -> Tensor:
        """``features`` (B, C, s, s) -> (B, C', s, s), or (B, C', 2s, 2s) with ``upsample``."""
        for affine in (self.affine1, self.affine2):
            features = F.leaky_relu(affine(features, condition), 0.2, inplace=True)
        # The fusion is pixel-wise: before nearest upsampling it gives the same result at a quarter of the cost.
        return self.conv(features, upsample)


class UpBlock(nn.Module):
    """UPBlock (sec. 3.2): upsampling, then two DFBlocks beside a shortcut.

    Args:
        channels: width of the features.
        out_channels: width of what comes out.
        condition_dim: width of the condition.
        hidden: width inside the affines' networks; None: as wide as the features.
        gated: multiply the residual by the learnt scalar ``gain``, which starts at zero (legacy).
    """

    def __init__(
        self,
        channels: Count,
        out_channels: int,
        condition_dim: int,
        hidden: int | None = None,
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.fuse1 = DFBlock(channels, out_channels, condition_dim, hidden)
        self.fuse2 = DFBlock(out_channels, out_channels, condition_dim, hidden)
        self.shortcut = nn.Conv2d(channels, out_channels, 1) if channels != out_channels else nn.Identity()
        self.gain = nn.Parameter(torch.zeros(1)) if gated else None

    def forward(self, features: Tensor, condition: Tensor, upsample: bool = True) -> Tensor:
        """``features`` (B, C, s, s) -> (B, C', 2s, 2s), or (B, C', s, s) without ``upsample``."""
        residual = self.fuse2(self.fuse1(features, condition, upsample), condition)
        # A 1x1 convolution commutes with nearest upsampling; before it, it costs a quarter.
        shortcut = self.shortcut(features)
        if upsample:
            shortcut = double(shortcut)
        return shortcut + residual if self.gain is None else torch.addcmul(shortcut, self.gain, residual)


class DFGANGenerator(Generator):
    """Noise -> 4x4 features -> one UPBlock per doubling of the side -> image (sec. 3.2), current generation.

    Noise and sentence together are the condition. There is no normalisation, so an image does not depend on the
    rest of the batch.

    Args:
        image_size: side of the image, a power of two and at least 8 (256 in the paper: six blocks).
        channels: base width (32 released; ``nf``).
        noise_dim: width of the noise.
        sentence_dim: width of the sentence vector.
    """

    recomputes = True

    def __init__(
        self, image_size: Side = 256, channels: Count = 32, noise_dim: Count = 100, sentence_dim: Count = 256
    ) -> None:
        super().__init__()
        widths = stage_widths(image_size, channels, widest=8)[::-1]
        if len(widths) == 1:
            raise ValueError("image_size must be at least 8: no block would see the caption of a 4x4 image")
        self.noise_dim = noise_dim
        self.sentence_dim = sentence_dim
        self.image_sizes = [image_size]
        self.fc = nn.Linear(noise_dim, widths[0] * 4 * 4)
        self.blocks = nn.ModuleList(
            UpBlock(width, out, noise_dim + sentence_dim) for width, out in pairwise(widths)
        )
        self.to_image = _to_image(channels)

    def forward(self, noise: Tensor, text: TextEmbedding) -> Synthesis:
        """Draw one image for each row of ``noise`` (B, Z) and of ``text``."""
        condition = torch.cat([noise, text.sentence], dim=1)
        features = self.fc(noise).view(len(noise), -1, 4, 4)
        for block in self.blocks:
            features = self.through(block, features, condition)
        return Synthesis(images=[self.to_image(features)])


class DFGANLegacyGenerator(Generator):
    """Generator of the paper's first version (arXiv:2008.05865v1): one block per resolution, 4x4 first.

    The sentence alone is the condition, and residuals are gated.

    Args:
        image_size: side of the image, a power of two (256 in the paper: seven blocks).
        channels: base width (32 in the released settings, 64 for the paper's numbers; ``ngf``).
        noise_dim: width of the noise.
        sentence_dim: width of the sentence vector.
    """

    recomputes = True

    def __init__(
        self, image_size: Side = 256, channels: Count = 32, noise_dim: Count = 100, sentence_dim: Count = 256
    ) -> None:
        super().__init__()
        widths = [8 * channels, *stage_widths(image_size, channels, widest=8)[::-1]]
        self.noise_dim = noise_dim
        self.sentence_dim = sentence_dim
        self.image_sizes = [image_size]
        self.fc = nn.Linear(noise_dim, widths[0] * 4 * 4)
        self.blocks = nn.ModuleList(
            UpBlock(width, out, sentence_dim, LEGACY_MLP_WIDTH, gated=True) for width, out in pairwise(widths)
        )
        self.to_image = _to_image(channels)

    def forward(self, noise: Tensor, text: TextEmbedding) -> Synthesis:
        """Draw one image for each row of ``noise`` (B, Z) and of ``text``."""
        features = self.fc(noise).view(len(noise), -1, 4, 4)
        for stage, block in enumerate(self.blocks):
            features = self.through(block, features, text.sentence, stage > 0)
        return Synthesis(images=[self.to_image(features)])


def _to_image(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(channels, 3, 3, padding=1), nn.Tanh())


class OneWayDiscriminator(Discriminator):
    """Discriminator without an unconditional head (DF-GAN, sec. 3.3; SSA-GAN, sec. 3.4).

    Args:
        image_size: side of the images, a power of two.
        channels: base width (``nf``, ``ndf``).
        sentence_dim: width of the sentence vector.
        widest: the largest multiple of ``channels`` (16 in SSA-GAN and the first DF-GAN, 8 in the current one).
    """

    independent = True

    def __init__(
        self, image_size: Side = 256, channels: Count = 64, sentence_dim: Count = 256, widest: Count = 16
    ) -> None:
        super().__init__()
        widths = stage_widths(image_size, channels, widest)
        self.image_size, self.sentence_dim = image_size, sentence_dim
        self.from_image = Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(DownBlock(width, out) for width, out in pairwise(widths)))
        self.join = Joining()
        self.joint = nn.Sequential(
            Conv2d(widths[-1] + sentence_dim, 2 * channels, 3, padding=1, bias=False),
            LeakyReLU(0.2),
            Conv2d(2 * channels, 1, 4, bias=False),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Image (B, 3, S, S) -> features (B, C, 4, 4)."""
        return self.blocks(self.from_image(image))

    def conditional(self, features: Tensor, condition: Tensor) -> Tensor:
        """Logits (B,) of "real and matching"."""
        return self.joint(self.join(features, condition)).flatten()


def one_way_discriminators(generator: Generator, channels: int, widest: int = 16) -> list[Discriminator]:
    """One discriminator for each image size of ``generator``; ``channels`` and ``widest`` as of each."""
    return [OneWayDiscriminator(size, channels, generator.sentence_dim, widest) for size in generator.image_sizes]
