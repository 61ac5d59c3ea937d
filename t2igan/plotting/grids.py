"""Grids of images with their captions."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from t2igan.errors import UserError
from t2igan.files import whole_file

Images = torch.Tensor | Sequence[torch.Tensor]
"""uint8 (N, 3, H, W), or a sequence of uint8 (3, H, W)."""

PAPER = (255, 255, 255)
INK = (38, 40, 46)
FAINT = (112, 116, 126)
_GAP = 8
_MARGIN = 16


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which is part of matplotlib and so always available."""
    import matplotlib  # imported late, because it is slow

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def wrap(text: str, face: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break a text into lines of at most ``width`` pixels, between words where possible."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and face.getlength(joined) <= width:
            lines[-1] = joined
            continue
        while word:
            fitting = 1  # letters that fit; counted from the front, because a word may be much longer than a line
            while fitting < len(word) and face.getlength(word[: fitting + 1]) <= width:
                fitting += 1
            lines.append(word[:fitting])
            word = word[fitting:]
    return lines


def save_png(image: Image.Image, path: Path) -> None:
    """Write an image atomically, and create its folder if needed."""
    with whole_file(path) as draft:
        image.save(draft, "PNG")


def to_pil(image: torch.Tensor, pixels: int | None = None) -> Image.Image:
    """Turn an image, uint8 (3, H, W), into a PIL image, with its longer side scaled to ``pixels``.

    Small images are first enlarged by an integer factor with hard pixel edges, so that the network's actual pixels
    stay visible, and smoothly for the rest.

    Raises:
        ValueError: If the tensor is not uint8 (3, H, W).
    """
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"expected uint8 (3, H, W), got {image.dtype} {tuple(image.shape)}")
    pil = Image.fromarray(np.ascontiguousarray(image.detach().cpu().permute(1, 2, 0).numpy()))
    if pixels is None:
        return pil
    longer = max(pil.size)
    whole = pixels // longer
    if whole >= 2:
        pil = pil.resize((pil.width * whole, pil.height * whole), Image.Resampling.NEAREST)
    share = pixels / max(pil.size)
    size = (max(1, round(pil.width * share)), max(1, round(pil.height * share)))
    return pil if size == pil.size else pil.resize(size, Image.Resampling.LANCZOS)


def captioned_grid(
    images: Images,
    captions: Sequence[str],
    columns: int = 4,
    cell_pixels: int = 160,
    title: str | None = None,
    row_labels: Sequence[str] | None = None,
) -> Image.Image:
    """Lay out images in a grid, each with its caption wrapped beneath it.

    Args:
        images: uint8 (N, 3, H, W), or N tensors uint8 (3, H, W).
        captions: One caption an image.
        columns: Images in a row.
        cell_pixels: Longer side at which an image is shown.
        title: Heading of the whole sheet.
        row_labels: A heading at the left of each row.

    Returns:
        An RGB image.

    Raises:
        UserError: If the counts do not fit together.
    """
    tensors = list(images)
    rows = -(-len(tensors) // columns) if columns > 0 else 0
    if not tensors or columns < 1 or len(captions) != len(tensors):
        raise UserError(f"grid: {len(tensors)} images, {len(captions)} captions, {columns} columns; "
                        "give one caption an image and at least one of each")  # fmt: skip
    if row_labels is not None and len(row_labels) != rows:
        raise UserError(f"grid: row_labels has {len(row_labels)} entries for {rows} rows; give one a row")
    sections = [
        (row_labels[row] if row_labels else None, tensors[row * columns : (row + 1) * columns],
         list(captions[row * columns : (row + 1) * columns]))
        for row in range(rows)
    ]  # fmt: skip
    return _sheet(sections, min(columns, len(tensors)), cell_pixels, title)


def rows_grid(
    rows: Sequence[tuple[str, Images]],
    captions: Sequence[str],
    cell_pixels: int = 160,
    title: str | None = None,
) -> Image.Image:
    """Lay out one row per model (or real images, masks ...), with the captions above the columns.

    Args:
        rows: (label, images) with one image a caption in every row.
        captions: Headings of the columns.
        cell_pixels: Longer side at which an image is shown.
        title: Heading of the whole sheet.

    Returns:
        An RGB image.

    Raises:
        UserError: If a row has another number of images than there are captions.
    """
    if not rows or not captions:
        raise UserError("grid: no rows or no captions; give at least one of each")
    for label, images in rows:
        if len(images) != len(captions):
            raise UserError(
                f"grid: row {label!r} has {len(images)} images for {len(captions)} captions; give one each"
            )
    head: list[tuple[str | None, list, list[str]]] = [(None, [], list(captions))]
    body = [(label, list(images), [""] * len(captions)) for label, images in rows]
    return _sheet(head + body, len(captions), cell_pixels, title)


def _sheet(
    sections: list[tuple[str | None, list[torch.Tensor], list[str]]],
    columns: int,
    cell: int,
    title: str | None,
) -> Image.Image:
    """Stack sections (label, images, texts beneath) from top to bottom."""
    size = max(10, round(cell * 0.072))
    face, strong = font(size), font(size + 1, bold=True)
    labels = [label for label, _, _ in sections if label]
    gutter = min(2 * cell, round(max(strong.getlength(label) for label in labels)) + 2 * _GAP) if labels else 0
    step = round(1.35 * size)
    blocks = []
    for label, tensors, texts in sections:
        shown = [to_pil(tensor, cell) for tensor in tensors]
        lines = [wrap(text, face, cell) for text in texts]
        tall = max((image.height for image in shown), default=0)
        deep = max(len(one) for one in lines) * step
        blocks.append((label, shown, lines, tall, deep))
    heading = wrap(title, font(size + 5, bold=True), columns * (cell + _GAP) + gutter) if title else []
    top = _MARGIN + len(heading) * round(1.5 * (size + 5))
    width = 2 * _MARGIN + gutter + columns * cell + (columns - 1) * _GAP
    height = top + sum(tall + deep + _GAP + (_GAP if tall and deep else 0) for *_, tall, deep in blocks) + _MARGIN
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(heading):
        pen.text((_MARGIN, _MARGIN + number * round(1.5 * (size + 5)) - 4), line, INK, font(size + 5, bold=True))
    y = top
    for label, shown, lines, tall, deep in blocks:
        if label:
            parts = wrap(label, strong, max(gutter - _GAP, 1))
            for number, part in enumerate(parts):
                pen.text((_MARGIN, y + (tall - len(parts) * step) / 2 + number * step), part, INK, strong)
        for column in range(max(len(shown), len(lines))):
            x = _MARGIN + gutter + column * (cell + _GAP)
            if shown:
                sheet.paste(shown[column], (x + (cell - shown[column].width) // 2, y))
            beneath = y + tall + (_GAP // 2 if tall else 0)
            for number, line in enumerate(lines[column]):
                pen.text((x, beneath + number * step), line, FAINT, face)
        y += tall + deep + _GAP + (_GAP if tall and deep else 0)
    return sheet
