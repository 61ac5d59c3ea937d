"""Paint a drawn bird: anti-aliased shapes, soft shading, a part map and the true bounding box."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from t2igan.data.sources.drawing import OVERSAMPLING, Color, as_tuples, mix, volume
from t2igan.data.sources.drawn_birds.figure import Figure, build_figure
from t2igan.data.sources.drawn_birds.scenes import paint_scene
from t2igan.data.sources.drawn_birds.species import PALETTE, BirdAttributes

PARTS = ("background", "body", "belly", "wing", "crown", "beak", "tail", "legs", "eye")
"""Names of the values of the part map, in order; ``crown`` includes the crest."""

_SOFT_COLORS: dict[str, Color] = {
    "black": (52, 50, 54),
    "grey": (124, 126, 132),
    "yellow": (242, 196, 44),
    "orange": (236, 124, 30),
    "red": (206, 48, 40),
    "pink": (236, 146, 164),
    "brown": (122, 82, 54),
}
"""Colours of beak and legs."""

_FRAME_SHARE = {"small": (0.60, 0.68), "medium": (0.64, 0.72), "large": (0.68, 0.75)}
_DARK: Color = (18, 14, 22)
_LIGHT: Color = (255, 252, 240)


@dataclass
class Studio:
    """What the steps of one painting share: canvas and part map at the oversampled size, with their pens."""

    canvas: Image.Image
    parts: Image.Image
    figure: Figure
    colors: dict[str, Color]

    def __post_init__(self) -> None:
        self.pen = ImageDraw.Draw(self.canvas)
        self.part_pen = ImageDraw.Draw(self.parts)

    def width(self, share: float) -> int:
        """Width of a stroke given in anatomical units."""
        return max(1, round(share * self.figure.scale))

    def fill(self, outline: str, color: Color, part: str) -> None:
        """Fill an outline with a colour, and mark it as the part."""
        points = as_tuples(self.figure.outlines[outline])
        self.pen.polygon(points, fill=color)
        self.part_pen.polygon(points, fill=PARTS.index(part))

    def rim(self, outline: str, color: Color, part: str, share: float = 0.016) -> None:
        """Draw a darker rim along an outline, and mark it as the part."""
        points = as_tuples(self.figure.outlines[outline])
        closed = [*points, points[0], points[1]]
        self.pen.line(closed, fill=color, width=self.width(share), joint="curve")
        self.part_pen.line(closed, fill=PARTS.index(part), width=self.width(share), joint="curve")

    def mask(self, *outlines: str) -> Image.Image:
        """Mask of the interior of outlines: 255 inside, 0 outside."""
        mask = Image.new("L", self.canvas.size)
        pen = ImageDraw.Draw(mask)
        for outline in outlines:
            pen.polygon(as_tuples(self.figure.outlines[outline]), fill=255)
        return mask

    def fill_within(self, outline: str, clip: Image.Image, color: Color, part: str) -> None:
        """Fill the part of an outline that lies within a mask."""
        mask = ImageChops.darker(self.mask(outline), clip)
        _paste(self.canvas, color, mask)
        _paste(self.parts, PARTS.index(part), mask)

    def stroke(self, lines: str, color: Color, share: float, part: str | None = None) -> None:
        """Draw lines, and mark them as the part if one is given."""
        for line in self.figure.lines.get(lines, []):
            self.pen.line(as_tuples(line), fill=color, width=self.width(share), joint="curve")
            if part:
                self.part_pen.line(as_tuples(line), fill=PARTS.index(part), width=self.width(share), joint="curve")


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
    _place(figure, attributes, side, rng)
    legs = figure.lines.get("legs")
    ground = max(leg[:, 1].max() for leg in legs) / side if legs else None
    feet = float(np.mean([leg[-1, 0] for leg in legs])) / side if legs else 0.5
    scene = paint_scene(attributes.setting, pixels, ground, feet, rng)
    studio = Studio(scene.canvas, Image.new("L", (side, side)), figure, plumage(attributes, rng))
    paint_figure(studio, attributes.pose, rng)
    if scene.foreground:
        scene.foreground(studio.pen, studio.part_pen)
    parts = np.asarray(studio.parts)[OVERSAMPLING // 2 :: OVERSAMPLING, OVERSAMPLING // 2 :: OVERSAMPLING].copy()
    return _shade(studio, pixels, rng), parts, tight_box(parts)


def paint_figure(studio: Studio, pose: str, rng: np.random.Generator) -> None:
    """Paint a positioned figure on the canvas and on the part map."""
    _paint_behind(studio)
    _paint_trunk(studio, rng)
    # Spread wings cover the head, folded ones do not.
    painters = (_paint_face, _paint_wing) if pose == "flying" else (_paint_wing, _paint_face)
    for paint in painters:
        paint(studio)


def tight_box(parts: np.ndarray) -> tuple[int, int, int, int]:
    """Return the box (x, y, width, height) that just encloses the non-zero values of a part map (H, W)."""
    rows, columns = np.flatnonzero(parts.any(1)), np.flatnonzero(parts.any(0))
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def _paste(image: Image.Image, color: Color | int, mask: Image.Image) -> None:
    box = mask.getbbox()
    if box:
        image.paste(color, box, mask.crop(box))


def _place(figure: Figure, attributes: BirdAttributes, side: int, rng: np.random.Generator) -> None:
    """Mirror, scale and shift the figure into the frame (pixels of the oversampled canvas)."""
    if attributes.facing == "left":
        figure.move(lambda points: points * (-1.0, 1.0))
    low, high = figure.extent()
    share = rng.uniform(*_FRAME_SHARE[attributes.species.size])
    scale = float(share * side / (high - low).max())
    centre = side * (0.5 + rng.uniform(-0.045, 0.045, 2))
    figure.move(lambda points: np.round((points - (low + high) / 2) * scale + centre, 2))
    figure.scale, figure.eye_radius = scale, figure.eye_radius * scale


def plumage(attributes: BirdAttributes, rng: np.random.Generator) -> dict[str, Color]:
    """Colours of this one bird: those of its species with a small individual shift."""
    species = attributes.species
    named = {part: PALETTE[getattr(species, part)] for part in ("body", "wing", "belly", "crown")}
    named |= {"beak": _SOFT_COLORS[species.beak_color], "legs": _SOFT_COLORS[species.leg_color]}
    colors = {}
    for part, color in named.items():
        shift = rng.uniform(-7, 7) + rng.uniform(-5, 5, 3)
        colors[part] = tuple(int(v) for v in np.clip(np.round(np.array(color) + shift), 0, 255))
    return colors


def _rim_color(color: Color) -> Color:
    return mix(color, _DARK, 0.5)


def _line_color(color: Color) -> Color:
    """Feather lines: darker than a light plumage, lighter than a dark one."""
    return mix(color, _LIGHT, 0.22) if sum(color) < 200 else mix(color, _DARK, 0.28)


def _paint_behind(studio: Studio) -> None:
    """Paint what the trunk covers: legs, far wing and tail."""
    wing, legs = studio.colors["wing"], studio.colors["legs"]
    if "legs" in studio.figure.lines:
        studio.stroke("legs", _rim_color(legs), 0.042, "legs")
        studio.stroke("legs", legs, 0.026, "legs")
    if "far wing" in studio.figure.outlines:
        studio.rim("far wing", _rim_color(wing), "wing")
        studio.fill("far wing", mix(wing, _DARK, 0.2), "wing")
    studio.rim("tail", _rim_color(wing), "tail")
    studio.fill("tail", mix(wing, _DARK, 0.06), "tail")
    studio.stroke("tail", _line_color(wing), 0.012)


def _paint_trunk(studio: Studio, rng: np.random.Generator) -> None:
    """Paint body, neck and head with belly and crown."""
    body, belly, crown = (studio.colors[part] for part in ("body", "belly", "crown"))
    for outline in ("body", "neck", "head"):
        studio.rim(outline, _rim_color(body), "body")
    if "crest" in studio.figure.outlines:
        studio.rim("crest", _rim_color(crown), "crown")
        studio.fill("crest", crown, "crown")
    for outline in ("body", "neck", "head"):
        studio.fill(outline, body, "body")
    trunk = studio.mask("body", "neck")
    studio.fill_within("belly", trunk, belly, "belly")
    studio.fill_within("crown", studio.mask("head"), crown, "crown")
    if "crest" in studio.figure.outlines:
        studio.fill("crest", crown, "crown")
    _paint_down(studio, rng)


def _paint_down(studio: Studio, rng: np.random.Generator) -> None:
    """Small soft strokes that make the plumage of body and belly look like down."""
    low, high = studio.figure.outlines["body"].min(0), studio.figure.outlines["body"].max(0)
    length = 0.05 * studio.figure.scale
    colors: Any = studio.canvas.load()
    parts: Any = studio.parts.load()
    for x, y in rng.uniform(low, high, (46, 2)):
        lighter, end = rng.random() < 0.5, x + 0.3 * length * rng.uniform(-0.3, 0.6)
        part = parts[int(x), int(y)]
        inside = PARTS[part] in ("body", "belly") and parts[int(end), int(y + 1.5 * length)] == part
        if inside:
            color = mix(colors[int(x), int(y)], _LIGHT if lighter else _DARK, 0.10)
            studio.pen.line([x, y, end, y + length], fill=color, width=studio.width(0.014))


def _paint_wing(studio: Studio) -> None:
    wing = studio.colors["wing"]
    shadow = studio.mask("wing").reduce(OVERSAMPLING)
    blur = 0.03 * studio.figure.scale / OVERSAMPLING
    shadow = ImageChops.offset(shadow.filter(ImageFilter.GaussianBlur(blur)), 0, round(1.2 * blur))
    trunk = Image.eval(studio.parts.reduce(OVERSAMPLING), lambda part: 90 if part else 0)
    shadow = ImageChops.multiply(shadow, trunk).resize(studio.canvas.size, Image.Resampling.NEAREST)
    _paste(studio.canvas, _DARK, shadow)
    studio.rim("wing", _rim_color(wing), "wing")
    studio.fill("wing", wing, "wing")
    studio.stroke("quills", _line_color(wing), 0.013)
    studio.stroke("coverts", _line_color(wing), 0.012)


def _paint_face(studio: Studio) -> None:
    """Paint beak and eye."""
    beak = studio.colors["beak"]
    studio.rim("beak", _rim_color(beak), "beak", 0.014)
    studio.fill("beak", beak, "beak")
    studio.stroke("mouth", mix(beak, _DARK if sum(beak) > 200 else _LIGHT, 0.4), 0.010)
    (x, y), radius = studio.figure.eye[0], studio.figure.eye_radius
    for scale, color, dx in (
        (1.4, (250, 246, 232), 0),
        (1.08, (26, 20, 22), 0),
        (0.36, (255, 255, 255), 0.36),
    ):
        r, cx, cy = radius * scale, x - dx * radius, y - dx * radius
        studio.pen.ellipse([cx - r, cy - r, cx + r, cy + r], fill=color)
    r = radius * 1.08
    studio.part_pen.ellipse([x - r, y - r, x + r, y + r], fill=PARTS.index("eye"))


def _shade(studio: Studio, pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Average the canvas down and give the bird volume with light from the upper left."""
    plain = np.asarray(studio.canvas.reduce(OVERSAMPLING), np.float32)
    everything = Image.eval(studio.parts, lambda part: 255 if part else 0).reduce(OVERSAMPLING)
    wing = studio.mask("wing").reduce(OVERSAMPLING)
    silhouette = np.asarray(everything, np.float32) / 255
    light = 0.46 * volume(everything, 0.045 * pixels) + 0.36 * volume(wing, 0.018 * pixels)
    rows = np.flatnonzero(silhouette.any(1))
    fall = np.interp(np.arange(pixels), [rows[0], rows[-1]], [0.06, -0.05])[:, None]
    grain = np.asarray(Image.fromarray(rng.normal(0, 1, (24, 24)).astype(np.float32)).resize((pixels, pixels)))
    light = np.clip((light + fall + 0.012 * grain) * silhouette, -0.22, 0.26)[:, :, None]
    shaded = plain * (1 + np.minimum(light, 0)) + (255 - plain) * 0.62 * np.maximum(light, 0)
    return np.clip(shaded + 0.5, 0, 255).astype(np.uint8)
