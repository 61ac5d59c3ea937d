"""Common parts of DF-GAN and SSA-GAN: channel widths, and blocks of the one-way discriminator."""

import torch
from torch import Tensor, nn

from t2igan.nn.convolution import Conv2d, Halving, LeakyReLU


def stage_widths(image_size: int, channels: int, widest: int) -> list[int]:
    """Number of channels at each resolution, from the image's side down to 4x4.

    Args:
        image_size: side of the image.
        channels: width at the image's side; it doubles with each halving of the side.
        widest: the largest multiple of ``channels``.

    Raises:
        ValueError: ``image_size`` is not a power of two, or below 4.
    """
    if image_size < 4 or image_size & (image_size - 1):
        raise ValueError(f"image_size must be a power of two and at least 4, not {image_size}")
    return [channels * min(widest, 2**k) for k in range(image_size.bit_length() - 2)]


class DownBlock(nn.Module):
    """Residual block that halves the resolution. ``gain`` starts at zero.

    Without a change of width the 1x1 convolution is unused; the block has it anyway, like the released weights.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            Conv2d(channels, out_channels, 4, stride=2, padding=1, bias=False),
            LeakyReLU(0.2),
            Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            LeakyReLU(0.2),
        )
        self.shortcut = Conv2d(channels, out_channels, 1)
        self.uses_shortcut = channels != out_channels
        self.gain = nn.Parameter(torch.zeros(1))
        self.halve = Halving()

    def forward(self, features: Tensor) -> Tensor:
        """``features`` (B, C, s, s) -> (B, C', s / 2, s / 2)."""
        # Pooling first: it commutes with a 1x1 convolution, which then costs a quarter.
        shortcut = self.halve(features)
        if self.uses_shortcut:
            shortcut = self.shortcut(shortcut)
        return torch.addcmul(shortcut, self.gain, self.residual(features))
