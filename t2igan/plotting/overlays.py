"""Masks and attention maps laid over images."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch.nn import functional

from t2igan.errors import UserError
from t2igan.plotting.grids import FAINT, PAPER, captioned_grid, font, to_pil

MASK_COLORS, ATTENTION_COLORS = "viridis", "magma"
LEGEND_TEXT, LEGEND_BAR = 12, 96


def heat(values: torch.Tensor, colormap: str = ATTENTION_COLORS) -> torch.Tensor:
    """Apply a perceptually uniform colour map to values in [0, 1], float (H, W): uint8 (3, H, W)."""
    import matplotlib  # imported late, because it is slow

    colors = matplotlib.colormaps[colormap](values.detach().float().clamp(0, 1).cpu().numpy())[..., :3]
    return torch.from_numpy(np.round(colors * 255).astype(np.uint8)).permute(2, 0, 1)


def with_legend(sheet: Image.Image, colormap: str, low: str, high: str) -> Image.Image:
    """Add a colour bar beneath a sheet.

    Args:
        sheet: sheet that uses the colour map.
        colormap: colour map of the bar.
        low: label of the value 0.
        high: label of the value 1.

    Returns:
        An RGB image as wide as the sheet or, if that is wider, the legend.
    """
    face = font(LEGEND_TEXT)
    bar = to_pil(heat(torch.linspace(0, 1, LEGEND_BAR).expand(LEGEND_TEXT, -1), colormap))
    first, second = (math.ceil(face.getlength(text)) for text in (low, high))
    width = first + bar.width + second + 4 * LEGEND_TEXT
    drawn = Image.new("RGB", (max(sheet.width, width), sheet.height + 2 * LEGEND_TEXT), PAPER)
    drawn.paste(sheet, (0, 0))
    place, pen = LEGEND_TEXT, ImageDraw.Draw(drawn)
    pen.text((place, sheet.height), low, FAINT, face)
    drawn.paste(bar, (place + first + LEGEND_TEXT, sheet.height + 2))
    pen.text((place + first + bar.width + 2 * LEGEND_TEXT, sheet.height), high, FAINT, face)
    return drawn


def enlarge(mask: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Scale a map, float (h, w), bilinearly to ``size`` (H, W)."""
    return functional.interpolate(
        mask.detach().float().cpu()[None, None], list(size), mode="bilinear", align_corners=False
    )[0, 0]


def mask_overlay(
    image: torch.Tensor, mask: torch.Tensor, strength: float = 0.6, colormap: str = ATTENTION_COLORS
) -> torch.Tensor:
    """Blend a mask as a heat map over an image.

    Args:
        image: uint8 (3, H, W).
        mask: float (1, h, w) in [0, 1]; scaled bilinearly to the image.
        strength: Share of the heat in the result, 0 to 1.
        colormap: Name of a matplotlib colour map.

    Returns:
        uint8 (3, H, W).

    Raises:
        ValueError: If the mask is not (1, h, w).
    """
    if mask.ndim != 3 or mask.shape[0] != 1:
        raise ValueError(f"expected a mask (1, h, w), got {tuple(mask.shape)}")
    colors = heat(enlarge(mask[0], image.shape[-2:]), colormap)
    # The image is grey, so that every colour belongs to the mask.
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    grey = (image.detach().cpu().float() * weights).sum(0, keepdim=True)
    mixed = (1 - strength) * grey + strength * colors.float()
    return mixed.round().clamp(0, 255).to(torch.uint8)


def mask_strip(
    image: torch.Tensor,
    masks: Sequence[torch.Tensor],
    cell_pixels: int = 128,
    captions: Sequence[str] | None = None,
) -> Image.Image:
    """Show an image and its masks, coarse to fine, side by side.

    Args:
        image: uint8 (3, H, W).
        masks: float (1, s, s) in [0, 1] each; any number of them.
        cell_pixels: Side at which each is shown.
        captions: Text under the image and each mask; by default "image" and the masks' sizes.

    Returns:
        An RGB image.

    Raises:
        UserError: If there is no mask, or another number of captions.
    """
    if not masks:
        raise UserError("masks: this generator gave none; choose a generator with masks, such as SSA-GAN's")
    size = image.shape[-2:]
    panels = [image, *(heat(enlarge(mask[0], size), MASK_COLORS) for mask in masks)]
    texts = captions or ["image", *(f"mask {mask.shape[-2]} × {mask.shape[-1]}" for mask in masks)]
    strip = captioned_grid(panels, texts, columns=len(panels), cell_pixels=cell_pixels)
    return with_legend(strip, MASK_COLORS, "0: no effect", "1: full effect")


def attention_panels(image: torch.Tensor, attention: torch.Tensor, words: Sequence[str]) -> list[torch.Tensor]:
    """The image blended with the attention map of each word, uint8 (3, H, W) each.

    Every map is stretched to its own maximum: attention over all positions sums to one, so its values are small.

    Args:
        image: uint8 (3, H, W).
        attention: float (T, h, w), not negative; maps beyond the words (padding) are left out.
        words: at most T words.

    Raises:
        UserError: there are more words than maps.
    """
    if len(words) > len(attention):
        raise UserError(f"attention: {len(words)} words for {len(attention)} maps; give at most one word a map")
    maps = attention.detach().float().cpu()[: len(words)]
    peaks = maps.amax((1, 2), keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    return [mask_overlay(image, one[None]) for one in maps / peaks]


def attention_overlay(
    image: torch.Tensor,
    attention: torch.Tensor,
    words: Sequence[str],
    cell_pixels: int = 128,
    columns: int = 6,
) -> Image.Image:
    """Show where each word looks: the image, then one panel a word with the word beneath.

    Every map is stretched to its own maximum: attention over all positions sums to one, so its values are small.

    Args:
        image: uint8 (3, H, W).
        attention: float (T, h, w), not negative; maps beyond the words (padding) are left out.
        words: At most T words.
        cell_pixels: Side of a panel.
        columns: Panels in a row.

    Returns:
        An RGB image.

    Raises:
        UserError: If there are more words than maps.
    """
    panels = [image.cpu(), *attention_panels(image, attention, words)]
    sheet = captioned_grid(panels, ["image", *words], min(columns, len(panels)), cell_pixels)
    return with_legend(sheet, ATTENTION_COLORS, "no attention", "the word's most")
