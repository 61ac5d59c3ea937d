"""SPADE: semantic image synthesis with spatially-adaptive normalisation (Park et al., CVPR 2019).

Images of layouts, by the networks of :mod:`t2igan.networks.spade` and :mod:`t2igan.networks.layout_discriminators`.
Written from the paper's formulas; the released code is not free.
"""

from typing import Any

from t2igan.losses.adversarial import Hinge, Objective
from t2igan.models.adversarial import AdversarialModule, TextMode
from t2igan.models.generator_losses import GeneratorLoss
from t2igan.models.layout_losses import FeatureMatching, VGGLoss
from t2igan.networks.layout_discriminators import PatchDiscriminator
from t2igan.networks.spade import SPADEGenerator
from t2igan.networks.synthesis import Discriminator, Generator
from t2igan.ranges import Count, Decay, Rate, Side, Weight

# Checkpoints and configurations name the networks by this module.
__all__ = ["SPADEGAN", "SPADEGenerator"]


class SPADEGAN(AdversarialModule):
    """SPADE's training: hinge on patches at two scales, feature matching, VGG loss where weights are given, TTUR.

    Args:
        image_size: side of the images.
        channels: base width of the generator (64 in the paper).
        discriminator_channels: base width of the discriminators (64 in the paper).
        hidden: width inside the modulations (128 in the paper).
        embed: see :class:`SPADEGenerator`; of the discriminators too.
        feature_matching: weight of the feature matching; 0 takes none.
        vgg: file of VGG19's weights for the perceptual loss of weight 10; None: there is none.
        generator: any other generator.
        discriminators: any other discriminators; None is a patch discriminator at the images' side and one at half.
        objective: any other objective; None is hinge.
        generator_losses: any other terms in place of feature matching and VGG loss.
        text_mode: ``none`` where neither side takes text.
        mismatch: layouts that count as wrong for a real image; the paper has none.
        lr_generator: learning rate of the generator.
        lr_discriminator: learning rate of the discriminators.
        betas: betas of Adam.
        ema_decay: decay of the averaged weights; the paper keeps none.
        kwargs: as of :class:`AdversarialModule`.
    """

    VOID = (
        (("generator",), ("image_size", "channels", "hidden")),
        (("discriminators",), ("discriminator_channels",)),
        (("generator", "discriminators"), ("embed",)),
        (("generator_losses",), ("feature_matching", "vgg")),
    )

    def __init__(
        self,
        image_size: Side = 256,
        channels: Count = 64,
        discriminator_channels: Count = 64,
        hidden: Count = 128,
        embed: Count | None = None,
        feature_matching: Weight = 10.0,
        vgg: str | None = None,
        generator: Generator | None = None,
        discriminators: list[Discriminator] | None = None,
        objective: Objective | None = None,
        generator_losses: list[GeneratorLoss] | None = None,
        text_mode: TextMode = "none",
        mismatch: Any = "none",
        lr_generator: Rate = 1e-4,
        lr_discriminator: Rate = 4e-4,
        betas: tuple[Decay, Decay] = (0.0, 0.9),
        ema_decay: Decay | None = 0.999,
        **kwargs: Any,
    ) -> None:
        if generator is None:
            generator = SPADEGenerator(image_size, channels, hidden=hidden, embed=embed)
        if discriminators is None:
            size = generator.image_sizes[-1]
            discriminators = [
                PatchDiscriminator(size, discriminator_channels, scale=scale, embed=embed, adversarial_weight=0.5)
                for scale in (1, 2)
            ]
        if generator_losses is None:
            generator_losses = [FeatureMatching(feature_matching)] if feature_matching else []
            generator_losses += [VGGLoss(vgg)] if vgg else []
        super().__init__(
            generator=generator,
            discriminators=discriminators,
            objective=objective or Hinge(),
            generator_losses=generator_losses,
            text_mode=text_mode,
            mismatch=mismatch,
            lr_generator=lr_generator,
            lr_discriminator=lr_discriminator,
            betas=betas,
            ema_decay=ema_decay,
            **kwargs,
        )
