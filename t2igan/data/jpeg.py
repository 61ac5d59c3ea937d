"""Decoding the JPEG files of a store: by libjpeg-turbo on the CPU, by nvJPEG on CUDA (both through torchvision)."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg


def decode_jpegs(files: Sequence[Tensor], device: torch.device | str = "cpu") -> list[Tensor]:
    """Decode JPEG files, as one batch if the device supports it.

    The two decoders round differently: an image may differ by a few levels between CPU and CUDA.

    Args:
        files: uint8 (bytes,) each, in host memory.
        device: device that decodes and then holds the images.

    Returns:
        uint8 (3, h, w) each, RGB.

    Raises:
        RuntimeError: a file is not a JPEG, or torchvision has no decoder for the device.
    """
    return cast("list[Tensor]", decode_jpeg(list(files), ImageReadMode.RGB, device))  # a list, as it is given
