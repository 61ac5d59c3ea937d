"""Label maps in colour, and the four steps from a narrative to an image on one sheet."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy import ndimage

from t2igan.layout.composing import Canvas, Placed
from t2igan.layout.labels import COCO_STUFF, VOID, LabelSet
from t2igan.layout.layout import Layout
from t2igan.layout.mask_bank import MaskBank
from t2igan.layout.narratives import Narrative
from t2igan.plotting.grids import FAINT, INK, PAPER, font, to_pil

_VOID_COLOUR = (228, 228, 232)
# Stuff with a natural colour.
_USUAL = {
    "sky-other": (150, 200, 240), "clouds": (206, 224, 240), "sea": (60, 120, 190), "water-other": (80, 140, 200),
    "river": (90, 150, 205), "grass": (130, 190, 90), "tree": (50, 120, 60), "hill": (150, 170, 100),
    "mountain": (140, 130, 125), "sand": (235, 210, 150), "snow": (242, 246, 250), "road": (120, 120, 128),
    "house": (190, 110, 90), "building-other": (170, 130, 120), "dirt": (150, 115, 80), "person": (220, 60, 80),
}  # fmt: skip
_GAP, _MARGIN, _LINE = 12, 16, 22
_MOST_TILES = 9


def palette(labels: LabelSet = COCO_STUFF) -> np.ndarray:
    """Colours of the values of a label map, uint8 (256, 3); void is grey."""
    colours = np.full((VOID + 1, 3), _VOID_COLOUR, np.uint8)
    for value, name in enumerate(labels.names):
        # Steps of the golden angle give neighbours distinct hues; things are more saturated than stuff.
        hue, strength = value * 0.618034 % 1, 0.75 if labels.is_thing(value) else 0.4
        plain = [round(255 * share) for share in colorsys.hsv_to_rgb(hue, strength, 0.9)]
        colours[value] = _USUAL.get(name, tuple(plain))
    return colours


def coloured(labels: np.ndarray, names: LabelSet = COCO_STUFF) -> torch.Tensor:
    """Convert a label map, uint8 (H, W), to the colours of :func:`palette`, uint8 (3, H, W)."""
    return torch.from_numpy(palette(names)[labels]).permute(2, 0, 1)


@dataclass(frozen=True)
class Steps:
    """Content of a sheet about one narrative.

    Attributes:
        narrative: words and traces.
        tags: label of each word.
        canvas: composed canvas.
        image: uint8 (3, S, S), synthesised image, or None.
        gold: layout of the narrative's own image, None if unknown.
        real: uint8 (3, S, S), the narrative's own image, None if unknown.
    """

    narrative: Narrative
    tags: Sequence[str]
    canvas: Canvas
    image: torch.Tensor | None = None
    gold: Layout | None = None
    real: torch.Tensor | None = None


def steps_sheet(steps: Steps, bank: MaskBank, cell_pixels: int = 220) -> Image.Image:
    """Sheet with words coloured by label, trace and hulls, retrieved masks, canvas, image, gold map, real image.

    Args:
        steps: steps of one narrative.
        bank: bank that the masks come from.
        cell_pixels: side of each image.
    """
    labels, colours = bank.labels, palette(bank.labels)
    cells = [
        ("trace and hulls", _trace(steps, labels, colours, cell_pixels)),
        ("retrieved masks", _tiles(steps.canvas.placed, bank, colours, cell_pixels)),
        ("canvas", to_pil(coloured(steps.canvas.layout.labels, labels), cell_pixels)),
    ]
    cells += [("image", to_pil(steps.image, cell_pixels))] if steps.image is not None else []
    cells += [("gold map", to_pil(coloured(steps.gold.labels, labels), cell_pixels))] if steps.gold else []
    cells += [("real image", to_pil(steps.real, cell_pixels))] if steps.real is not None else []
    width = 2 * _MARGIN + len(cells) * (cell_pixels + _GAP) - _GAP
    words = _words(steps.narrative.words, steps.tags, labels, colours, width - 2 * _MARGIN)
    top = 2 * _MARGIN + words.height
    sheet = Image.new("RGB", (width, top + cell_pixels + _LINE + _MARGIN), PAPER)
    sheet.paste(words, (_MARGIN, _MARGIN))
    draw = ImageDraw.Draw(sheet)
    for place, (title, cell) in enumerate(cells):
        left = _MARGIN + place * (cell_pixels + _GAP)
        draw.text((left, top), title, FAINT, font(13))
        sheet.paste(cell, (left, top + _LINE))
    return sheet


def _words(
    words: Sequence[str], tags: Sequence[str], labels: LabelSet, colours: np.ndarray, width: int
) -> Image.Image:
    """The words on the colours of their labels, with the label's name after each run."""
    chips: list[tuple[str, tuple[int, ...] | None]] = []
    for place, (word, tag) in enumerate(zip(words, tags)):
        chips.append((word, tuple(colours[labels.value(tag)].tolist())))
        if place + 1 == len(tags) or tags[place + 1] != tag:
            chips.append((tag, None))
    face, small = font(15), font(11)
    x, y, places = 0, 0, []
    for text, colour in chips:
        length = round((small if colour is None else face).getlength(text)) + 8
        if x + length > width:
            x, y = 0, y + _LINE + 4
        places.append((x, y, length))
        x += length
    image = Image.new("RGB", (width, y + _LINE + 4), PAPER)
    draw = ImageDraw.Draw(image)
    for (text, colour), (left, top, length) in zip(chips, places):
        if colour is None:
            draw.text((left + 3, top + 6), text, FAINT, small)
            continue
        draw.rectangle((left, top, left + length, top + _LINE), colour)
        draw.text((left + 4, top + 2), text, PAPER if sum(colour) < 330 else INK, face)
    return image


