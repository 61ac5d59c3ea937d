"""DF-GAN: a simple and effective baseline for text-to-image synthesis (Tao et al., CVPR 2022).

A generator of one stage (:mod:`t2igan.networks.dfgan`) against a one-way discriminator, which judges pairs only and
is trained with the matching-aware gradient penalty (MA-GP).

The released code has two generations; SSA-GAN took its training step from that of the paper's first version.
"""

from typing import Any, Literal

from t2igan.losses.adversarial import Hinge, Objective
from t2igan.losses.gradient_penalty import MAGP
from t2igan.losses.mismatch import MismatchPolicy
from t2igan.models.adversarial import AdversarialModule
from t2igan.networks.dfgan import DFGANGenerator, DFGANLegacyGenerator, OneWayDiscriminator, one_way_discriminators
from t2igan.networks.synthesis import Discriminator, Generator
from t2igan.ranges import Count, Decay, Rate, Side

# Checkpoints and configurations name the networks by this module.
__all__ = ["DFGAN", "DFGANGenerator", "DFGANLegacyGenerator", "OneWayDiscriminator"]


class DFGAN(AdversarialModule):
    """DF-GAN's training: hinge and MA-GP against a one-way discriminator, Adam without momentum, no DAMSM loss.

    Args:
        damsm: checkpoint of the DAMSM that provides the text encoder.
        image_size: side of the images.
        channels: base width of generator and discriminator.
        sentence_dim: width of the text encoder's vectors; `t2igan fit` takes the DAMSM's.
        legacy: train as the code of the paper's first version did, with its networks.
        generator: any other generator.
        discriminators: any other discriminators; None is one for each image size of the generator.
        objective: any other objective; None is hinge.
        penalty: ``released`` is MA-GP with weight 2 and power 6, part of the discriminator's loss; with
            ``legacy`` an optimiser step of its own. None takes none.
        mismatch: ``released`` is ``roll``; with ``legacy`` it is ``neighbour``.
        lr_generator: learning rate of the generator.
        lr_discriminator: learning rate of the discriminators.
        betas: betas of Adam.
        ema_decay: decay of the averaged weights; the released code keeps none.
        kwargs: as of :class:`AdversarialModule`.
    """

    VOID = (
        (("generator",), ("image_size", "sentence_dim")),
        (("generator", "discriminators"), ("channels",)),
    )
    faster_channels_last = True

    def __init__(
        self,
        damsm: str | None = None,
        image_size: Side = 256,
        channels: Count = 32,
        legacy: bool = False,
        sentence_dim: Count = 256,
        generator: Generator | None = None,
        discriminators: list[Discriminator] | None = None,
        objective: Objective | None = None,
        penalty: Literal["released"] | MAGP | None = "released",
        mismatch: Literal["released"] | MismatchPolicy = "released",
        lr_generator: Rate = 1e-4,
        lr_discriminator: Rate = 4e-4,
        betas: tuple[Decay, Decay] = (0.0, 0.9),
        ema_decay: Decay | None = 0.999,
        **kwargs: Any,
    ) -> None:
        if generator is None:
            generator = (DFGANLegacyGenerator if legacy else DFGANGenerator)(
                image_size, channels, sentence_dim=sentence_dim
            )
        if penalty == "released":
            penalty = MAGP(weight=2.0, power=6.0, separate=legacy)
        if mismatch == "released":
            mismatch = "neighbour" if legacy else "roll"
        if discriminators is None:
            discriminators = one_way_discriminators(generator, channels, 16 if legacy else 8)
        super().__init__(
            generator=generator,
            discriminators=discriminators,
            objective=objective or Hinge(),
            damsm=damsm,
            penalty=penalty,
            mismatch=mismatch,
            lr_generator=lr_generator,
            lr_discriminator=lr_discriminator,
            betas=betas,
            ema_decay=ema_decay,
            **kwargs,
        )
