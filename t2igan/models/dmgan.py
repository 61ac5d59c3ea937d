"""DM-GAN: dynamic memory generative adversarial networks for text-to-image synthesis (Zhu et al., CVPR 2019).

AttnGAN's losses and training, with the networks of :mod:`t2igan.networks.dmgan`.
"""

from functools import partial
from typing import Any

from t2igan.models.attngan import AttnGAN
from t2igan.networks.dmgan import DMGANDiscriminator, DMGANGenerator
from t2igan.networks.synthesis import Discriminator, Generator
from t2igan.ranges import Count, Side, Whole

# Checkpoints and configurations name the networks by this module.
__all__ = ["DMGAN", "DMGANDiscriminator", "DMGANGenerator"]


class DMGAN(AttnGAN):
    """AttnGAN's training with DM-GAN's networks: cross-entropy at every scale, DAMSM loss, divergence of F_ca.

    Args:
        damsm: checkpoint of the DAMSM that gives the text encoder and scores what is generated.
        image_size: side of the finest image.
        channels: width of the generator (64 for CUB and COCO).
        discriminator_channels: base width of the discriminators (32 for CUB and COCO).
        residual_blocks: per refinement (2 for CUB, 3 for COCO).
        legacy_mask: the attention mask as released.
        legacy_power_iteration: spectral normalisation as released.
        sentence_dim: width of the text encoder's vectors; `t2igan fit` takes the DAMSM's.
        generator: any other generator.
        discriminators: any other discriminators; None makes one per image of the generator.
        kwargs: as of :class:`AttnGAN`.
    """

    VOID = (*AttnGAN.VOID, (("discriminators",), ("legacy_power_iteration",)))

    def __init__(
        self,
        damsm: str | None = None,
        image_size: Side = 256,
        channels: Count = 64,
        discriminator_channels: Count = 32,
        residual_blocks: Whole = 2,
        legacy_mask: bool = False,
        legacy_power_iteration: bool = False,
        sentence_dim: Count = 256,
        generator: Generator | None = None,
        discriminators: list[Discriminator] | None = None,
        **kwargs: Any,
    ) -> None:
        generator = generator or DMGANGenerator(
            image_size,
            channels=channels,
            residual_blocks=residual_blocks,
            legacy_mask=legacy_mask,
            sentence_dim=sentence_dim,
        )
        if discriminators is None:
            discriminator = partial(DMGANDiscriminator, legacy_power_iteration=legacy_power_iteration)
            discriminators = [
                discriminator(size, discriminator_channels, generator.sentence_dim)
                for size in generator.image_sizes
            ]
        super().__init__(damsm=damsm, generator=generator, discriminators=discriminators, **kwargs)