def _trace(steps: Steps, labels: LabelSet, colours: np.ndarray, side: int) -> Image.Image:
    """Hulls in the colours of their runs, and the line of the mouse."""
    pixels = np.full((side, side, 3), 250, np.float64)
    for placed in steps.canvas.placed:
        if placed.hull is None:
            continue
        grown = _grown(placed.hull, side)
        colour = colours[labels.value(placed.run.label)]
        pixels[grown] = 0.72 * pixels[grown] + 0.28 * colour
        pixels[grown & ~ndimage.binary_erosion(grown, iterations=2)] = colour
    image = Image.fromarray(pixels.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for stroke in steps.narrative.traces or ():
        places = [tuple(each) for each in (stroke[:, :2] * side).tolist()]
        for start, end, time in zip(places, places[1:], stroke[1:, 2]):
            draw.line((start, end), _line_colour(steps, float(time), labels, colours), 2)
    return image


def _line_colour(steps: Steps, time: float, labels: LabelSet, colours: np.ndarray) -> tuple[int, ...]:
    """A darker shade of the label spoken at a time; grey during silence."""
    for span in steps.narrative.spans or ():
        if span.t0 <= time <= span.t1:
            shade = colours[labels.value(steps.tags[span.start])]
            return tuple((shade * 0.6).astype(int).tolist())
    return FAINT


def _tiles(placed: Sequence[Placed], bank: MaskBank, colours: np.ndarray, side: int) -> Image.Image:
    """The maps that masks come from, each with its mask in full colour."""
    own = [(each.image, each.source) for each in placed if each.image is not None and each.source]
    columns = 1 if len(own) < 2 else 2 if len(own) < 5 else 3
    image, tile = Image.new("RGB", (side, side), PAPER), (side - 4 * (columns - 1)) // columns
    for place, (number, mask) in enumerate(own[:_MOST_TILES]):
        labels = bank.layout(number).labels
        pixels = colours[labels] * 0.25 + 255 * 0.75
        chosen = np.zeros(labels.shape, bool)
        chosen[mask.top : mask.top + mask.bits.shape[0], mask.left : mask.left + mask.bits.shape[1]] = mask.bits
        pixels[chosen] = colours[mask.label]
        small = Image.fromarray(pixels.astype(np.uint8)).resize((tile, tile), Image.Resampling.NEAREST)
        image.paste(small, (place % columns * (tile + 4), place // columns * (tile + 4)))
    return image


def _grown(mask: np.ndarray, side: int) -> np.ndarray:
    """Resize a mask by nearest neighbours."""
    rows, columns = (((np.arange(side) + 0.5) * each / side).astype(int) for each in mask.shape)
    return mask[np.ix_(rows, columns)]
