"""The seams between generators, discriminators and the training loop."""

from dataclasses import dataclass, field

from torch import Tensor, nn

from t2igan.nn.recipe import Recipe
from t2igan.text import TextEmbedding


@dataclass
class Synthesis:
    """What every generator returns.

    Attributes:
        images: list of (B, 3, S, S) in [-1, 1], coarse to fine.
        attention: list of (B, T, s, s), word attention per stage; empty where there is none.
        masks: list of (B, 1, s, s) in (0, 1), fusion masks per stage; empty where there are none.
        mu: (B, C), mean of the conditioning augmentation, or None.
        logvar: (B, C), log variance of the conditioning augmentation, or None.
    """

    images: list[Tensor]
    attention: list[Tensor] = field(default_factory=list)
    masks: list[Tensor] = field(default_factory=list)
    mu: Tensor | None = None
    logvar: Tensor | None = None

    def of_size(self, size: int) -> Tensor:
        """The pictures (B, 3, size, size).

        Raises:
            StopIteration: there are none of that size.
        """
        return next(image for image in self.images if image.shape[-1] == size)


class Generator(Recipe, nn.Module):
    """Noise and text -> pictures.

    A generator with conditioning augmentation sets ``eps_dim`` and takes that noise as a third argument of
    ``forward``; without the argument it draws it, in eval mode too.

    Attributes:
        noise_dim: width Z of the noise.
        sentence_dim: width D of the sentence vectors it takes.
        image_sizes: side in pixels of each image returned, coarse to fine.
        eps_dim: width E of the conditioning augmentation's noise, 0 without one.
    """

    noise_dim: int
    sentence_dim: int
    image_sizes: list[int]
    eps_dim: int = 0

    def forward(self, noise: Tensor, text: TextEmbedding) -> Synthesis:
        """Draw one picture for each row of ``noise`` (B, Z) and of ``text``."""
        raise NotImplementedError

    @property
    def random_dim(self) -> int:
        """Width Z + E of all that a picture depends on beside its caption."""
        return self.noise_dim + self.eps_dim

    def from_random(self, random: Tensor, text: TextEmbedding) -> Synthesis:
        """Draw as a pure function of ``random`` (B, Z + E), standard normal, and of ``text``."""
        if not self.eps_dim:
            return self(random, text)
        noise, eps = random.split([self.noise_dim, self.eps_dim], dim=1)
        return self(noise, text, eps)


class Discriminator(Recipe, nn.Module):
    """A critic of pictures of one size; ``forward(image (B, 3, S, S))`` gives its features.

    Attributes:
        image_size: side S of the pictures it judges.
        probabilities: whether it gives probabilities in place of logits, as released ones do; none trains so.
    """

    image_size: int
    probabilities: bool = False

    def conditional(self, features: Tensor, sentence: Tensor) -> Tensor:
        """Logits (B,) of "real and matching", from features and sentence vectors (B, D)."""
        raise NotImplementedError

    def unconditional(self, features: Tensor) -> Tensor | None:
        """Logits (B,) of "real", or None for a discriminator that judges pairs only."""
        return None
