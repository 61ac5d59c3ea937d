"""Bit-exact reimplementation of Pillow's bilinear resize of 8-bit images, on any device.

Pillow works in two passes, across and then down, with weights of 22 fractional bits, and rounds to 8 bits after
each. PyTorch's own resize rounds once (so that every fifth level differs by one) or weighs with fewer bits.
"""

import math
from functools import cache

import torch
from torch import Tensor

FRACTION_BITS = 22


def pil_resize(images: Tensor, size: int) -> Tensor:
    """Resize images like ``PIL.Image.resize((size, size), BILINEAR)``.

    Args:
        images: uint8 (..., H, W).
        size: size of both sides.

    Returns:
        uint8 (..., size, size).
    """
    return _pass(_pass(images, size, -1), size, -2)


def _pass(images: Tensor, size: int, dim: int) -> Tensor:
    """Resize one dimension; like in Pillow, unchanged if it has the size already."""
    if images.shape[dim] == size:
        return images
    places, weights = (each.to(images.device) for each in _taps(images.shape[dim], size))
    shape = list(images.shape)
    shape[dim] = size
    # Weights are non-negative and sum to nearly 2 ** 22, so the sum fits into 32 bits and rounds to at most 255.
    total = torch.full(shape, 1 << (FRACTION_BITS - 1), dtype=torch.int32, device=images.device)
    for place, weight in zip(places, weights):
        total.addcmul_(images.index_select(dim, place).int(), weight if dim == -1 else weight[:, None])
    return (total >> FRACTION_BITS).to(torch.uint8)


@cache
def _taps(length: int, size: int) -> tuple[Tensor, Tensor]:
    """Input positions and weights of each filter tap, int32 (K, size) each."""
    scale = length / size
    support = max(scale, 1.0)
    places, weights = [], []
    for out in range(size):
        centre = (out + 0.5) * scale
        first = max(int(centre - support + 0.5), 0)
        last = min(int(centre + support + 0.5), length)
        triangle = [max(1 - abs((place - centre + 0.5) / support), 0.0) for place in range(first, last)]
        whole = sum(triangle)
        taps = [math.floor(weight / whole * (1 << FRACTION_BITS) + 0.5) for weight in triangle]
        places.append(list(range(first, last)))
        weights.append(taps)
    most = max(map(len, weights))
    wide = [[own + [0] * (most - len(own)) for own in rows] for rows in (places, weights)]
    return torch.tensor(wide[0]).T.contiguous(), torch.tensor(wide[1], dtype=torch.int32).T.contiguous()
