"""SpaText's spatio-textual representation in a GAN (representation: Avrahami et al., CVPR 2023; the host is ours).

The one-way GAN of :mod:`t2igan.models.dfgan` draws; in every fusion block the spatio-textual map scales and shifts
features beside the sentence, only where something is said. Where nothing is said it is the text GAN, exactly. A
second discriminator holds each place of the image against what was said of it.

The paper's own hosts, diffusion models, are in :mod:`t2igan.models.spatext_diffusion`.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2igan.errors import UserError
from t2igan.layout.labels import COCO_STUFF
from t2igan.layout.layout import Layouts
from t2igan.layout.segments import MOST, SMALLEST, SpatioTextualMap
from t2igan.losses.adversarial import Hinge, Logits, Objective
from t2igan.losses.gradient_penalty import MAGP
from t2igan.models.adversarial import AdversarialModule, TextMode
from t2igan.models.conditioner import (
    SpatioTextualConditions,
    Told,
    all_segments,
    load_conditioner,
    training_map,
)
from t2igan.models.dfgan import Affine, DFGANGenerator, OneWayDiscriminator, UpBlock
from t2igan.models.gan_step import Chunk
from t2igan.models.synthesis import Discriminator, Generator, Synthesis
from t2igan.nn.convolution import double
from t2igan.nn.randomness import Purpose
from t2igan.nn.spectral import SpectralConv2d
from t2igan.ranges import Count, Decay, Rate, Share, Whole
from t2igan.text import TextEmbedding


@dataclass
class _Fused:
    """What one fusion block is told: the text GAN's condition, and planes (B, C, s, s) by their side s."""

    vector: Tensor
    planes: dict[int, Tensor]


class LocalAffine(Affine):
    """DF-GAN's affine with what is said of each place: x (1 + o gamma_st + ...) + o beta_st.

    Args:
        channels: width of the features.
        condition_dim: width of noise and sentence.
        planes: of the projected map, occupancy among them (the last).
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
    """DF-GAN's generator, told of places too.

    Args:
        image_size: side of the image, a power of two and at least 8.
        channels: base width.
        noise_dim: width of the noise.
        sentence_dim: width of the sentence vector.
        segment_dim: width D of the spatio-textual map.
        planes: that the map is projected to, occupancy beside them.
        hidden: width between planes and modulation.
    """

    requires = frozenset({"layouts", "segments"})

    def __init__(
        self,
        image_size: Count = 64,
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
        """Projected map and occupancy at every side; a coarse place has the mean of what it covers."""
        if st_map is None:
            return {}
        st_map = st_map.resized(self.image_sizes[0])
        finest = torch.cat([st_map.planes(self.project), st_map.occupancy], dim=1)
        sides = [4 * 2**stage for stage in range(len(self.blocks) + 1)]
        return {side: F.adaptive_avg_pool2d(finest, side) for side in sides}


class SegmentDiscriminator(Discriminator):
    """Holds each place of an image against what was said of it: a projection discriminator in every cell.

    Its conditional logits are those of the cells where something is said, its unconditional ones those of all. All
    convolutions are spectrally normalised, in place of a gradient penalty. For feature matching it shows its layers
    where something is said: elsewhere the real image is one of many right ones.

    Args:
        image_size: side of the images, a power of two.
        channels: base width.
        segment_dim: width D of the spatio-textual map.
        side: of the grid of cells.
        weight: of its adversarial loss.
        context: halvings of the grid and back, through which each cell sees more of the image than its own
            surroundings: a colour can be judged without, a shape cannot.
    """

    requires = frozenset({"layouts", "segments"})
    penalised = False

    @property
    def label(self) -> str:
        """It shares its side with the discriminator of whole images."""
        return "segments"

    def __init__(
        self,
        image_size: Count = 64,
        channels: Count = 32,
        segment_dim: Count = 64,
        side: Count = 16,
        weight: float = 1.0,
        context: Whole = 0,
    ) -> None:
        super().__init__()
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
        """Image (B, 3, S, S) -> all its features, the last of which (B, C, side, side) are judged."""
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
        """Its logits, and its layers where something is said."""
        layers = self.layers(images)
        occupancy = condition[:, -1:]
        shown = [layer * F.adaptive_avg_pool2d(occupancy, layer.shape[-1]) for layer in layers]
        unconditional = self.unconditional(layers[-1])
        return Logits(self.conditional(layers[-1], condition), unconditional, (*shown, unconditional))

    def condition(self, told: Any) -> Tensor:
        """The map and its occupancy at the grid's side, (B, D + 1, side, side)."""
        return grid_of(told.st_map, self.side)

    def conditional(self, features: Tensor, condition: Tensor) -> Tensor:
        """Logits (M,) of "real and as said", one of each cell where something is said; a 0 where there is none."""
        occupied = condition[:, -1] > 0
        logits = (features * self.said(condition[:, :-1])).sum(1)[occupied]
        return logits if len(logits) else features.sum()[None] * 0

    def unconditional(self, features: Tensor) -> Tensor:
        """Logits (B * side * side,) of "real", of every cell."""
        return self.anything(features).flatten()


def grid_of(st_map: SpatioTextualMap, side: int) -> Tensor:
    """A map and its occupancy as :class:`SegmentDiscriminator` takes them, (B, D + 1, side, side)."""
    small = st_map.resized(side)
    return torch.cat([small.dense(), small.occupancy], dim=1)


