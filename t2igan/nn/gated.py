"""Convolutional blocks with gated linear units, of the AttnGAN family."""

import torch
from torch import Tensor, nn

from t2igan.nn.convolution import DoublingConv2d, RepeatedConv2d


def up_block(channels: int, out_channels: int) -> nn.Sequential:
    """Nearest upsampling by two, 3x3 convolution, batch norm, gated linear unit."""
    return nn.Sequential(
        nn.Identity(),  # keeps the layer numbers of released checkpoints
        DoublingConv2d(channels, 2 * out_channels, bias=False),
        nn.BatchNorm2d(2 * out_channels),
        nn.GLU(dim=1),
    )


class ResidualBlock(nn.Module):
    """Two convolutions beside an identity; no activation after the sum.

    Args:
        channels: channels of input and output.
        repeated: the input's second half repeats the first, and only the first is given.
    """

    def __init__(self, channels: int, repeated: bool = False) -> None:
        super().__init__()
        self.repeated = repeated
        wide = 2 * channels
        self.block = nn.Sequential(
            RepeatedConv2d(channels, wide) if repeated else nn.Conv2d(channels, wide, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * channels),
            nn.GLU(dim=1),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """``features`` (B, C, h, w), or (B, C / 2, h, w) of ``repeated`` ones -> (B, C, h, w)."""
        whole = torch.cat([features, features], dim=1) if self.repeated else features
        return whole + self.block(features)
