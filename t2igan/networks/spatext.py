"""DF-GAN's networks with SpaText's spatio-textual map as a condition (Avrahami et al., CVPR 2023).

In every fusion block of :mod:`t2igan.networks.dfgan` the map scales and shifts features in addition to the
sentence, only within segments. Without segments the network equals the text GAN exactly. A second discriminator
compares each region of the image with its segment.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2igan.errors import UserError
from t2igan.layout.segments import SpatioTextualMap
from t2igan.losses.adversarial import Logits
from t2igan.networks.dfgan import Affine, DFGANGenerator, UpBlock
from t2igan.networks.synthesis import Conditions, Discriminator, Synthesis
from t2igan.nn.convolution import double
from t2igan.nn.spectral import SpectralConv2d
from t2igan.ranges import Count, Side, Weight, Whole
from t2igan.text import TextEmbedding


@dataclass
class SpatioTextualConditions(Conditions):
    """Captions and the spatio-textual map.

    Attributes:
        st_map: the spatio-textual map; None for no segments.
    """

    st_map: SpatioTextualMap | None = None


@dataclass
class _Fused:
    """Conditions of a fusion block: the text GAN's condition, and planes (B, C, s, s) by their side s."""

    vector: Tensor
    planes: dict[int, Tensor]


class LocalAffine(Affine):
    """DF-GAN's affine with local modulation by the map: x (1 + o gamma_st + ...) + o beta_st.

    Args:
        channels: width of the features.
        condition_dim: width of noise and sentence.
        planes: planes of the projected map, the last of which is the occupancy.
        hidden: width between planes and parameters.
    """

    def __init__(self, channels: int, condition_dim: int, planes: int, hidden: int) -> None:
        super().__init__(channels, condition_dim, channels)
        self.local = nn.Sequential(
            nn.Conv2d(planes, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, 2 * channels, 1)
        )

    def forward(self, features: Tensor, condition: Any) -> Tensor:
        """``features`` (B, C, s, s) and a :class:`_Fused` -> (B, C, s, s)."""
        fused = super().forward(features, condition.vector)
        if not condition.planes:
            return fused
        planes = condition.planes[features.shape[-1]]
        gamma, beta = (planes[:, -1:] * self.local(planes)).chunk(2, dim=1)
        return fused + torch.addcmul(beta, gamma, features)


class SpaTextBlock(UpBlock):
    """DF-GAN's UPBlock whose four affines are local ones."""

    def __init__(self, channels: int, out_channels: int, condition_dim: int, planes: int, hidden: int) -> None:
        super().__init__(channels, out_channels, condition_dim)
        for fuse, width in ((self.fuse1, channels), (self.fuse2, out_channels)):
            fuse.affine1 = LocalAffine(width, condition_dim, planes, hidden)
            fuse.affine2 = LocalAffine(width, condition_dim, planes, hidden)


class SpaTextGenerator(DFGANGenerator):
    """DF-GAN's generator with segment conditions.

    Args:
        image_size: side of the image, a power of two and at least 8.
        channels: base width.
        noise_dim: width of the noise.
        sentence_dim: width of the sentence vector.
        segment_dim: width D of the spatio-textual map.
        planes: number of planes that the map is projected to, without the occupancy.
        hidden: width between planes and modulation.
    """

    requires = frozenset({"layouts", "segments"})

    def __init__(
        self,
        image_size: Side = 64,
        channels: Count = 32,
        noise_dim: Count = 100,
        sentence_dim: Count = 256,
        segment_dim: Count = 64,
        planes: Count = 24,
        hidden: Count = 32,
    ) -> None:
        super().__init__(image_size, channels, noise_dim, sentence_dim)
        self.segment_dim = segment_dim
        self.project = nn.Linear(segment_dim, planes, bias=False)
        widths = [(block.fuse1.conv.in_channels, block.fuse1.conv.out_channels) for block in self.blocks]
        self.blocks = nn.ModuleList(
            SpaTextBlock(width, out, noise_dim + sentence_dim, planes + 1, hidden) for width, out in widths
        )

    def forward(self, noise: Tensor, text: TextEmbedding) -> Synthesis:
        """Draw one image for each row of ``noise`` (B, Z) and of ``text``."""
        vector = torch.cat([noise, text.sentence], dim=1)
        condition = _Fused(vector, self._planes(getattr(text, "st_map", None)))
        features = self.fc(noise).view(len(noise), -1, 4, 4)
        for block in self.blocks:
            features = block(features, condition)
        return Synthesis(images=[self.to_image(features)])

    def _planes(self, st_map: SpatioTextualMap | None) -> dict[int, Tensor]:
        """Projected map and occupancy at every resolution, downsampled by averaging."""
        if st_map is None:
            return {}
        st_map = st_map.resized(self.image_sizes[0])
        finest = torch.cat([st_map.planes(self.project), st_map.occupancy], dim=1)
        sides = [4 * 2**stage for stage in range(len(self.blocks) + 1)]
        return {side: F.adaptive_avg_pool2d(finest, side) for side in sides}


