"""SSA-GAN: text to image generation with semantic-spatial aware GAN (Liao et al., CVPR 2022).

The generator draws with semantic-spatial aware convolution blocks (SSACN): batch normalisation modulated by the
sentence, only where a weakly supervised mask says so. The discriminator is the one-way discriminator of DF-GAN's
first version. Where paper and released code differ the code is the default; options carry the paper's reading.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2igan.losses.adversarial import Hinge, Objective
from t2igan.losses.gradient_penalty import MAGP
from t2igan.losses.matching import Gammas
from t2igan.models.adversarial import AdversarialModule, TextMode
from t2igan.models.dfgan import OneWayDiscriminator, one_way_discriminators  # noqa: F401 (named in checkpoints)
from t2igan.models.generator_losses import DAMSMLoss, GeneratorLoss
from t2igan.models.synthesis import Discriminator, Generator, Synthesis
from t2igan.nn.convolution import double
from t2igan.nn.modules import Modules
from t2igan.nn.one_way import stage_widths
from t2igan.ranges import Count, Decay, Rate, Weight
from t2igan.text import TextEmbedding

MLP_WIDTH = 256


class MaskPredictor(nn.Sequential):
    """Features (B, C, s, s) -> logits (B, 1, s, s) of the mask: where the caption is to act (sec. 3.2)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 1, 1),
        )


class SentenceMLP(nn.Sequential):
    """Sentence -> one modulation parameter per channel; zero at the start of training."""

    def __init__(self, sentence_dim: int, channels: int) -> None:
        first, last = (
            nn.Linear(sentence_dim, MLP_WIDTH),
            nn.Linear(MLP_WIDTH, channels),
        )  # a seed draws in this order
        super().__init__(first, nn.ReLU(), last)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)


class SSCBN(nn.Module):
    """Semantic-spatial condition batch normalisation (sec. 3.2, Eqs. 3 to 5).

    Computes (1 + m gamma) x^ + m beta, x^ being the normalised features, as the released code does; the paper's
    equation has m (gamma x^ + beta), its figure the skip connection that makes the two agree.
    """

    def __init__(self, channels: int, sentence_dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gamma = SentenceMLP(sentence_dim, channels)
        self.beta = SentenceMLP(sentence_dim, channels)

    def forward(self, features: Tensor, sentence: Tensor, mask: Tensor) -> Tensor:
        """Modulate ``features`` (B, C, s, s) by ``sentence`` (B, D) where ``mask`` (B, 1, s, s) is high."""
        normalised = self.norm(features)
        gamma = self.gamma(sentence)[:, :, None, None]
        beta = self.beta(sentence)[:, :, None, None]
        return torch.addcmul(normalised, mask, torch.addcmul(beta, gamma, normalised))


class SSACNBlock(nn.Module):
    """One SSACN block (sec. 3.2, Fig. 2): two modulated convolutions beside a shortcut.

    ``gain`` starts at zero, so that training starts from the shortcut alone.
    """

    def __init__(self, channels: int, out_channels: int, sentence_dim: int) -> None:
        super().__init__()
        self.affine1 = SSCBN(channels, sentence_dim)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.affine2 = SSCBN(out_channels, sentence_dim)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, out_channels, 1) if channels != out_channels else nn.Identity()
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, features: Tensor, sentence: Tensor, mask: Tensor, upsample: bool) -> Tensor:
        """``features`` (B, C, s, s) -> (B, C', s, s), or (B, C', 2s, 2s) with ``upsample``."""
        # A 1x1 convolution commutes with nearest upsampling, and costs a quarter before it.
        shortcut = self.shortcut(features)
        if upsample:
            features, shortcut = double(features), double(shortcut)
        residual = self.conv1(F.relu(self.affine1(features, sentence, mask)))
        residual = self.conv2(F.relu(self.affine2(residual, sentence, mask)))
        return torch.addcmul(shortcut, self.gain, residual)


class SSAGANGenerator(Generator):
    """Noise -> 4x4 features -> one SSACN block per resolution -> image (sec. 3.1).

    The caption enters through its sentence vector only; words are not used.

    Args:
        image_size: side of the image, a power of two (256 in the paper: seven blocks).
        channels: base width (64 in the paper; ``ngf``).
        noise_dim: width of the noise.
        sentence_dim: width of the sentence vector.
        mask_from_upsampled: predict each mask from the upsampled features of its own stage, as the paper's
            figure shows, rather than from the previous block's output with its logits upsampled, as released.
        mask_channels: width of the mask predictors.
    """

    def __init__(
        self,
        image_size: Count = 256,
        channels: Count = 64,
        noise_dim: Count = 100,
        sentence_dim: Count = 256,
        mask_from_upsampled: bool = False,
        mask_channels: Count = 100,
    ) -> None:
        super().__init__()
        outputs = stage_widths(image_size, channels, widest=8)[::-1]
        inputs = [8 * channels, *outputs[:-1]]
        self.noise_dim = noise_dim
        self.sentence_dim = sentence_dim
        self.image_sizes = [image_size]
        self.mask_from_upsampled = mask_from_upsampled
        self.fc = nn.Linear(noise_dim, 8 * channels * 4 * 4)
        self.masks = Modules(MaskPredictor(width, mask_channels) for width in inputs)
        self.blocks = nn.ModuleList(SSACNBlock(width, out, sentence_dim) for width, out in zip(inputs, outputs))
        self.to_image = nn.Sequential(
            nn.BatchNorm2d(outputs[-1]),
            nn.LeakyReLU(0.2),
            nn.Conv2d(outputs[-1], 3, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, noise: Tensor, text: TextEmbedding) -> Synthesis:
        """Draw; the masks returned are those of all stages, 4x4 first."""
        features = self.fc(noise).view(len(noise), -1, 4, 4)
        masks = []
        for stage, (predict, block) in enumerate(zip(self.masks, self.blocks)):
            upsample = stage > 0
            mask = self._mask(predict, features, upsample)
            features = block(features, text.sentence, mask, upsample)
            masks.append(mask)
        return Synthesis(images=[self.to_image(features)], masks=masks)

    def _mask(self, predict: MaskPredictor, features: Tensor, upsample: bool) -> Tensor:
        if not upsample:
            return predict(features).sigmoid()
        if self.mask_from_upsampled:
            return predict(double(features)).sigmoid()
        logits = F.interpolate(predict(features), scale_factor=2, mode="bilinear", align_corners=True)
        return logits.sigmoid()


class SSAGAN(AdversarialModule):
    """SSA-GAN's training: hinge, MA-GP as a step of its own, a light DAMSM loss, Adam without momentum.

    ``experiments/cub`` holds three settings: the suite's (text encoder trained jointly as the abstract has it,
    averaged weights), ``released`` and ``paper``.

    Args:
        damsm: checkpoint of the DAMSM that gives the text encoder and scores what is generated.
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
        betas: of Adam.
        ema_decay: of the averaged weights; the released code keeps none.
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
        image_size: Count = 256,
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
