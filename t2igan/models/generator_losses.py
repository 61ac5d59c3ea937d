"""Further terms of a generator's loss besides the adversarial one, configurable in YAML."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from torch import Tensor, nn

from t2igan.data.batch import CaptionedImages
from t2igan.errors import UserError
from t2igan.losses.adversarial import Logits
from t2igan.losses.matching import Gammas, damsm_loss
from t2igan.networks.synthesis import Discriminator, Generator, Synthesis
from t2igan.nn.config import Configured
from t2igan.ranges import Weight
from t2igan.text import TextEmbedding

if TYPE_CHECKING:
    from t2igan.models.damsm import DAMSM


@dataclass
class Discriminated:
    """Output of a discriminator for the generated images, with its graph.

    Attributes:
        discriminator: network that gave the output.
        verdict: its logits and features.
        condition: condition of the images.
    """

    discriminator: Discriminator
    verdict: Logits
    condition: Tensor


def _no_real_images(size: int) -> Tensor:
    raise RuntimeError(f"this view of the generator has no real images of {size} px")


@dataclass
class GeneratorView:
    """Inputs of a generator's loss.

    Attributes:
        synthesis: generated images, with their graph.
        text: the DAMSM's embedding of the captions, detached.
        batch: real images and captions.
        scorer: the pre-trained DAMSM, or None.
        real: function that returns the real images (B, 3, size, size) in [-1, 1] at a size.
        discriminated: output of each discriminator.
    """

    synthesis: Synthesis
    text: TextEmbedding
    batch: CaptionedImages
    scorer: "DAMSM | None"
    real: Callable[[int], Tensor] = _no_real_images
    discriminated: Sequence[Discriminated] = ()


class GeneratorLoss(Configured, nn.Module):
    """Base class of weighted loss terms.

    Attributes:
        name: key of the term in the logs.
        gammas: smoothing factors of a loss that uses the DAMSM, otherwise None.
        needs_scorer: whether it uses the DAMSM.
        inputs: sha256 of the content of checkpoints that :meth:`prepare` read, by the key that names them.
    """

    name: str
    gammas: Gammas
    needs_scorer: bool = False
    inputs: Mapping[str, str] = MappingProxyType({})

    def prepare(self, vocabulary: list[str]) -> None:
        """Load the networks that the loss needs from their files, once before training; no checkpoint holds them.

        Args:
            vocabulary: words of the data set, index 0 = ``<end>``.
        """

    def forward(self, view: GeneratorView) -> Tensor:
        """The weighted loss, a scalar."""
        raise NotImplementedError


class DAMSMLoss(GeneratorLoss):
    """DAMSM loss of generated images and their captions (AttnGAN, Eq. 13; SSA-GAN, Eq. 9).

    Args:
        weight: lambda (SSA-GAN 0.05 released, 0.1 paper; AttnGAN 5 for CUB, 50 for COCO).
        gammas: smoothing factors (5, 5, 10 in SSA-GAN's released code).
        class_masking: ignore pairs of equal class.
    """

    name = "damsm"
    needs_scorer = True

    def __init__(
        self,
        weight: Weight,
        gammas: Gammas = Gammas(),  # noqa: B008 (frozen)
        class_masking: bool = True,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.gammas = gammas
        self.class_masking = class_masking

    def forward(self, view: GeneratorView) -> Tensor:
        """The weighted DAMSM loss of the finest images."""
        if view.scorer is None:
            raise UserError("DAMSMLoss needs a DAMSM checkpoint: set model.init_args.damsm")
        regions, codes = view.scorer.image_encoder(view.synthesis.images[-1])
        class_ids = view.batch.class_ids if self.class_masking else None
        return self.weight * damsm_loss(regions, codes, view.text, class_ids, self.gammas, everywhere=True).total


class KLLoss(GeneratorLoss):
    """Divergence of the conditioning augmentation from a standard normal (AttnGAN's code), mean over all elements.

    Args:
        weight: 1 in all released code.
    """

    name = "kl"

    def __init__(self, weight: Weight = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, view: GeneratorView) -> Tensor:
        """The weighted divergence.

        Raises:
            UserError: the generator has no conditioning augmentation.
        """
        mu, logvar = view.synthesis.mu, view.synthesis.logvar
        if mu is None or logvar is None:
            raise UserError(
                "KLLoss needs a generator with conditioning augmentation: remove it from generator_losses"
            )
        return -0.5 * self.weight * (1 + logvar - mu.square() - logvar.exp()).mean()


def matching_losses(generator: Generator, damsm_weight: float, kl_weight: float) -> list[GeneratorLoss]:
    """Default terms besides the adversarial one: DAMSM loss if weighted, divergence if the generator has F_ca.

    Args:
        generator: generator that is trained.
        damsm_weight: lambda (AttnGAN, Eq. 14); the smoothing factors are those of the released settings.
        kl_weight: weight of the divergence.
    """
    losses: list[GeneratorLoss] = [DAMSMLoss(damsm_weight, Gammas(4, 5, 10))] if damsm_weight else []
    return losses + ([KLLoss(kl_weight)] if generator.eps_dim else [])