class SegmentDiscriminator(Discriminator):
    """A projection discriminator in every cell of a grid, which compares the cell with its segment.

    Conditional logits are those of cells with a segment, unconditional ones those of all cells. All convolutions
    are spectrally normalised, instead of a gradient penalty. For feature matching it returns its layers within
    segments: elsewhere the real image is only one of many valid ones.

    Args:
        image_size: side of the images, a power of two.
        channels: base width.
        segment_dim: width D of the spatio-textual map.
        side: side of the grid of cells.
        weight: weight of its adversarial loss.
        context: number of downsamplings of the grid (and back), which enlarge a cell's receptive field: colours can
            be judged without it, shapes cannot.

    Raises:
        UserError: the grid has more cells than the image has pixels.
    """

    requires = frozenset({"layouts", "segments"})
    penalised = False

    @property
    def label(self) -> str:
        """Distinguishes it from the discriminator of whole images, which has the same image size."""
        return "segments"

    def __init__(
        self,
        image_size: Side = 64,
        channels: Count = 32,
        segment_dim: Count = 64,
        side: Side = 16,
        weight: Weight = 1.0,
        context: Whole = 0,
    ) -> None:
        super().__init__()
        if side > image_size:
            raise UserError(f"SegmentDiscriminator: side is {side}, more than image_size {image_size}")
        self.image_size, self.side, self.segment_dim = image_size, side, segment_dim
        self.adversarial_weight = weight
        layers: list[nn.Module] = []
        before, width = 3, channels
        for _ in range((image_size // side).bit_length() - 1):
            layers += [SpectralConv2d(before, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
            before, width = width, 2 * width
        for _ in range(2):
            layers += [SpectralConv2d(before, width, 3, padding=1), nn.LeakyReLU(0.2)]
            before = width
        self.body = nn.Sequential(*layers)
        self.anything = SpectralConv2d(width, 1, 1)
        self.said = SpectralConv2d(segment_dim, width, 1)
        self.down = nn.ModuleList(SpectralConv2d(width, width, 4, stride=2, padding=1) for _ in range(context))
        self.up = nn.ModuleList(SpectralConv2d(2 * width, width, 3, padding=1) for _ in range(context))

    def layers(self, image: Tensor) -> list[Tensor]:
        """Image (B, 3, S, S) -> features of all layers, the last of which are (B, C, side, side)."""
        found = []
        features = image
        for layer in self.body:
            features = layer(features)
            if isinstance(layer, nn.LeakyReLU):
                found.append(features)
        finer = []
        for layer in self.down:
            finer.append(features)
            features = F.leaky_relu(layer(features), 0.2)
            found.append(features)
        for layer in self.up:
            features = F.leaky_relu(layer(torch.cat([double(features), finer.pop()], dim=1)), 0.2)
            found.append(features)
        return found

    def forward(self, image: Tensor) -> Tensor:
        """Image (B, 3, S, S) -> features (B, C, side, side)."""
        return self.layers(image)[-1]

    def verdict(self, images: Tensor, condition: Tensor) -> Logits:
        """Its logits, and its layers within segments."""
        layers = self.layers(images)
        occupancy = condition[:, -1:]
        shown = [layer * F.adaptive_avg_pool2d(occupancy, layer.shape[-1]) for layer in layers]
        unconditional = self.unconditional(layers[-1])
        return Logits(self.conditional(layers[-1], condition), unconditional, (*shown, unconditional))

    def condition(self, told: Any) -> Tensor:
        """The map and its occupancy at the grid's side, (B, D + 1, side, side)."""
        return grid_of(told.st_map, self.side)

    def conditional(self, features: Tensor, condition: Tensor) -> Tensor:
        """Logits (M,) of "real and matching" of all cells with a segment; a single 0 if there are none."""
        occupied = condition[:, -1] > 0
        logits = (features * self.said(condition[:, :-1])).sum(1)[occupied]
        return logits if len(logits) else features.sum()[None] * 0

    def unconditional(self, features: Tensor) -> Tensor:
        """Logits (B * side * side,) of "real" of all cells."""
        return self.anything(features).flatten()


def grid_of(st_map: SpatioTextualMap, side: int) -> Tensor:
    """A map and its occupancy as input of :class:`SegmentDiscriminator`, (B, D + 1, side, side)."""
    small = st_map.resized(side)
    return torch.cat([small.dense(), small.occupancy], dim=1)
