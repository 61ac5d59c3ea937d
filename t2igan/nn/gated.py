"""Convolutional blocks with gated linear units, of the AttnGAN family."""

from torch import Tensor, nn

from t2igan.nn.convolution import DoublingConv2d


def up_block(channels: int, out_channels: int) -> nn.Sequential:
    """Nearest upsampling by two, 3x3 convolution, batch norm, gated linear unit."""
    return nn.Sequential(
        nn.Identity(),  # released checkpoints number the upsampling, too
        DoublingConv2d(channels, 2 * out_channels, bias=False),
        nn.BatchNorm2d(2 * out_channels),
        nn.GLU(dim=1),
    )


class ResidualBlock(nn.Module):
    """Two convolutions beside an identity; no activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * channels),
            nn.GLU(dim=1),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """``features`` (B, C, h, w) -> the same shape."""
        return features + self.block(features)