class SpaTextGAN(AdversarialModule):
    """Trains a generator that is told of places against a one-way and a :class:`SegmentDiscriminator`.

    In training one to three segments of each image are told by the embeddings of their crops; at use all segments
    of a layout are told by their texts, through the prior.

    Args:
        damsm: checkpoint of the DAMSM that gives the text encoder; None starts one from scratch.
        encoder: what segments are embedded by: folder of a CLIP or checkpoint of a ``SegmentEncoder``.
        prior: checkpoint of a ``SegmentPrior``, from texts to images; null is the ablation without.
        told: see :data:`Told`; ``labels`` is a closed vocabulary, ``nothing`` the text GAN with these networks.
        image_size: side of the images.
        channels: base width of generator and discriminators.
        sentence_dim: width of the text encoder's vectors.
        generator: any other generator.
        discriminators: any other discriminators.
        objective: any other objective; None is hinge.
        penalty: None takes none.
        most: segments told of a training image, at most.
        smallest: share of the image that a told segment has at least.
        unsaid: share of the training images of which nothing is told.
        text_mode: see :class:`AdversarialModule`.
        lr_generator: learning rate of the generator.
        lr_discriminator: learning rate of the discriminators.
        betas: of Adam.
        ema_decay: of the averaged weights.
        kwargs: as of :class:`AdversarialModule`.
    """

    VOID = (
        (("generator",), ("image_size", "sentence_dim")),
        (("generator", "discriminators"), ("channels",)),
    )

    def __init__(
        self,
        damsm: str | None = None,
        encoder: str | None = None,
        prior: str | None = None,
        told: Told = "images",
        image_size: Count = 64,
        channels: Count = 32,
        sentence_dim: Count = 256,
        generator: Generator | None = None,
        discriminators: list[Discriminator] | None = None,
        objective: Objective | None = None,
        penalty: MAGP | None = MAGP(weight=2.0, power=6.0, separate=False),  # noqa: B008 (never changed)
        most: Count = MOST,
        smallest: Share = SMALLEST,
        unsaid: Share = 0.1,
        text_mode: TextMode = "joint",
        lr_generator: Rate = 2e-4,
        lr_discriminator: Rate = 4e-4,
        betas: tuple[Decay, Decay] = (0.0, 0.9),
        ema_decay: Decay | None = 0.999,
        **kwargs: Any,
    ) -> None:
        dim = len(COCO_STUFF) if told in ("labels", "nothing") else 64
        if generator is None:
            generator = SpaTextGenerator(image_size, channels, sentence_dim=sentence_dim, segment_dim=dim)
        if discriminators is None:
            discriminators = [
                OneWayDiscriminator(generator.image_sizes[-1], channels, generator.sentence_dim, widest=8),
                SegmentDiscriminator(generator.image_sizes[-1], channels, dim),
            ]
        super().__init__(
            generator=generator,
            discriminators=discriminators,
            objective=objective or Hinge(),
            damsm=damsm,
            penalty=penalty,
            text_mode=text_mode,
            lr_generator=lr_generator,
            lr_discriminator=lr_discriminator,
            betas=betas,
            ema_decay=ema_decay,
            **kwargs,
        )
        self.encoder, self.prior = encoder, prior
        self.told: Told = told
        self.most, self.smallest, self.unsaid = most, smallest, unsaid

    def configure_model(self) -> None:
        """Load encoder and prior too.

        Raises:
            UserError: a network takes maps of another width, or the checkpoint was trained with other ones.
        """
        if not hasattr(self, "conditioner"):
            self.conditioner = load_conditioner(self, self.told, self.encoder, self.prior)
            judges = {f"discriminators.{place}": each for place, each in enumerate(self.discriminators)}
            for name, network in ({"generator": self.generator} | judges).items():
                own, dim = getattr(network, "segment_dim", self.conditioner.dim), self.conditioner.dim
                if own != dim:
                    raise UserError(
                        f"model.init_args.{name}: segment_dim is {own}, but what is told has {dim} numbers: "
                        f"set it to {dim}"
                    )
        super().configure_model()

    def borrowed(self) -> tuple[str, ...]:
        """Encoder and prior have files of their own."""
        return (*super().borrowed(), "conditioner.")

    def conditions(self, text: TextEmbedding, layouts: Layouts | None) -> SpatioTextualConditions:
        """Captions, and the texts of all segments of ``layouts``; None says nothing."""
        st_map = None if layouts is None else self.conditioner.of_texts(all_segments(layouts), layouts)
        return SpatioTextualConditions(text.sentence, text.words, text.padding, layouts, st_map)

    def training_conditions(self, text: TextEmbedding, chunk: Chunk) -> SpatioTextualConditions:
        """Captions, and the embeddings of some segments of the chunk's images."""
        random = chunk.random or self.step_random(len(chunk.batch))
        st_map = training_map(self.conditioner, chunk.batch, random, self.most, self.smallest)
        drawn = random.uniform(len(st_map), 1, Purpose.DROPPED_CONDITIONS)[:, 0]
        st_map = st_map.without(drawn.to(st_map.index.device) < self.unsaid)
        return SpatioTextualConditions(text.sentence, text.words, text.padding, chunk.batch.layouts, st_map)

    def _mismatched(self, chunk: Chunk, features: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Of places: the same masks with what was said of others; of captions as ever."""
        if condition.dim() != 4:
            return super()._mismatched(chunk, features, condition)
        return features, grid_of(cast(Any, chunk.conditions).st_map.mismatched(), condition.shape[-1])
