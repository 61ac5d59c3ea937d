"""Evaluation noise that is a function of the caption."""

import numpy as np
import torch
from torch import Tensor


def caption_noise(caption_ids: Tensor, dim: int, seed: int, draw: int = 0) -> Tensor:
    """Standard normal noise (B, dim), float32 on the CPU, a pure function of (seed, draw, caption id).

    Scores computed with it do not depend on batch size, order or number of devices.

    Args:
        caption_ids: int64 (B,).
        dim: width Z of the noise.
        seed: seed of the evaluation.
        draw: 0 for the first image of a caption, 1 for the second, ...
    """
    rows = [
        np.random.Generator(np.random.Philox(key=[seed, draw], counter=[0, 0, 0, int(caption)])).standard_normal(
            dim
        )
        for caption in caption_ids.tolist()
    ]
    return torch.from_numpy(np.stack(rows).astype(np.float32))


def between(first: Tensor, second: Tensor, shares: Tensor) -> Tensor:
    """Spherical interpolation (N, dim) between two noise vectors, which preserves their norm.

    Args:
        first: (1, dim).
        second: (1, dim).
        shares: (N,), 0 for the first, 1 for the second.
    """
    cosine = torch.nn.functional.cosine_similarity(first, second)
    angle = torch.arccos(cosine.clamp(-1, 1))
    share = shares[:, None]
    if angle < 1e-4:  # the two noises are equal up to rounding
        return torch.lerp(first, second, share)
    return (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * second) / torch.sin(angle)
