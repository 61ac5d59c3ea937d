"""Convert between stored images (uint8) and the networks' range [-1, 1]."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from t2igan.errors import UserError


def to_signed(images: Tensor) -> Tensor:
    """uint8 (B, 3, H, W) -> [-1, 1], in torch's default dtype."""
    wide = torch.promote_types(torch.get_default_dtype(), torch.float32)
    # Images cropped on a CPU are channels_last in memory, and networks would adopt that layout.
    signed = images.to(wide, memory_format=torch.contiguous_format).div_(127.5).sub_(1)
    return signed.to(torch.get_default_dtype())


def to_uint8(images: Tensor, quantisation: Literal["round", "truncate"] = "round") -> Tensor:
    """[-1, 1] (B, 3, H, W) -> uint8.

    Args:
        images: images; values outside [-1, 1] are clamped.
        quantisation: ``truncate`` is the released code's conversion, half a level darker.
    """
    levels = (images.float() + 1) * 127.5
    if quantisation == "round":
        levels = levels.round()
    return levels.clamp(0, 255).to(torch.uint8)


def generated_uint8(images: Tensor, quantisation: Literal["round", "truncate"] = "round") -> Tensor:
    """Convert generated images with :func:`to_uint8`, and refuse NaN, which that would turn into black.

    Raises:
        UserError: some are not finite, as finite weights can make them that a training has driven too far.
    """
    if not images.isfinite().all():
        raise UserError(
            "the generator returns values that are not finite, although its weights are: its training had failed; "
            "take an earlier checkpoint"
        )
    return to_uint8(images, quantisation)


def resize(images: Tensor, size: int) -> Tensor:
    """Resize float images (B, 3, S, S), bilinear with antialiasing; unchanged if they have the size already.

    Half precision is resized in float32: there is no such kernel on CPUs, and weights of 8 bits shift pixels.
    """
    if images.shape[-1] == size and images.shape[-2] == size:
        return images
    images = images.to(torch.promote_types(images.dtype, torch.float32))
    return F.interpolate(images, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
