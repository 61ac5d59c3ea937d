"""Discriminators of images with layouts: SPADE's multi-scale patches, CC-FPSE's feature pyramid.

Both are written from the papers' formulas (Park et al., CVPR 2019; Liu et al., NeurIPS 2019).
"""

from abc import ABC
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2igan.errors import UserError
from t2igan.layout.layout import required
from t2igan.layout.planes import LayoutPlanes, layout_maps
from t2igan.losses.adversarial import Logits
from t2igan.networks.synthesis import Conditions, Discriminator
from t2igan.nn.convolution import double
from t2igan.nn.spectral import SpectralConv2d
from t2igan.ranges import Count, Side, Weight


class LayoutDiscriminator(Discriminator, ABC):
    """Base class of discriminators whose first layer takes both image and layout; features are the image."""

    requires: ClassVar[frozenset[str]] = frozenset({"layouts"})
    sentence_dim = 0

    def condition(self, told: Conditions) -> Tensor:
        """The maps, uint8 (B, 2, S, S)."""
        return layout_maps(required(told.layouts))

    def forward(self, image: Tensor) -> Tensor:
        """The image (B, 3, S, S)."""
        return image

    def conditional(self, features: Tensor, condition: Tensor) -> Tensor:
        """Logits (B, P) of the patches of images (B, 3, S, S) with maps (B, 2, S, S)."""
        return self.verdict(features, condition).conditional


# The side of the largest image, 8,192, is halved 13 times.
MOST_LAYERS = 14


class PatchDiscriminator(LayoutDiscriminator):
    """PatchGAN on [map || image] with instance norm and spectral norm (SPADE, appendix A).

    Args:
        image_size: side of the images.
        channels: base width (64 in the paper).
        layers: convolutions before the one that gives the logits; all but the last of them halve the side.
        scale: factor by which images are downscaled first.
        embed: width to which a 1x1 convolution projects the one-hot planes first; None omits it.
        adversarial_weight: weight of its adversarial loss; in the paper 1 / number of discriminators.

    Raises:
        UserError: there are too many layers for the image size, or the scale leaves no pixel.
    """

    def __init__(
        self,
        image_size: Side = 256,
        channels: Count = 64,
        layers: Count = 4,
        scale: Side = 1,
        embed: Count | None = None,
        adversarial_weight: Weight = 1.0,
    ) -> None:
        if layers > MOST_LAYERS:
            raise UserError(
                f"PatchDiscriminator: layers is {layers}: no image can be halved more than {MOST_LAYERS - 1} times"
            )
        if scale > image_size:
            raise UserError(f"PatchDiscriminator: scale is {scale}, more than image_size {image_size}")
        super().__init__()
        self.image_size, self.scale, self.adversarial_weight = image_size, scale, adversarial_weight
        self.planes = LayoutPlanes(embed)
        widths = [min(2**layer, 8) * channels for layer in range(layers)]
        self.layers = nn.ModuleList([nn.Conv2d(self.planes.channels + 3, channels, 4, stride=2, padding=2)])
        for layer, (width, out) in enumerate(pairwise(widths), start=2):
            stride = 1 if layer == layers else 2
            convolution = SpectralConv2d(width, out, 4, stride=stride, padding=2)
            self.layers.append(nn.Sequential(convolution, nn.InstanceNorm2d(out)))
        self.to_logits = nn.Conv2d(widths[-1], 1, 4, padding=2)

    @property
    def label(self) -> str:
        """The image side after downscaling."""
        return str(self.image_size // self.scale)

    def verdict(self, images: Tensor, condition: Tensor) -> Logits:
        """Logits (B, P) of the patches of images (B, 3, S, S) with maps (B, 2, S, S), and all layers."""
        features = torch.cat([self.planes(condition), images], dim=1)
        if self.scale > 1:
            features = F.avg_pool2d(features, self.scale)
        layers = []
        for layer in self.layers:
            features = F.leaky_relu(layer(features), 0.2)
            layers.append(features)
        logits = self.to_logits(features)
        return Logits(logits.flatten(1), layers=(*layers, logits))


class FPSEDiscriminator(LayoutDiscriminator):
    """Feature pyramid with semantics embedding (CC-FPSE, sec. 3.3): judges patches of an image at three scales.

    The pyramid takes the image only. A patch's logit is the sum of a convolution's output ("real") and the inner
    product of the patch's features with its embedded labels ("matching").

    Args:
        image_size: side of the images, a multiple of 32.
        channels: base width (64 in the paper's settings).
    """

    def __init__(self, image_size: Side = 256, channels: Count = 64) -> None:
        super().__init__()
        if image_size % 32:
            raise UserError(f"FPSEDiscriminator: image_size is {image_size}, but must be a multiple of 32")
        self.image_size = image_size
        widths = [3, channels, 2 * channels, 4 * channels, 8 * channels, 8 * channels]
        self.up = nn.ModuleList(_halving(width, out) for width, out in pairwise(widths))
        self.across = nn.ModuleList(_convolved(width, 4 * channels, 1) for width in widths[2:])
        self.smooth = nn.ModuleList(_convolved(4 * channels, 2 * channels, 3) for _ in range(3))
        self.real = nn.Conv2d(2 * channels, 1, 1)
        self.matching = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.planes = LayoutPlanes(2 * channels)

    def verdict(self, images: Tensor, condition: Tensor) -> Logits:
        """Logits (B, P) of the patches of images (B, 3, S, S) with maps (B, 2, S, S), and the pyramid's layers.

        Patches of coarse scales are repeated until there are as many as of the finest, so that scales count alike.
        """
        rising = [images]
        for step in self.up:
            rising.append(step(rising[-1]))
        falling = [self.across[-1](rising[-1])]
        for lateral, features in zip(reversed(self.across[:-1]), reversed(rising[2:-1])):
            falling.append(lateral(features) + double(falling[-1]))
        pyramid = [smooth(features) for smooth, features in zip(self.smooth, falling[1:])]
        planes = self.planes(condition)
        logits = torch.stack([self._logits(features, planes, pyramid[-1].shape[-1]) for features in pyramid], dim=1)
        return Logits(logits.flatten(1), layers=(*rising[1:], *pyramid, logits))

    def _logits(self, features: Tensor, planes: Tensor, finest: int) -> Tensor:
        """(B, s, s) of the finest scale, of features (B, C, s', s') and embedded labels (B, C, S, S)."""
        pooled = F.adaptive_avg_pool2d(planes, features.shape[-1])
        found = self.real(features)[:, 0] + (self.matching(features) * pooled).sum(dim=1)
        times = finest // features.shape[-1]
        return found.repeat_interleave(times, dim=1).repeat_interleave(times, dim=2)


def _halving(channels: int, out_channels: int) -> nn.Sequential:
    convolution = SpectralConv2d(channels, out_channels, 3, stride=2, padding=1)
    # A single pixel, such as the pyramid's top level at 32 px, has no variance to normalise by.
    return nn.Sequential(convolution, _InstanceNorm(out_channels), nn.LeakyReLU(0.2))


def _convolved(channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    convolution = SpectralConv2d(channels, out_channels, kernel, padding=kernel // 2)
    return nn.Sequential(convolution, _InstanceNorm(out_channels), nn.LeakyReLU(0.2))


class _InstanceNorm(nn.InstanceNorm2d):
    """Instance norm that skips 1x1 features, which have no variance."""

    def forward(self, input: Tensor) -> Tensor:
        return input if input.shape[-1] == 1 else super().forward(input)
