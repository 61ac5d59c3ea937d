"""Count the arithmetic of a step, and measure the peak of the device."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from t2igan.profiling.clock import PartClock, synchronise

SECONDS_OF_A_PEAK = 0.4
# Convolutions typical of the suite's networks (channels in, out, side), and the side of square matrices.
SHAPES = {
    "cpu": [(64, 64, 64), (128, 128, 32), (256, 256, 16)],
    "cuda": [(256, 256, 64), (512, 512, 64), (512, 512, 32)],
}
SIDES = {"cpu": [512, 1024, 2048], "cuda": [4096, 8192]}


class FlopsByPart(TorchDispatchMode):
    """Counts the operations of convolutions, matrix products and LSTMs, for the clock's current part.

    A multiplication and an addition are two. Every operation that reaches the device is seen, whatever pass it
    belongs to: forward, backward, or the backward of a backward that a gradient penalty asks for. (PyTorch's own
    FlopCounterMode, whose formulas are used, follows modules and fails there.)

    Args:
        clock: clock with the current part.

    Attributes:
        flops: operations by part.
    """

    def __init__(self, clock: PartClock) -> None:
        super().__init__()
        self.clock = clock
        self.flops: dict[str, float] = defaultdict(float)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: Mapping | None = None) -> Any:
        """Run an operation and count it."""
        result = func(*args, **(kwargs or {}))
        count = _RECURRENT.get(func._overloadpacket) or flop_registry.get(func._overloadpacket)
        if count is not None:
            self.flops[self.clock.part] += count(*args, **(kwargs or {}), out_val=result)
        return result


def _lstm_flops(images: torch.Tensor, *args: Any, **_: Any) -> float:
    """Two operations for each weight of a layer, word and caption."""
    weights = sum(each.numel() for each in args[:2])
    return 2 * weights * images.shape[0] * images.shape[1]


def _lstm_backward_flops(*args: Any, **kwargs: Any) -> float:
    return 2 * _lstm_flops(*args, **kwargs)


_RECURRENT: dict[Any, Callable[..., float]] = {
    torch.ops.aten.mkldnn_rnn_layer: _lstm_flops,
    torch.ops.aten.mkldnn_rnn_layer_backward: _lstm_backward_flops,
}


def measure_peaks(device: torch.device, dtype: torch.dtype = torch.float32) -> dict[str, float]:
    """Peak rates of the device in a convolution and in a matrix product, in GFLOP/s.

    Args:
        device: device to measure, with its current number of threads.
        dtype: dtype of the factors.
    """
    convolution = max(_convolution_rate(*shape, device, dtype) for shape in SHAPES[device.type])
    matrix = max(_matrix_rate(side, device, dtype) for side in SIDES[device.type])
    return {"convolution": convolution, "matrix": matrix}


@torch.no_grad()
def _convolution_rate(channels: int, out: int, side: int, device: torch.device, dtype: torch.dtype) -> float:
    layer = nn.Conv2d(channels, out, 3, padding=1, bias=False).to(device, dtype)
    images = torch.randn(16, channels, side, side, device=device, dtype=dtype)
    return _rate(lambda: layer(images), 2 * 9 * channels * out * side**2 * len(images), device)


def _matrix_rate(side: int, device: torch.device, dtype: torch.dtype) -> float:
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return _rate(lambda: left @ right, 2 * side**3, device)


def _rate(compute: Callable[[], Any], flops: float, device: torch.device) -> float:
    """The best rate of single calls, because other processes may disturb the measurement."""
    for _ in range(2):
        compute()
    best, end = float("inf"), time.perf_counter() + SECONDS_OF_A_PEAK
    while time.perf_counter() < end:
        synchronise(device)
        started = time.perf_counter()
        compute()
        synchronise(device)
        best = min(best, time.perf_counter() - started)
    return flops / best / 1e9
