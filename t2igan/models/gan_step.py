"""Data of one training step of a GAN, and the passes of its discriminators."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from t2igan.data.batch import CaptionedImages
from t2igan.data.datasets import resize_images
from t2igan.losses.adversarial import Logits
from t2igan.networks.synthesis import Discriminator, Synthesis, require_logits
from t2igan.nn.images import to_signed
from t2igan.nn.in_turn import in_turn, take_turns
from t2igan.nn.randomness import StepRandom
from t2igan.text import TextEmbedding

BEYOND, SHARE_BEYOND = 1.01, 0.05
"""A generator without tanh oversteps the range a little and legitimately; rounding reaches 1."""
MIDDLE_OF_SIGMOID = 0.25
"""Half of the mean of an untrained sigmoid; that of an untrained tanh is 0."""


@dataclass
class Chunk:
    """A part of the batch in one training step, for gradient accumulation.

    Attributes:
        batch: real images and captions.
        images: the images (B, 3, S, S) in [-1, 1].
        noise: (B, Z + E).
        scored_text: embedding of the captions by the scoring DAMSM.
        synthesis: generated images, None before generation.
        told: conditions of the generator, detached; None before generation.
        random: random numbers of the step for these samples; None uses torch's generator.
    """

    batch: CaptionedImages
    images: Tensor
    noise: Tensor
    scored_text: TextEmbedding
    synthesis: Synthesis | None = None
    told: TextEmbedding | None = None
    random: StepRandom | None = None

    @property
    def generated(self) -> Synthesis:
        """The generated images.

        Raises:
            RuntimeError: nothing yet.
        """
        if self.synthesis is None:
            raise RuntimeError("nothing was generated of this chunk yet")
        return self.synthesis

    @property
    def conditions(self) -> TextEmbedding:
        """The conditions of the generator, detached.

        Raises:
            RuntimeError: nothing yet.
        """
        if self.told is None:
            raise RuntimeError("the generator was told nothing of this chunk yet")
        return self.told

    def real(self, size: int) -> Tensor:
        """The real images (B, 3, size, size) in [-1, 1], resized in whole levels as PIL does."""
        if self.images.shape[-1] == size:
            return self.images
        return to_signed(resize_images(self.batch.images, size))


def discriminate_pairs(
    discriminator: Discriminator,
    real: Tensor,
    generated: Tensor,
    condition: Tensor,
    mismatch: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None,
    jointly: bool = False,
) -> tuple[Logits, Logits, Tensor]:
    """A discriminator's logits of real, generated and mismatched pairs.

    Args:
        discriminator: network whose logits are computed.
        real: images (B, 3, S, S).
        generated: images (B, 3, S, S), detached.
        condition: (B, ...), condition of both (:meth:`Discriminator.condition`).
        mismatch: function from (features, condition) to features and conditions of mismatched pairs; None for no
            such pairs.
        jointly: process real and generated images in one pass, if the discriminator allows it.

    Returns:
        Logits of real and generated pairs, and conditional logits (M,) of mismatched pairs.
    """
    if mismatch is None:
        verdict = discriminator.verdict(real, condition)
        _check_verdict(discriminator, verdict, len(real), "its weights")
        return verdict, discriminator.verdict(generated, condition), real.new_empty(0)
    # Real features, generated features, then the heads: the released order, which matters because batch norm
    # and the power iterations of DM-GAN's discriminators keep state.
    if jointly and discriminator.independent and take_turns(discriminator):
        rows = [len(real), len(generated)]
        with in_turn(discriminator, rows):
            features, features_generated = discriminator(torch.cat([real, generated])).split(rows)
    else:
        features, features_generated = discriminator(real), discriminator(generated)
    wrong_pairs = mismatch(features, condition)
    conditional = discriminator.conditional(features, condition)
    conditional_generated = discriminator.conditional(features_generated, condition)
    wrong = discriminator.conditional(*wrong_pairs)
    verdict = Logits(conditional, discriminator.unconditional(features))
    _check_verdict(discriminator, verdict, len(real), "its weights")
    return (
        verdict,
        Logits(conditional_generated, discriminator.unconditional(features_generated)),
        wrong,
    )


def deceiving_verdict(discriminator: Discriminator, images: Tensor, condition: Tensor) -> Logits:
    """A discriminator's outputs for generated images, whose gradient reaches the generator.

    Raises:
        UserError: the logits are not one a pair, or carry no gradient to the images.
    """
    verdict = discriminator.verdict(images, condition)
    _check_verdict(discriminator, verdict, len(images), "the images")
    return verdict


def _check_verdict(discriminator: Discriminator, verdict: Logits, rows: int, source: str) -> None:
    if "segments" in discriminator.requires:  # one logit per cell with a segment
        return
    require_logits(discriminator, verdict.conditional, rows, source=source)
    if verdict.unconditional is not None:
        require_logits(discriminator, verdict.unconditional, rows, "unconditional", source)


def warn_of_range(images: Tensor, generator: object, step: int) -> None:
    """Warn of images that are not in [-1, 1]: they train, but are cut off where they are stored and scored.

    Args:
        images: generated images (B, 3, S, S).
        generator: their generator.
        step: training step, counted from 0.
    """
    least, most = images.min().item(), images.max().item()
    outside = (images.abs() > BEYOND).float().mean().item()
    name = type(generator).__name__
    told = f"step {step}: {name} returned values from {least:.3g} to {most:.3g}; images lie in -1 to 1"
    if outside > SHARE_BEYOND:
        rank_zero_warn(f"{told}, and {outside:.0%} of these are cut off: end it with tanh, unless this is meant")
    elif step == 0 and least >= 0 and images.mean() > MIDDLE_OF_SIGMOID:
        rank_zero_warn(f"{told}: end it with tanh rather than sigmoid, unless this is meant")


def verdicts(real: Logits, fake: Logits, wrong: Tensor, share: float = 1.0) -> dict[str, Tensor]:
    """Mean logits of all kinds of pairs, and the margin between real and generated images.

    Args:
        real: logits of real images with their captions.
        fake: logits of generated images with their captions.
        wrong: logits of real images with captions of others, (M,); M may be 0.
        share: weight of their mean, see :func:`t2igan.losses.mismatch.mismatch_share`.

    Returns:
        Scalars ``logits_real``, ``logits_fake``, ``margin`` (real minus fake) and, if M > 0, ``logits_wrong``.
    """
    values = {"logits_real": real.conditional.mean(), "logits_fake": fake.conditional.mean()}
    values["margin"] = values["logits_real"] - values["logits_fake"]
    if len(wrong) or share == 0:
        values["logits_wrong"] = wrong.mean() * share if len(wrong) else wrong.sum()
    return values
