"""Outlines of an image's segments, and a legend of their texts."""

import colorsys
from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

from t2igan.plotting.grids import INK, PAPER, font, to_pil


def segment_colour(number: int) -> tuple[int, int, int]:
    """A strong colour for a segment number, from 1; consecutive numbers get distinct colours."""
    red, green, blue = colorsys.hsv_to_rgb((number - 1) * 0.618034 % 1, 0.85, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def outlined(image: Tensor, index: Tensor, pixels: int) -> Tensor:
    """An image enlarged, with the outlines of its segments.

    Args:
        image: uint8 (3, S, S).
        index: integers (S, S), 0 for none, k for segment k.
        pixels: side of the displayed image.

    Returns:
        uint8 (3, pixels, pixels).
    """
    shown = _tensor(to_pil(image, pixels))
    large = _enlarged(index, pixels)
    for number in sorted(set(index.unique().tolist()) - {0}):
        mask = (large == number)[None].float()
        inner = -functional.max_pool2d(-mask, 3, 1, 1)
        shown[:, (mask - inner)[0] > 0] = torch.tensor(segment_colour(number), dtype=torch.uint8)[:, None]
    return shown


def mask_panel(index: Tensor, pixels: int) -> Tensor:
    """The segments as areas with their numbers, uint8 (3, pixels, pixels)."""
    large = _enlarged(index, pixels)
    shown = torch.tensor(PAPER, dtype=torch.uint8)[:, None, None].repeat(1, pixels, pixels)
    numbers = sorted(set(index.unique().tolist()) - {0})
    for number in numbers:
        faint = [(each + 2 * 255) // 3 for each in segment_colour(number)]
        shown[:, large == number] = torch.tensor(faint, dtype=torch.uint8)[:, None]
    sheet = to_pil(shown)
    pen = ImageDraw.Draw(sheet)
    for number in numbers:
        y, x = (large == number).nonzero().float().mean(0).tolist()
        pen.text((x, y), str(number), INK, font(max(12, pixels // 12), bold=True), anchor="mm")
    return _tensor(sheet)


def legend(texts: Sequence[str]) -> str:
    """The texts of segments with their numbers."""
    return ", ".join(f"{number}: {text}" for number, text in enumerate(texts, start=1))


def _enlarged(index: Tensor, pixels: int) -> Tensor:
    return functional.interpolate(index[None, None].float(), (pixels, pixels), mode="nearest-exact")[0, 0].long()


def _tensor(image: Image.Image) -> Tensor:
    values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return values.view(image.height, image.width, 3).permute(2, 0, 1).contiguous()
