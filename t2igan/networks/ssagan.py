"""SSA-GAN's networks (Liao et al., CVPR 2022).

The generator consists of semantic-spatial aware convolution blocks (SSACN): batch normalisation modulated by the
sentence, weighted by a weakly supervised mask. Where paper and released code differ, the code is the default and
options select the paper's version.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2igan.networks.synthesis import Generator, Synthesis
from t2igan.nn.convolution import double
from t2igan.nn.modules import Modules
from t2igan.nn.one_way import stage_widths
from t2igan.ranges import Count, Side
from t2igan.text import TextEmbedding

MLP_WIDTH = 256


class MaskPredictor(nn.Sequential):
    """Features (B, C, s, s) -> logits (B, 1, s, s) of the mask, which localises the caption's effect (sec. 3.2)."""

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
        )  # initialised in this order, on which the weights of a seed depend
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
        # A 1x1 convolution commutes with nearest upsampling; before it, it costs a quarter.
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

    recomputes = True

    def __init__(
        self,
        image_size: Side = 256,
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
        """Generate images and the masks of all stages, 4x4 first."""
        features = self.fc(noise).view(len(noise), -1, 4, 4)
        masks = []
        for stage, (predict, block) in enumerate(zip(self.masks, self.blocks)):
            upsample = stage > 0
            mask = self._mask(predict, features, upsample)
            features = self.through(block, features, text.sentence, mask, upsample)
            masks.append(mask)
        return Synthesis(images=[self.to_image(features)], masks=masks)

    def _mask(self, predict: MaskPredictor, features: Tensor, upsample: bool) -> Tensor:
        if not upsample:
            return predict(features).sigmoid()
        if self.mask_from_upsampled:
            return predict(double(features)).sigmoid()
        logits = F.interpolate(predict(features), scale_factor=2, mode="bilinear", align_corners=True)
        return logits.sigmoid()
