"""AttnGAN: fine-grained text to image generation with attentional GANs (Xu et al., CVPR 2018).

A cascade of three generators with a discriminator per image size (:mod:`t2igan.networks.attngan`); the DAMSM loss
measures whether the finest image matches its caption.
"""

from typing import Any

from t2igan.losses.adversarial import BCE, Objective
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.generator_losses import GeneratorLoss, matching_losses
from t2igan.networks.attngan import (
    AttnDCGANGenerator,
    AttnGANDiscriminator,
    AttnGANGenerator,
    attngan_discriminators,
)
from t2igan.networks.synthesis import Discriminator, Generator
from t2igan.ranges import Count, Side, Weight, Whole

# Checkpoints and configurations name the networks by this module.
__all__ = ["AttnDCGANGenerator", "AttnGAN", "AttnGANDiscriminator", "AttnGANGenerator"]


class AttnGAN(AdversarialModule):
    """AttnGAN's training: cross-entropy at every scale, DAMSM loss on the finest image, divergence of F_ca.

    Args:
        damsm: checkpoint of the DAMSM that provides the text encoder and scores generated images.
        image_size: side of the finest image.
        channels: width of the generator (32 for CUB, 48 for COCO).
        discriminator_channels: base width of the discriminators (64 for CUB, 96 for COCO).
        residual_blocks: per stage (2 for CUB, 3 for COCO).
        legacy_mask: use the attention mask of the released code.
        sentence_dim: width of the text encoder's vectors; `t2igan fit` takes the DAMSM's.
        generator: any other generator.
        discriminators: any other discriminators; None makes one per image of the generator.
        objective: any other objective; None is cross-entropy.
        generator_losses: None is the DAMSM loss, plus the divergence if there is conditioning augmentation.
        damsm_weight: lambda (5 for CUB, 50 for COCO).
        kl_weight: weight of the divergence.
        kwargs: as of :class:`AdversarialModule`.
    """

    VOID = (
        (("generator",), ("image_size", "channels", "residual_blocks", "legacy_mask", "sentence_dim")),
        (("discriminators",), ("discriminator_channels",)),
        (("generator_losses",), ("damsm_weight", "kl_weight")),
    )

    def __init__(
        self,
        damsm: str | None = None,
        image_size: Side = 256,
        channels: Count = 32,
        discriminator_channels: Count = 64,
        residual_blocks: Whole = 2,
        legacy_mask: bool = False,
        sentence_dim: Count = 256,
        generator: Generator | None = None,
        discriminators: list[Discriminator] | None = None,
        objective: Objective | None = None,
        generator_losses: list[GeneratorLoss] | None = None,
        damsm_weight: Weight = 5.0,
        kl_weight: Weight = 1.0,
        **kwargs: Any,
    ) -> None:
        generator = generator or AttnGANGenerator(
            image_size,
            channels=channels,
            residual_blocks=residual_blocks,
            legacy_mask=legacy_mask,
            sentence_dim=sentence_dim,
        )
        if generator_losses is None:
            generator_losses = matching_losses(generator, damsm_weight, kl_weight)
        if discriminators is None:
            discriminators = attngan_discriminators(generator, discriminator_channels)
        super().__init__(
            generator=generator,
            discriminators=discriminators,
            objective=objective or BCE(),
            damsm=damsm,
            generator_losses=generator_losses,
            **kwargs,
        )
