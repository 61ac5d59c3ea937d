"""Layers with a faster equivalent implementation, which :mod:`t2igan.nn.levers` switches on."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2igan.nn.doubling import convolve_doubled, double
from t2igan.nn.second_order import convolve, halve, join, leaky_relu_

# Smallest side at which upsampling and convolution as one transposed convolution are faster (measured on a CPU).
SMALLEST_DOUBLED_SIDE = 8
# Maximum output positions and minimum weights at which one matrix product is faster (measured on a CPU).
FEW_PLACES = 64
MANY_WEIGHTS = 4_000_000


class Conv2d(nn.Conv2d):
    """PyTorch's convolution; with ``by_matrix`` computed as one matrix product if few positions meet many weights.

    Attributes:
        by_matrix: whether the matrix product may be used. CPU only.
        second_order: whether efficient second derivatives are used; not in mixed precision.
    """

    by_matrix = False
    second_order = False

    def forward(self, input: Tensor) -> Tensor:
        """``input`` (B, C, h, w) -> (B, C', h', w')."""
        # Only the layers for second derivatives return a zero gradient for the bias.
        if self.by_matrix and not (self.second_order and self.bias is not None) and self._is_wide_and_short(input):
            return convolve_by_matrix(input, self.weight, self.bias, self.stride[0], self._border)
        if self.second_order and self._is_plain and not torch.is_autocast_enabled(input.device.type):
            return convolve(input, self.weight, self.bias, self.stride[0], self._border, self.dilation[0])
        return super().forward(input)

    @property
    def _border(self) -> int:
        return int(self.padding[0])

    @property
    def _is_plain(self) -> bool:
        square = len({*self.kernel_size}) == len({*self.stride}) == len({*self.padding}) == 1
        dense = self.dilation == (1, 1) or self.kernel_size == (1, 1)
        return square and dense and self.groups == 1 and self.padding_mode == "zeros"

    def _is_wide_and_short(self, features: Tensor) -> bool:
        if not (self._is_plain and features.device.type == "cpu" and self.weight.numel() >= MANY_WEIGHTS):
            return False
        side = features.shape[-1] + 2 * self._border - self.kernel_size[0]
        return len(features) * (side // self.stride[0] + 1) ** 2 <= FEW_PLACES


class RepeatedConv2d(nn.Conv2d):
    """3x3 convolution of features that its input holds twice; with ``summed`` they are processed once.

    Weights that are applied to the same features are summed first, which halves the arithmetic.

    Args:
        channels: channels of the input including the repetition.
        out_channels: channels of the output.

    Attributes:
        summed: whether to sum the weights.
    """

    summed = False

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 3, padding=1, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """``input`` (B, C / 2, h, w) -> (B, C', h, w)."""
        if not self.summed:
            return super().forward(torch.cat([input, input], dim=1))
        first, second = self.weight.chunk(2, dim=1)
        return F.conv2d(input, first + second, padding=1)


class LeakyReLU(nn.LeakyReLU):
    """PyTorch's LeakyReLU with an efficient second derivative.

    Attributes:
        second_order: whether efficient second derivatives are used; then it works in place.
    """

    second_order = False

    def forward(self, input: Tensor) -> Tensor:
        """``input`` of any shape -> the same shape."""
        if self.second_order:
            return leaky_relu_(input, self.negative_slope)
        return super().forward(input)


class Halving(nn.Module):
    """Average pooling over 2x2 pixels.

    Attributes:
        second_order: whether efficient second derivatives are used.
    """

    second_order = False

    def forward(self, features: Tensor) -> Tensor:
        """``features`` (B, C, 2s, 2s) -> (B, C, s, s)."""
        return halve(features) if self.second_order else F.avg_pool2d(features, 2)


class Joining(nn.Module):
    """Concatenates features with a sentence vector at every position.

    Attributes:
        second_order: whether efficient second derivatives are used.
    """

    second_order = False

    def forward(self, features: Tensor, sentence: Tensor) -> Tensor:
        """``features`` (B, C, s, s) and ``sentence`` (B, D) -> (B, C + D, s, s)."""
        if self.second_order:
            return join(features, sentence)
        everywhere = sentence[:, :, None, None].expand(-1, -1, *features.shape[2:])
        return torch.cat([features, everywhere], dim=1)


def convolve_by_matrix(features: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """Compute a convolution as a matrix product of its weights with the unfolded windows.

    Args:
        features: (B, C, s, s).
        weight: (C', C, k, k).
        bias: (C',) or None.
        stride: stride of the windows.
        padding: zeros at each border.

    Returns:
        (B, C', s', s').
    """
    kernel = weight.shape[-1]
    side = (features.shape[-1] + 2 * padding - kernel) // stride + 1
    windows = F.unfold(features, kernel, padding=padding, stride=stride).transpose(0, 1).flatten(1)
    product = weight.flatten(1) @ windows
    if bias is not None:
        product = product + bias[:, None]
    return product.view(len(weight), len(features), side, side).transpose(0, 1)


class DoublingConv2d(Conv2d):
    """Nearest upsampling by two, then a 3x3 convolution with padding 1; with ``merged`` in one operation.

    Each of the four copies of a pixel depends on only 2x2 different pixels. Merged, it is a transposed 4x4
    convolution with stride 2 whose weights are sums of the nine: 16 products per position instead of 36.

    Args:
        channels: channels of the input.
        out_channels: channels of the output.
        bias: whether to add a bias.

    Attributes:
        merged: whether to merge both, if the features are large enough for it to be faster. CPU only.
    """

    merged = False

    def __init__(self, channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(channels, out_channels, 3, padding=1, bias=bias)

    def forward(self, input: Tensor, upsample: bool = True) -> Tensor:
        """``input`` (B, C, s, s) -> (B, C', 2s, 2s), or (B, C', s, s) without ``upsample``."""
        if not upsample:
            return super().forward(input)
        if self.merged and input.device.type == "cpu" and input.shape[-1] >= SMALLEST_DOUBLED_SIDE:
            return convolve_doubled(input, self.weight, self.bias)
        return super().forward(double(input))
