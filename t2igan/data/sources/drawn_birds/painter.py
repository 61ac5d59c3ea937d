"""Paint a drawn bird: anti-aliased shapes, soft shading, a part map and the true bounding box."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from t2igan.data.sources.drawing import OVERSAMPLING, Color, Sheet, as_tuples, lit, mix, tight_box, volume
from t2igan.data.sources.drawn_birds.figure import Figure, build_figure
from t2igan.data.sources.drawn_birds.species import COLORED_PARTS, BirdAttributes, looks, palette
from t2igan.data.sources.drawn_birds.surroundings import paint_surroundings

PARTS = ("background", "body", "belly", "wing", "crown", "beak", "tail", "legs", "eye")
"""Names of the values of the part map, in order; ``crown`` includes the crest."""

_DARK: Color = (18, 14, 22)
_LIGHT: Color = (255, 252, 240)


@dataclass
class Studio:
    """What the steps of one painting share: the sheet at the oversampled size, the figure and its colours."""

    sheet: Sheet
    figure: Figure
    colors: dict[str, Color]

    def fill(self, outline: str, color: Color, part: str) -> None:
        """Fill an outline, and mark it as the part."""
        self.sheet.fill(self.figure.outlines[outline], color, PARTS.index(part))

    def rim(self, outline: str, color: Color, part: str, width: float = 0.016) -> None:
        """Draw the rim of an outline that has this colour, in anatomical units."""
        pixels = width * self.figure.scale
        self.sheet.rim(self.figure.outlines[outline], mix(color, _DARK, 0.5), pixels, PARTS.index(part))

    def stroke(self, lines: str, color: Color, width: float, part: str | None = None) -> None:
        """Draw lines, and mark them as the part if one is given."""
        for line in self.figure.lines.get(lines, []):
            self.sheet.line(line, color, width * self.figure.scale, PARTS.index(part) if part else None)

    def mask(self, *outlines: str) -> Image.Image:
        """Mask of the interior of outlines: 255 inside, 0 outside."""
        mask = Image.new("L", self.sheet.canvas.size)
        pen = ImageDraw.Draw(mask)
        for outline in outlines:
            pen.polygon(as_tuples(self.figure.outlines[outline]), fill=255)
        return mask

    def fill_within(self, outline: str, clip: Image.Image, color: Color, part: str) -> None:
        """Fill the part of an outline that lies within a mask."""
        mask = ImageChops.darker(self.mask(outline), clip)
        self.sheet.canvas.paste(color, mask=mask)
        self.sheet.marks.paste(PARTS.index(part), mask=mask)


def render_bird(
    attributes: BirdAttributes, pixels: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int, int]]:
    """Paint the image of a bird in its setting, with part map and bounding box.

    Args:
        attributes: What the image shows.
        pixels: Side of the square image.
        rng: Source of all individual variation; the same state gives the same image.

    Returns:
        The image, uint8 (pixels, pixels, 3); the part map, uint8 (pixels, pixels) with indices into ``PARTS``;
        the tight box (x, y, width, height) of all that is not background.
    """
    side = pixels * OVERSAMPLING
    figure = build_figure(attributes, rng)
    _place(figure, attributes.species.size, side, rng)
    legs = figure.lines.get("legs")
    ground = max(leg[:, 1].max() for leg in legs) / side if legs else None
    feet = float(np.mean([leg[-1, 0] for leg in legs])) / side if legs else 0.5
    sheet, draw_foreground = paint_surroundings(attributes.setting, pixels, ground, feet, rng)
    studio = Studio(sheet, figure, plumage(attributes, rng))
    paint_figure(studio, attributes.pose, rng)
    if draw_foreground:
        draw_foreground()
    parts = np.asarray(sheet.marks)[OVERSAMPLING // 2 :: OVERSAMPLING, OVERSAMPLING // 2 :: OVERSAMPLING].copy()
    return _shade(studio, pixels, rng), parts, tight_box(parts)


def _place(figure: Figure, size: str, side: int, rng: np.random.Generator) -> None:
    """Scale and shift the figure into the frame (pixels of the oversampled canvas)."""
    low, high = figure.extent()
    scale = rng.uniform(*looks()["sizes"][size]["frame"]) * side / float((high - low).max())
    figure.place(scale, (low + high) / 2, side * (0.5 + rng.uniform(-0.045, 0.045, 2)))
    # Pillow cuts off what is behind the point: last bits, in which processors differ, must not decide.
    figure.move(lambda points: np.round(points, 2))


def plumage(attributes: BirdAttributes, rng: np.random.Generator) -> dict[str, Color]:
    """Colours of this one bird: those of its species with a small individual shift."""
    species, bare = attributes.species, palette("bare")
    named = {part: palette()[getattr(species, part)] for part in COLORED_PARTS}
    named |= {"beak": bare[species.beak_color], "legs": bare[species.leg_color]}
    colors = {}
    for part, color in named.items():
        shift = rng.uniform(-7, 7) + rng.uniform(-5, 5, 3)
        colors[part] = tuple(int(v) for v in np.clip(np.round(np.array(color) + shift), 0, 255))
    return colors


def paint_figure(studio: Studio, pose: str, rng: np.random.Generator) -> None:
    """Paint a positioned figure on the sheet."""
    _paint_behind(studio)
    _paint_trunk(studio)
    _paint_down(studio, rng)
    # Spread wings cover the head, folded ones do not.
    painters = (_paint_face, _paint_wing) if pose == "flying" else (_paint_wing, _paint_face)
    for paint in painters:
        paint(studio)


def _feather_lines(color: Color) -> Color:
    """Feather lines: darker than a light plumage, lighter than a dark one."""
    return mix(color, _LIGHT, 0.22) if sum(color) < 200 else mix(color, _DARK, 0.28)


def _paint_behind(studio: Studio) -> None:
    """Paint what the trunk covers: legs, far wing and tail."""
    wing, legs = studio.colors["wing"], studio.colors["legs"]
    studio.stroke("legs", mix(legs, _DARK, 0.5), 0.042, "legs")
    studio.stroke("legs", legs, 0.026, "legs")
    if "far wing" in studio.figure.outlines:
        studio.rim("far wing", wing, "wing")
        studio.fill("far wing", mix(wing, _DARK, 0.2), "wing")
    studio.rim("tail", wing, "tail")
    studio.fill("tail", mix(wing, _DARK, 0.06), "tail")
    studio.stroke("tail", _feather_lines(wing), 0.012)


def _paint_trunk(studio: Studio) -> None:
    """Paint body, neck and head with belly and crown."""
    body, crown = studio.colors["body"], studio.colors["crown"]
    for outline in ("body", "neck", "head"):
        studio.rim(outline, body, "body")
    if "crest" in studio.figure.outlines:
        studio.rim("crest", crown, "crown")
    for outline in ("body", "neck", "head"):
        studio.fill(outline, body, "body")
    studio.fill_within("belly", studio.mask("body", "neck"), studio.colors["belly"], "belly")
    studio.fill_within("crown", studio.mask("head"), crown, "crown")
    if "crest" in studio.figure.outlines:
        studio.fill("crest", crown, "crown")


def _paint_down(studio: Studio, rng: np.random.Generator) -> None:
    """Small soft strokes that make the plumage of body and belly look like down."""
    sheet, trunk = studio.sheet, studio.figure.outlines["body"]
    length = 0.05 * studio.figure.scale
    colors: Any = sheet.canvas.load()
    parts: Any = sheet.marks.load()
    for x, y in rng.uniform(trunk.min(0), trunk.max(0), (46, 2)):
        lighter, end = rng.random() < 0.5, x + 0.3 * length * rng.uniform(-0.3, 0.6)
        part = parts[int(x), int(y)]
        if PARTS[part] in ("body", "belly") and parts[int(end), int(y + 1.5 * length)] == part:
            color = mix(colors[int(x), int(y)], _LIGHT if lighter else _DARK, 0.10)
            sheet.line(np.array([(x, y), (end, y + length)]), color, 0.014 * studio.figure.scale)


def _paint_wing(studio: Studio) -> None:
    """Paint the near wing, with the shadow that it casts on the trunk."""
    sheet, wing = studio.sheet, studio.colors["wing"]
    blur = 0.03 * studio.figure.scale / OVERSAMPLING
    shadow = studio.mask("wing").reduce(OVERSAMPLING).filter(ImageFilter.GaussianBlur(blur))
    trunk = sheet.marks.reduce(OVERSAMPLING).point(lambda part: 90 if part else 0)
    shadow = ImageChops.multiply(ImageChops.offset(shadow, 0, round(1.2 * blur)), trunk)
    sheet.canvas.paste(_DARK, mask=shadow.resize(sheet.canvas.size, Image.Resampling.NEAREST))
    studio.rim("wing", wing, "wing")
    studio.fill("wing", wing, "wing")
    studio.stroke("quills", _feather_lines(wing), 0.013)
    studio.stroke("coverts", _feather_lines(wing), 0.012)


def _paint_face(studio: Studio) -> None:
    """Paint beak and eye."""
    beak, radius = studio.colors["beak"], studio.figure.eye_radius
    studio.rim("beak", beak, "beak", 0.014)
    studio.fill("beak", beak, "beak")
    studio.stroke("mouth", mix(beak, _DARK if sum(beak) > 200 else _LIGHT, 0.4), 0.010)

    eye = studio.figure.eye[0]
    studio.sheet.oval(eye, 1.4 * radius, (250, 246, 232))
    studio.sheet.oval(eye, 1.08 * radius, (26, 20, 22), PARTS.index("eye"))
    studio.sheet.oval(eye - 0.36 * radius, 0.36 * radius, (255, 255, 255))


def _shade(studio: Studio, pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Average the canvas down and give the bird volume with light from the upper left."""
    plain = np.asarray(studio.sheet.canvas.reduce(OVERSAMPLING), np.float32)
    everything = studio.sheet.drawn().reduce(OVERSAMPLING)
    wing = studio.mask("wing").reduce(OVERSAMPLING)
    silhouette = np.asarray(everything, np.float32) / 255
    light = 0.46 * volume(everything, 0.045 * pixels) + 0.36 * volume(wing, 0.018 * pixels)
    rows = np.flatnonzero(silhouette.any(1))
    fall = np.interp(np.arange(pixels), [rows[0], rows[-1]], [0.06, -0.05])[:, None]
    grain = np.asarray(Image.fromarray(rng.normal(0, 1, (24, 24)).astype(np.float32)).resize((pixels, pixels)))
    shaded = lit(plain, np.clip((light + fall + 0.012 * grain) * silhouette, -0.22, 0.26))
    return np.clip(shaded + 0.5, 0, 255).astype(np.uint8)
