"""Containers for released files with several networks, or with a single one."""

from torch import Tensor, nn

from t2igan.models.suite_module import SuiteModule
from t2igan.networks.dfgan import DFGANGenerator, OneWayDiscriminator
from t2igan.networks.synthesis import Generator, Synthesis
from t2igan.text import TextEmbedding


class DFGANNetworks(Generator):
    """The networks of DF-GAN's container: its generator, and the discriminator that netD and netC are together.

    Args:
        generator: generator of the container, which :meth:`forward` calls.
        discriminator: discriminator of image-text pairs.
    """

    def __init__(self, generator: DFGANGenerator, discriminator: OneWayDiscriminator) -> None:
        super().__init__()
        self.noise_dim, self.sentence_dim = generator.noise_dim, generator.sentence_dim
        self.image_sizes = generator.image_sizes
        self.generator = generator
        self.discriminator = discriminator

    def forward(self, noise: Tensor, text: TextEmbedding) -> Synthesis:
        """Draw one image for each row of ``noise`` (B, Z) and of ``text``."""
        return self.generator(noise, text)

    def features(self, image: Tensor) -> Tensor:
        """The discriminator's features (B, C, 4, 4) of images (B, 3, S, S)."""
        return self.discriminator(image)

    def conditional(self, features: Tensor, sentence: Tensor) -> Tensor:
        """Logits (B,) of "real and matching"."""
        return self.discriminator.conditional(features, sentence)

    def unconditional(self, features: Tensor) -> Tensor | None:
        """None: the discriminator judges pairs only."""
        return self.discriminator.unconditional(features)


class LoneNetwork(SuiteModule):
    """A module that holds a single imported network until the rest of its system is available.

    Args:
        network: any network of the suite that has a config.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
