"""MirrorGAN: learning text-to-image generation by redescription (Qiao et al., CVPR 2019).

Three parts: STEM embeds the caption (:class:`t2igan.text.TextEncoder`); GLAM, in the cascaded generator
(:mod:`t2igan.networks.mirrorgan`), attends to its words and to the sentence as a whole; STREAM
(:mod:`t2igan.models.stream`) captions the generated image, which should reproduce its caption
(:mod:`t2igan.models.redescription`).
"""

from typing import Any, Literal

from t2igan.data.batch import CaptionedImages
from t2igan.errors import UserError
from t2igan.losses.adversarial import BCE, Objective
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.generator_losses import GeneratorLoss, matching_losses
from t2igan.models.redescription import RedescriptionLoss
from t2igan.networks.attngan import attngan_discriminators
from t2igan.networks.mirrorgan import MirrorGANGenerator, SoftmaxOver
from t2igan.networks.synthesis import Discriminator, Generator
from t2igan.ranges import Count, Side, Weight, Whole

# Checkpoints and configurations name the networks by this module.
__all__ = ["MirrorGAN", "MirrorGANGenerator"]


class MirrorGAN(AdversarialModule):
    """MirrorGAN's training: cross-entropy at every scale, redescription of the finest image, divergence of F_ca.

    Args:
        damsm: checkpoint of the DAMSM whose text encoder is STEM; in validation it scores generated images.
        captioner: checkpoint of a STREAM trained on the same vocabulary. With ``redescription_weight`` 0 it is used
            in validation only, and may be left out.
        image_size: side of the finest image.
        channels: width of the generator (32 for CUB).
        discriminator_channels: base width of the discriminators (64 for CUB).
        residual_blocks: per stage (2 for CUB).
        legacy_mask: use the attention mask of the released code.
        sentence_softmax: dimension over which the sentence attention is normalised; see :class:`SentenceAttention`.
        sentence_dim: width of the text encoder's vectors; `t2igan fit` takes the DAMSM's.
        generator: any other generator.
        discriminators: any other discriminators; None makes one per image of the generator.
        objective: any other objective; None is cross-entropy.
        generator_losses: None builds them from the weights below.
        redescription_weight: lambda (10 released, 20 in the paper).
        redescription_reduction: reduction of the loss of single words; see :class:`RedescriptionLoss`.
        damsm_weight: weight of AttnGAN's DAMSM loss, which MirrorGAN does not use.
        kl_weight: weight of the divergence.
        kwargs: as of :class:`AdversarialModule`.
    """

    VOID = (
        (
            ("generator",),
            ("image_size", "channels", "residual_blocks", "legacy_mask", "sentence_softmax", "sentence_dim"),
        ),
        (("discriminators",), ("discriminator_channels",)),
        (
            ("generator_losses",),
            ("captioner", "redescription_weight", "redescription_reduction", "damsm_weight", "kl_weight"),
        ),
    )

    def __init__(
        self,
        damsm: str | None = None,
        captioner: str | None = None,
        image_size: Side = 256,
        channels: Count = 32,
        discriminator_channels: Count = 64,
        residual_blocks: Whole = 2,
        legacy_mask: bool = False,
        sentence_softmax: SoftmaxOver = "channels",
        sentence_dim: Count = 256,
        generator: Generator | None = None,
        discriminators: list[Discriminator] | None = None,
        objective: Objective | None = None,
        generator_losses: list[GeneratorLoss] | None = None,
        redescription_weight: Weight = 10.0,
        redescription_reduction: Literal["mean", "sum"] = "mean",
        damsm_weight: Weight = 0.0,
        kl_weight: Weight = 1.0,
        **kwargs: Any,
    ) -> None:
        generator = generator or MirrorGANGenerator(
            image_size,
            channels=channels,
            residual_blocks=residual_blocks,
            legacy_mask=legacy_mask,
            sentence_softmax=sentence_softmax,
            sentence_dim=sentence_dim,
        )
        if generator_losses is None:
            generator_losses = redescription(captioner, redescription_weight, redescription_reduction)
            generator_losses += matching_losses(generator, damsm_weight, kl_weight)
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

    def validation_step(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Validate like every GAN, and log the captioner's loss per word on generated images."""
        super().validation_step(batch, batch_idx)
        streams = [loss.stream for loss in self.generator_losses if isinstance(loss, RedescriptionLoss)]
        if not streams:
            return
        features = streams[0].encoder(self.predict_step(batch, batch_idx))
        words = batch.lengths.sum()
        loss = -streams[0].decoder.log_probabilities(features, batch.captions, batch.lengths).sum() / words
        self.log("val/redescription", loss, prog_bar=True, batch_size=int(words), sync_dist=True)


def redescription(captioner: str | None, weight: float, reduction: Literal["mean", "sum"]) -> list[GeneratorLoss]:
    """The redescription loss, or no loss if there is neither a captioner nor a weight.

    Raises:
        UserError: a weight is given without a captioner.
    """
    if captioner is None and weight:
        raise UserError(
            "MirrorGAN needs a captioner: set model.init_args.captioner to the checkpoint of a STREAM, "
            "or model.init_args.redescription_weight to 0"
        )
    return [] if captioner is None else [RedescriptionLoss(captioner, weight, reduction)]
