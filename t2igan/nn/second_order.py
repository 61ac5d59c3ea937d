"""Layers with efficient second derivatives, as needed by gradient penalties.

PyTorch's own layers give the same values, but propagate zeros back through the whole forward pass, because autograd
does not know that the slopes of a LeakyReLU and of a mean are constant. They also differentiate a convolution's
gradient in a generic, slower way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

_only_inputs = False


@contextmanager
def gradients_of_inputs_only() -> Iterator[None]:
    """Context in which the backward passes below skip the gradients of weights, which are not needed."""
    global _only_inputs
    _only_inputs = True
    try:
        yield
    finally:
        _only_inputs = False


def convolve(
    features: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int, dilation: int = 1
) -> Tensor:
    """Like :func:`torch.nn.functional.conv2d`, for one group."""
    return _Convolution.apply(features, weight, bias, stride, padding, dilation)


def leaky_relu_(features: Tensor, slope: float) -> Tensor:
    """Like :func:`torch.nn.functional.leaky_relu_`, in place."""
    return _LeakyReLU.apply(features, slope)


def halve(features: Tensor) -> Tensor:
    """Like :func:`torch.nn.functional.avg_pool2d` with a window of 2, for even sides."""
    return _Halving.apply(features)


def join(features: Tensor, sentence: Tensor) -> Tensor:
    """Concatenate ``features`` (B, C, s, s) with ``sentence`` (B, D) at each position: (B, C + D, s, s)."""
    return _Joining.apply(features, sentence)


def _gradients(ctx: Any, grad: Tensor, features: Tensor, weight: Tensor, wanted: list[bool]) -> list[Any]:
    """Gradients of input, weight and bias; None if not needed."""
    stride, padding, dilation = ([each] * 2 for each in ctx.geometry)
    return torch.ops.aten.convolution_backward(
        grad, features, weight, [len(weight)], stride, padding, dilation, False, [0, 0], 1, wanted
    )


class _Convolution(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None, *geometry: int) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(features, weight, bias)
        ctx.geometry = geometry
        return F.conv2d(features, weight, bias, *geometry)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        if grad is None:  # no gradient: this saves the pass
            return (None,) * 6
        features, weight, bias = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:3])
        if not torch.is_grad_enabled():  # the result will not be differentiated again
            return *_gradients(ctx, grad, features, weight, wanted), None, None, None
        of_input = _InputGradient.apply(grad, features, weight, bias, *ctx.geometry) if wanted[0] else None
        if _only_inputs:
            return of_input, None, None, None, None, None
        return of_input, *_gradients(ctx, grad, features, weight, [False, *wanted[1:]])[1:], None, None, None


class _InputGradient(Function):
    """Gradient of a convolution with respect to its input, bilinear in output gradient and weight."""

    @staticmethod
    def forward(
        ctx: Any, grad: Tensor, features: Tensor, weight: Tensor, bias: Tensor | None, *geometry: int
    ) -> Tensor:
        ctx.save_for_backward(grad, weight, bias)
        ctx.geometry = geometry
        return _gradients(ctx, grad, features, weight, [True, False, False])[0]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        before, weight, bias = ctx.saved_tensors
        further = F.conv2d(grad, weight, None, *ctx.geometry)
        of_weight = _gradients(ctx, before, grad, weight, [False, True, False])[1]
        # An explicit zero, because optimisers treat a zero gradient differently from none.
        of_bias = None if bias is None else torch.zeros_like(bias)
        return further, None, of_weight, of_bias, None, None, None


class _LeakyReLU(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, slope: float) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.mark_dirty(features)
        out = F.leaky_relu_(features, slope)
        ctx.save_for_backward(out)
        ctx.slope = slope
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, None]:
        (grad,) = grads
        if grad is None:
            return None, None
        (out,) = ctx.saved_tensors
        return _Slope.apply(grad, out, ctx.slope), None


class _Slope(Function):
    """A gradient times the slope of the LeakyReLU, which is treated as constant."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, out: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(out)
        ctx.slope = slope
        return torch.ops.aten.leaky_relu_backward(grad, out, slope, True)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (out,) = ctx.saved_tensors
        return _Slope.apply(*grads, out, ctx.slope), None, None


class _Halving(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.set_materialize_grads(False)
        return F.avg_pool2d(features, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Tensor | None:
        (grad,) = grads
        return None if grad is None else F.interpolate(grad / 4, scale_factor=2, mode="nearest")


class _Joining(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, sentence: Tensor) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.channels = features.shape[1]
        return torch.cat([features, sentence[:, :, None, None].expand(-1, -1, *features.shape[2:])], dim=1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        (grad,) = grads
        if grad is None:
            return None, None
        return grad[:, : ctx.channels], grad[:, ctx.channels :].sum(dim=(2, 3))
