"""SPADE's generator of images from label maps (Park et al., CVPR 2019).

Each normalisation is scaled and shifted at every pixel by convolutions of the map. Written from the paper's
formulas; the released code has a non-free licence.
"""

from itertools import pairwise
from math import log2
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2igan.errors import UserError
from t2igan.layout.layout import required
from t2igan.layout.planes import LayoutPlanes, layout_maps
from t2igan.networks.synthesis import Conditions, Generator, Synthesis
from t2igan.nn.convolution import double
from t2igan.nn.spectral import SpectralConv2d
from t2igan.ranges import Count, Few, Side, Whole

WIDEST = 16


class SPADE(nn.Module):
    """Spatially-adaptive normalisation (Eqs. 1 to 3): x^ (1 + gamma(m)) + beta(m), x^ being normalised.

    Args:
        channels: width of the features.
        planes: planes of the map.
        hidden: width inside the two small networks, which share their first layer (128 in the paper).
    """

    def __init__(self, channels: int, planes: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.shared = nn.Conv2d(planes, hidden, 3, padding=1)
        self.modulation = nn.Conv2d(hidden, 2 * channels, 3, padding=1)

    def forward(self, features: Tensor, planes: Tensor) -> Tensor:
        """``features`` (B, C, s, s) and ``planes`` (B, P, s, s) -> (B, C, s, s)."""
        gamma, beta = self.modulation(F.relu(self.shared(planes))).chunk(2, dim=1)
        return torch.addcmul(beta, self.norm(features), 1 + gamma)


class SPADEBlock(nn.Module):
    """SPADE residual block (Fig. 4): twice SPADE, LReLU, convolution, beside a shortcut.

    Convolutions are spectrally normalised. Where the width changes the shortcut is learned, and modulated too.

    Args:
        channels: width of the features.
        out_channels: width of what comes out.
        planes: planes of the map.
        hidden: as of :class:`SPADE`.
    """

    def __init__(self, channels: int, out_channels: int, planes: int, hidden: int) -> None:
        super().__init__()
        middle = min(channels, out_channels)
        self.spade1, self.conv1 = SPADE(channels, planes, hidden), SpectralConv2d(channels, middle, 3, padding=1)
        self.spade2, self.conv2 = SPADE(middle, planes, hidden), SpectralConv2d(middle, out_channels, 3, padding=1)
        self.learned = channels != out_channels
        if self.learned:
            self.spade_shortcut = SPADE(channels, planes, hidden)
            self.conv_shortcut = SpectralConv2d(channels, out_channels, 1)

    def forward(self, features: Tensor, planes: Tensor) -> Tensor:
        """``features`` (B, C, s, s) and ``planes`` (B, P, s, s) -> (B, C', s, s)."""
        residual = self.conv1(F.leaky_relu(self.spade1(features, planes), 0.2))
        residual = self.conv2(F.leaky_relu(self.spade2(residual, planes), 0.2))
        if self.learned:
            features = self.conv_shortcut(self.spade_shortcut(features, planes))
        return features + residual


class SPADEGenerator(Generator):
    """Layouts -> images (Fig. 4): a SPADE block at each resolution, nearest upsampling between them.

    Text is not used. At 256 px with ``start`` 8, ``middle_blocks`` 2, ``channels`` 64, ``hidden`` 128 and without
    ``embed`` it is the paper's: blocks of 1024, 1024, 1024, 512, 256, 128, 64.

    Args:
        image_size: side of the images, a power of two times ``start``.
        channels: base width, that of the last block; 16 times it is the widest.
        start: side of the first features.
        middle_blocks: number of blocks at the second resolution; the others have one.
        hidden: width inside the modulations.
        embed: width to which a 1x1 convolution projects the 184 one-hot planes first, which saves time; None keeps
            them one-hot.
        noise_dim: width of the noise from which the first features are made; 0 makes them from the map.
    """

    requires: ClassVar[frozenset[str]] = frozenset({"layouts"})
    sentence_dim = 0

    def __init__(
        self,
        image_size: Side = 256,
        channels: Count = 64,
        start: Count = 8,
        middle_blocks: Few = 2,
        hidden: Count = 128,
        embed: Count | None = None,
        noise_dim: Whole = 0,
    ) -> None:
        super().__init__()
        doublings = log2(image_size / start)
        if doublings < 1 or not doublings.is_integer():
            raise UserError(
                f"SPADEGenerator: image_size {image_size} is not start {start} doubled one or more times"
            )
        self.noise_dim, self.image_sizes, self.start = noise_dim, [image_size], start
        self.planes = LayoutPlanes(embed)
        places = [min(2**place, WIDEST) * channels for place in range(int(doublings), -1, -1)]
        widths = [places[0], places[0], *[places[1]] * middle_blocks, *places[2:]]
        if noise_dim:
            self.first = nn.Linear(noise_dim, widths[0] * start**2)
        else:
            self.first = nn.Conv2d(self.planes.channels, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(
            SPADEBlock(width, out, self.planes.channels, hidden) for width, out in pairwise(widths)
        )
        self.same_side = range(2, 1 + middle_blocks)
        self.to_image = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(channels, 3, 3, padding=1), nn.Tanh())

    def forward(self, noise: Tensor, text: Conditions) -> Synthesis:
        """Generate one image for each row of ``noise`` (B, Z) and of ``text.layouts``."""
        maps = layout_maps(required(text.layouts))
        planes = self.planes(maps, self.start)
        if self.noise_dim:
            features = self.first(noise).view(len(noise), -1, self.start, self.start)
        else:
            features = self.first(planes)
        for number, block in enumerate(self.blocks):
            if number and number not in self.same_side:
                features = double(features)
                planes = self.planes(maps, features.shape[-1])
            features = block(features, planes)
        return Synthesis(images=[self.to_image(features)])
