"""SpaText's spatio-textual representation (Avrahami et al., CVPR 2023) in a GAN of our own.

Its networks are in :mod:`t2igan.networks.spatext`. The paper's own hosts, diffusion models, are in
:mod:`t2igan.models.spatext_diffusion`.
"""

from typing import Any, cast

from torch import Tensor

from t2igan.errors import UserError
from t2igan.layout.labels import COCO_STUFF
from t2igan.layout.layout import Layouts
from t2igan.layout.segments import MOST, SMALLEST
from t2igan.losses.adversarial import Hinge, Objective
from t2igan.losses.gradient_penalty import MAGP
from t2igan.models.adversarial import AdversarialModule, TextMode
from t2igan.models.conditioner import Told, all_segments, load_conditioner, training_map
from t2igan.models.gan_step import Chunk
from t2igan.networks.dfgan import OneWayDiscriminator
from t2igan.networks.spatext import SegmentDiscriminator, SpaTextGenerator, SpatioTextualConditions, grid_of
from t2igan.networks.synthesis import Discriminator, Generator
from t2igan.nn.randomness import Purpose
from t2igan.ranges import Count, Decay, Rate, Share, Side
from t2igan.text import TextEmbedding

# Checkpoints and configurations name the networks by this module.
__all__ = ["SegmentDiscriminator", "SpaTextGAN", "SpaTextGenerator"]


class SpaTextGAN(AdversarialModule):
    """Trains a generator with segment conditions against a one-way and a :class:`SegmentDiscriminator`.

    In training, one to three segments of each image are given by the embeddings of their crops; at inference all
    segments of a layout are given by their texts, through the prior.

    Args:
        damsm: checkpoint of the DAMSM that gives the text encoder; None starts one from scratch.
        encoder: joint encoder of the segments: folder of a CLIP or checkpoint of a ``SegmentEncoder``.
        prior: checkpoint of a ``SegmentPrior``, from texts to images; null is the ablation without prior.
        told: segment conditions, see :data:`Told`; ``labels`` is a closed vocabulary, ``nothing`` the text GAN with
            these networks.
        image_size: side of the images.
        channels: base width of generator and discriminators.
        sentence_dim: width of the text encoder's vectors.
        generator: any other generator.
        discriminators: any other discriminators.
        objective: any other objective; None is hinge.
        penalty: None takes none.
        most: maximum number of segments per training image.
        smallest: minimum area of a segment as a share of the image.
        unsaid: share of the training images without segment conditions.
        text_mode: see :class:`AdversarialModule`.
        lr_generator: learning rate of the generator.
        lr_discriminator: learning rate of the discriminators.
        betas: betas of Adam.
        ema_decay: decay of the averaged weights.
        kwargs: as of :class:`AdversarialModule`.
    """

    of_each_device = "wrong places, and means over what is told, are of each device's segments alone"
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
        image_size: Side = 64,
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
        """Build the networks, and load encoder and prior.

        Raises:
            UserError: a network takes maps of another width, or the checkpoint was trained with another encoder or
                prior.
        """
        if not hasattr(self, "conditioner"):
            self.conditioner = load_conditioner(self, self.told, self.encoder, self.prior)
            discriminators = {f"discriminators.{place}": each for place, each in enumerate(self.discriminators)}
            for name, network in ({"generator": self.generator} | discriminators).items():
                own, dim = getattr(network, "segment_dim", self.conditioner.dim), self.conditioner.dim
                if own != dim:
                    raise UserError(
                        f"model.init_args.{name}: segment_dim is {own}, but segment conditions have width {dim}: "
                        f"set it to {dim}"
                    )
        super().configure_model()

    def borrowed(self) -> tuple[str, ...]:
        """Prefixes of encoder and prior, whose weights have their own files."""
        return (*super().borrowed(), "conditioner.")

    def conditions(self, text: TextEmbedding, layouts: Layouts | None) -> SpatioTextualConditions:
        """Captions, and the texts of all segments of ``layouts``; None gives no segments."""
        st_map = None if layouts is None else self.conditioner.of_texts(all_segments(layouts), layouts)
        return SpatioTextualConditions(text.sentence, text.words, text.padding, layouts, st_map)

    def training_conditions(self, text: TextEmbedding, chunk: Chunk) -> SpatioTextualConditions:
        """Captions, and the embeddings of some segments of the chunk's images."""
        random = chunk.random or self.step_random(len(chunk.batch))
        st_map = training_map(self.conditioner, chunk.batch, random, self.most, self.smallest)
        drawn = random.uniform(len(st_map), 1, Purpose.DROPPED_CONDITIONS)[:, 0]
        st_map = st_map.without((drawn < self.unsaid).to(st_map.index.device, non_blocking=True))
        return SpatioTextualConditions(text.sentence, text.words, text.padding, chunk.batch.layouts, st_map)

    def _mismatched(self, chunk: Chunk, features: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Mismatched segments have the same masks with other embeddings; captions are mismatched as usual."""
        if condition.dim() != 4:
            return super()._mismatched(chunk, features, condition)
        return features, grid_of(cast(Any, chunk.conditions).st_map.mismatched(), condition.shape[-1])
