"""Nearest upsampling followed by a 3x3 convolution, as one transposed convolution."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

# Smallest side at which channels last is faster even with the conversions to and from it (measured on a CPU).
# It is not for the gradient of the weights.
SMALLEST_TURNED_SIDE = 64


def double(features: Tensor) -> Tensor:
    """Nearest upsampling of ``features`` (B, C, s, s) by two."""
    return F.interpolate(features, scale_factor=2, mode="nearest")


def convolve_doubled(features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """3x3 convolution with padding 1 of the upsampled ``features``, without upsampling them.

    Args:
        features: (B, C, s, s).
        weight: (C', C, 3, 3).
        bias: (C',) or None.

    Returns:
        (B, C', 2s, 2s), in the memory layout of ``features``.
    """
    summed = _sum_taps(_sum_taps(weight, 2), 3).transpose(0, 1)
    large = features.shape[-1] >= SMALLEST_TURNED_SIDE and features.is_contiguous()
    if not large or torch.is_autocast_enabled(features.device.type):
        return F.conv_transpose2d(features, summed, bias, stride=2, padding=1)
    return _Turned.apply(features, summed, bias)


def _sum_taps(weight: Tensor, dim: int) -> Tensor:
    """Convert three taps on doubled pixels to four on the original ones, by summing taps on the same pixel."""
    first, middle, last = weight.unbind(dim)
    return torch.stack([last, middle + last, first + middle, first], dim)


class _Turned(Function):
    """The transposed convolution, using channels last internally if that is faster."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(features, weight)
        return channels_first(F.conv_transpose2d(channels_last(features), weight, bias, stride=2, padding=1))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        features, weight = ctx.saved_tensors
        of_features, of_others = None, (None, None, None)
        if ctx.needs_input_grad[0]:
            turned = _gradients(channels_last(grad), channels_last(features), weight, [True, False, False])[0]
            of_features = channels_first(turned)
        wanted = [False, *ctx.needs_input_grad[1:]]
        if any(wanted):
            of_others = _gradients(grad.contiguous(), features, weight, wanted)
        return of_features, *of_others[1:]


def _gradients(grad: Tensor, features: Tensor, weight: Tensor, wanted: list[bool]) -> Any:
    """Gradients of input, weight and bias; None if not needed."""
    two, one = [2, 2], [1, 1]
    return torch.ops.aten.convolution_backward(
        grad, features, weight, [weight.shape[1]], two, one, one, True, [0, 0], 1, wanted
    )


def channels_last(features: Tensor) -> Tensor:
    """Convert ``features`` (B, C, h, w) to channels last, on a CPU faster than PyTorch's own copy."""
    return _turn(features, torch.channels_last)


def channels_first(features: Tensor) -> Tensor:
    """Convert ``features`` (B, C, h, w) to contiguous layout, on a CPU faster than PyTorch's own copy."""
    return _turn(features, torch.contiguous_format)


def _turn(features: Tensor, layout: torch.memory_format) -> Tensor:
    if features.is_contiguous(memory_format=layout):
        return features
    if torch.is_grad_enabled():  # the result will be differentiated again
        return features.contiguous(memory_format=layout)
    turned = torch.empty_like(features, memory_format=layout)
    # PyTorch transposes matrices in blocks, but not tensors with more dimensions.
    for target, source in zip(turned, features):
        _by_place(target).copy_(_by_place(source))
    return turned


def _by_place(image: Tensor) -> Tensor:
    """(C, h, w) -> (h * w, C), a view in either layout."""
    return image.permute(1, 2, 0).flatten(0, 1)
