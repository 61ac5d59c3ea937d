"""SSA-GAN: text to image generation with semantic-spatial aware GAN (Liao et al., CVPR 2022).

The generator is in :mod:`t2igan.networks.ssagan`. The discriminator is the one-way discriminator of DF-GAN's first
version. Where paper and released code differ, the code is the default and options select the paper's version.
"""

from typing import Any

from t2igan.losses.adversarial import Hinge, Objective
from t2igan.losses.gradient_penalty import MAGP
from t2igan.losses.matching import Gammas
from t2igan.models.adversarial import AdversarialModule, TextMode
from t2igan.models.generator_losses import DAMSMLoss, GeneratorLoss
from t2igan.networks.dfgan import OneWayDiscriminator, one_way_discriminators
from t2igan.networks.ssagan import SSAGANGenerator
from t2igan.networks.synthesis import Discriminator, Generator
from t2igan.ranges import Count, Decay, Rate, Side, Weight

# Checkpoints and configurations name the networks by this module.
__all__ = ["SSAGAN", "OneWayDiscriminator", "SSAGANGenerator"]


class SSAGAN(AdversarialModule):
    """SSA-GAN's training: hinge, MA-GP as a step of its own, a light DAMSM loss, Adam without momentum.

    ``experiments/cub`` holds three settings: the suite's (text encoder trained jointly as in the abstract, averaged
    weights), ``released`` and ``paper``.

    Args:
        damsm: checkpoint of the DAMSM that provides the text encoder and scores generated images.
        image_size: side of the images.
        channels: base width of generator and discriminator.
        sentence_dim: width of the text encoder's vectors; `t2igan fit` takes the DAMSM's.
        generator: any other generator.
        discriminators: any other discriminators; None is one for each image size of the generator.
        objective: any other objective; None is hinge.
        penalty: None takes none.
        generator_losses: None is the DAMSM loss with ``damsm_weight`` and gammas 5, 5, 10.
        damsm_weight: lambda of the DAMSM loss (0.05 released, 0.1 paper).
        text_mode: see :class:`AdversarialModule`.
        lr_generator: learning rate of the generator.
        lr_discriminator: learning rate of the discriminators.
        betas: betas of Adam.
        ema_decay: decay of the averaged weights; the released code keeps none.
        kwargs: as of :class:`AdversarialModule`.
    """

    VOID = (
        (("generator",), ("image_size", "sentence_dim")),
        (("generator", "discriminators"), ("channels",)),
        (("generator_losses",), ("damsm_weight",)),
    )
    faster_channels_last = True

    def __init__(
        self,
        damsm: str | None = None,
        image_size: Side = 256,
        channels: Count = 64,
        sentence_dim: Count = 256,
        generator: Generator | None = None,
        discriminators: list[Discriminator] | None = None,
        objective: Objective | None = None,
        penalty: MAGP | None = MAGP(weight=2.0, power=6.0, separate=True),  # noqa: B008 (never changed)
        generator_losses: list[GeneratorLoss] | None = None,
        damsm_weight: Weight = 0.05,
        text_mode: TextMode = "joint",
        lr_generator: Rate = 1e-4,
        lr_discriminator: Rate = 4e-4,
        betas: tuple[Decay, Decay] = (0.0, 0.9),
        ema_decay: Decay | None = 0.999,
        **kwargs: Any,
    ) -> None:
        if generator_losses is None:
            generator_losses = [DAMSMLoss(damsm_weight, Gammas(5, 5, 10))] if damsm_weight else []
        if generator is None:
            generator = SSAGANGenerator(image_size, channels, sentence_dim=sentence_dim)
        if discriminators is None:
            discriminators = one_way_discriminators(generator, channels)
        super().__init__(
            generator=generator,
            discriminators=discriminators,
            objective=objective or Hinge(),
            damsm=damsm,
            penalty=penalty,
            generator_losses=generator_losses,
            text_mode=text_mode,
            lr_generator=lr_generator,
            lr_discriminator=lr_discriminator,
            betas=betas,
            ema_decay=ema_decay,
            **kwargs,
        )
