"""Paint a drawn scene from back to front, with the segment of each pixel."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from t2igan.data.sources.drawing import (
    OVERSAMPLING,
    Color,
    Sheet,
    blades,
    cloud,
    draw_flowers,
    enlarge,
    gradient,
    lit,
    mix,
    rotation,
    soft_blobs,
    tinted,
    to_image,
    volume,
    wave,
)
from t2igan.data.sources.drawn_birds.figure import build_figure
from t2igan.data.sources.drawn_birds.painter import Studio, paint_figure, plumage
from t2igan.data.sources.drawn_birds.species import BirdAttributes, Species, palette
from t2igan.data.sources.scenes.shapes import GLASS, METAL, TYRE, WOOD, extent, figure
from t2igan.data.sources.scenes.world import Scene, Stuff, Thing

_DARK: Color = (24, 20, 30)
_LIGHT: Color = (255, 252, 242)
_FIXED: dict[str, Color] = {GLASS: (196, 222, 236), TYRE: (44, 44, 50), WOOD: (124, 88, 58), METAL: (176, 178, 184),
                            "headlight": (255, 236, 150), "taillight": (226, 60, 50), "eye": (28, 22, 24),
                            "light": (250, 248, 240)}  # fmt: skip

_ROOF: dict[str, Color] = {"red": (176, 62, 52), "brown": (116, 76, 54), "grey": (110, 114, 124)}


class _Canvas:
    """The image so far, and the segment that owns each pixel."""

    def __init__(self, pixels: int) -> None:
        self.pixels = pixels
        self.colors = np.zeros((pixels, pixels, 3), np.float32)
        self.owners = np.zeros((pixels, pixels), np.uint8)

    def lay(self, number: int, colors: np.ndarray, alpha: np.ndarray, corner: tuple[int, int] = (0, 0)) -> None:
        """Composite colours (H, W, 3) onto the image at a column and row.

        The segment ``number`` owns what is more than half covered.
        """
        (left, top), (height, width) = corner, alpha.shape
        window = np.s_[top : top + height, left : left + width]
        self.colors[window] += (colors - self.colors[window]) * alpha[:, :, None]
        self.owners[window][alpha > 0.5] = number

    def darken(self, x: float, y: float, half_width: float, half_height: float, strength: float) -> None:
        """Add a soft shadow or reflection, which owns no pixel."""
        at = (np.arange(self.pixels, dtype=np.float32) + 0.5) / self.pixels
        across, down = (np.exp(-(((at - c) / half) ** 2)) for c, half in ((x, half_width), (y, half_height)))
        self.colors *= 1 - strength * np.outer(down, across)[:, :, None]


def paint_scene(scene: Scene, pixels: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Paint the image of a scene, with the segment of each pixel.

    Args:
        scene: the scene to paint.
        pixels: side of the square image.
        rng: source of all that the scene leaves open; the same state gives the same image.

    Returns:
        The image, uint8 (pixels, pixels, 3), and of each pixel the number of its segment in ``scene.segments``,
        uint8 (pixels, pixels).
    """
    canvas = _Canvas(pixels)
    for number, segment in enumerate(scene.segments):
        if isinstance(segment, Thing):
            _paint_thing(canvas, number, segment, rng)
        else:
            _STUFF[segment.name](canvas, number, segment, rng)
    return np.clip(canvas.colors + 0.5, 0, 255).astype(np.uint8), canvas.owners


# --- stuff -------------------------------------------------------------------------------------------------------


def _paint_sky(canvas: _Canvas, number: int, stuff: Stuff, rng: np.random.Generator) -> None:
    top, bottom = (tinted(color, rng) for color in stuff.row["colors"])
    image = to_image(gradient(canvas.pixels, [(0, top), (0.6, bottom), (1, bottom)]))
    if stuff.look in ("pink", "orange"):
        x, y = rng.uniform(0.15, 0.85), rng.uniform(0.2, 0.34)
        for radius, color, blur in ((0.16, (255, 232, 170), 0.06), (0.065, (255, 246, 214), 0.004)):
            soft_blobs(image, color, [(x, y, radius, radius)], blur, 200)
    canvas.lay(number, np.asarray(image, float), np.ones((canvas.pixels, canvas.pixels)))


def _paint_clouds(canvas: _Canvas, number: int, stuff: Stuff, rng: np.random.Generator) -> None:
    light, shade = (tuple(color) for color in stuff.row["colors"])
    for x in rng.permutation((0.15, 0.5, 0.85))[: int(rng.integers(1, 4))]:
        puffs = cloud(rng, x + rng.uniform(-0.1, 0.1), rng.uniform(0.08, 0.26), rng.uniform(0.14, 0.25))
        lower = [(a, b + 0.025, width, height) for a, b, width, height in puffs]
        image = Image.new("RGB", (canvas.pixels, canvas.pixels), shade)
        soft_blobs(image, light, puffs, 0.012, 245)
        mask = Image.new("L", image.size)
        soft_blobs(mask, 255, lower + puffs, 0.008, 250)
        canvas.lay(number, np.asarray(image, float), np.asarray(mask, float) / 255)


def _ridge(pixels: int, level: float, rng: np.random.Generator, pointed: bool) -> np.ndarray:
    """Height of a skyline, as shares of the frame from the top, float (pixels,)."""
    at = (np.arange(pixels) + 0.5) / pixels
    if pointed:
        knots = np.linspace(-0.1, 1.1, 2 * int(rng.integers(3, 5)) + 1)
        heights = np.where(np.arange(len(knots)) % 2, 0.0, 0.16) + rng.uniform(0, 0.08, len(knots))
        fine = np.linspace(-0.1, 1.1, 41)
        return level + np.interp(at, fine, np.interp(fine, knots, heights) + rng.uniform(-0.008, 0.008, 41))
    waves = rng.uniform(0, 2 * np.pi, 3)
    return level + 0.045 * np.sin(5 * at + waves[0]) + 0.025 * np.sin(11 * at + waves[1]) + 0.03


def _below(line: np.ndarray) -> np.ndarray:
    """Coverage of all that is below a line (W,) of shares from the top: float (W, W)."""
    rows = np.arange(len(line))[:, None]
    return np.clip(rows + 1 - line[None, :] * len(line), 0, 1)


def _noise(pixels: int, knots: int, rng: np.random.Generator, across: int = 1) -> np.ndarray:
    """Smooth noise of unit variance; ``across`` times coarser from left to right."""
    values = rng.normal(0, 1, (knots, max(2, knots // across))).astype(np.float32)
    return np.asarray(Image.fromarray(values).resize((pixels, pixels), Image.Resampling.BICUBIC))


def _paint_mountain(canvas: _Canvas, number: int, stuff: Stuff, rng: np.random.Generator) -> None:
    pixels, line = canvas.pixels, _ridge(canvas.pixels, stuff.level, rng, pointed=True)
    top, bottom = (tinted(color, rng) for color in stuff.row["colors"])
    colors = gradient(pixels, [(stuff.level, top), (stuff.level + 0.3, bottom)])
    slope = np.clip(np.gradient(line) * pixels, -1, 1)[None, :]
    colors *= (1 - 0.16 * slope + 0.04 * _noise(pixels, 20, rng))[:, :, None]
    if stuff.look == "snowy":
        rows = (np.arange(pixels)[:, None] + 0.5) / pixels
        cap = np.clip((stuff.level + 0.13 + 0.02 * _noise(pixels, 14, rng) - rows) * 30, 0, 1)[:, :, None]
        colors += (np.array((250.0, 251.0, 255.0)) * (1 - 0.08 * slope[:, :, None]) - colors) * cap
    canvas.lay(number, colors, _below(line))


def _paint_hill(canvas: _Canvas, number: int, stuff: Stuff, rng: np.random.Generator) -> None:
    pixels, line = canvas.pixels, _ridge(canvas.pixels, stuff.level, rng, pointed=False)
    top, bottom = (tinted(color, rng) for color in stuff.row["colors"])
    colors = gradient(pixels, [(stuff.level, top), (stuff.level + 0.25, bottom)])
    slope = np.clip(np.gradient(line) * pixels, -1, 1)[None, :]
    canvas.lay(number, colors * (1 - 0.2 * slope + 0.03 * _noise(pixels, 24, rng))[:, :, None], _below(line))


def _paint_ground(canvas: _Canvas, number: int, stuff: Stuff, rng: np.random.Generator) -> None:
    """Sea, sand, grass, snow and road: from their level down to the lower edge."""
    pixels, level = canvas.pixels, stuff.level
    far, near = (tinted(color, rng, 6) for color in stuff.row["colors"])
    colors = gradient(pixels, [(level, far), (1, near)])
    rough = {"sea": 0.0, "sand": 0.025, "grass": 0.03, "snow": 0.02, "road": 0.015}[stuff.name]
    colors *= (1 + rough * (_noise(pixels, 64, rng) + _noise(pixels, 12, rng, 2)))[:, :, None]
    sheet = Sheet(enlarge(to_image(colors)))
    if stuff.name in _STROKES:
        _STROKES[stuff.name](sheet, level, (far, near), rng)
    at = (np.arange(pixels) + 0.5) / pixels
    swing = {"sea": 0.0, "road": 0.0, "sand": 0.012}.get(stuff.name, 0.008)
    line = level + swing * np.sin(6 * at + rng.uniform(0, 6)) + 0.5 * swing * np.sin(15 * at + rng.uniform(0, 6))
    canvas.lay(number, np.asarray(sheet.canvas.reduce(OVERSAMPLING), float), _below(line))


def _waves(sheet: Sheet, level: float, tones: tuple[Color, Color], rng: np.random.Generator) -> None:
    for _ in range(34):
        outline = wave(rng, level, (0.05, 0.13), 0.4, 0.007)
        light, share = ((240, 250, 253), rng.uniform(0.35, 0.7)) if rng.random() < 0.65 else (_DARK, 0.2)
        sheet.fill(outline * sheet.side, mix(tones[1], light, share))


def _grow(sheet: Sheet, level: float, tones: tuple[Color, Color], rng: np.random.Generator) -> None:
    for outline, _ in blades(rng, 60, (level + 0.05, 1.03), (0.03, 0.07)):
        shade = mix(mix(tones[1], _DARK, 0.22), mix(tones[0], _LIGHT, 0.1), rng.random())
        sheet.fill(outline * sheet.side, shade)
    draw_flowers(sheet, level + 0.06, rng)


def _speckle(sheet: Sheet, level: float, tones: tuple[Color, Color], rng: np.random.Generator) -> None:
    for x, y in zip(rng.uniform(0, 1, 60), rng.uniform(level + 0.03, 1.0, 60)):
        tone, r = (
            mix(tones[1], _DARK if rng.random() < 0.6 else _LIGHT, 0.3),
            rng.uniform(0.002, 0.005) * sheet.side,
        )
        sheet.oval((x * sheet.side, y * sheet.side), (1.6 * r, r), tone)


def _mark(sheet: Sheet, level: float, tones: tuple[Color, Color], rng: np.random.Generator) -> None:
    kerb = np.array([(0, level), (1, level), (1, level + 0.022), (0, level + 0.022)])
    sheet.fill(kerb * sheet.side, mix(tones[0], _LIGHT, 0.55))
    middle, start = level + 0.62 * (1 - level), rng.uniform(-0.2, 0)
    for x in np.arange(start, 1, 0.26):
        stripe = np.add([(0.02, -0.011), (0.16, -0.011), (0.14, 0.011), (0, 0.011)], (x, middle))
        sheet.fill(stripe * sheet.side, (236, 232, 214))


_STROKES: dict[str, Callable[..., None]] = {"sea": _waves, "grass": _grow, "sand": _speckle, "road": _mark}


def _paint_trees(canvas: _Canvas, number: int, stuff: Stuff, rng: np.random.Generator) -> None:
    (leaves,) = stuff.row["colors"]
    for x, y, width in stuff.spots:
        tones = {"main": tinted(leaves, rng, 12), "second": tinted(_FIXED[WOOD], rng)}
        canvas.darken(x + 0.02, y, 0.4 * width, 0.06 * width, 0.25)
        _stand(canvas, number, stuff.row["figure"], tones, (x, y, width), mirrored=bool(rng.random() < 0.5))


def _paint_house(canvas: _Canvas, number: int, stuff: Stuff, rng: np.random.Generator) -> None:
    ((x, y, width),) = stuff.spots
    (wall,) = stuff.row["colors"]
    tones = {"main": tinted(wall, rng), "second": tinted(_ROOF[stuff.second], rng)}
    canvas.darken(x + 0.02, y, 0.55 * width, 0.06 * width, 0.25)
    _stand(canvas, number, "house", tones, (x, y, width), mirrored=bool(rng.random() < 0.5))


_STUFF: dict[str, Callable[[_Canvas, int, Stuff, np.random.Generator], None]] = {
    "sky-other": _paint_sky,
    "clouds": _paint_clouds,
    "mountain": _paint_mountain,
    "hill": _paint_hill,
    **dict.fromkeys(("sea", "sand", "grass", "snow", "road"), _paint_ground),
    "tree": _paint_trees,
    "house": _paint_house,
}

# --- things ------------------------------------------------------------------------------------------------------


def _paint_thing(canvas: _Canvas, number: int, thing: Thing, rng: np.random.Generator) -> None:
    if thing.on == "sea":
        canvas.darken(thing.x, thing.y + 0.02, 0.45 * thing.width, 0.12 * thing.width, 0.45)
    elif thing.pose == "standing":
        canvas.darken(thing.x + 0.03 * thing.width, thing.y, 0.5 * thing.width, 0.07 * thing.width, 0.45)
    if thing.name == "bird":
        _paint_bird(canvas, number, thing, rng)
        return
    tones = {
        part: tinted(palette()[color], rng, 7) for part, color in (("main", thing.color), ("second", thing.second))
    }
    turn = {"kite": rng.uniform(8, 28), "airplane": rng.uniform(-9, 3), "boat": rng.uniform(-3, 3)}.get(
        thing.name, 0.0
    )
    _stand(canvas, number, thing.name, tones, (thing.x, thing.y, thing.width), thing.mirrored, turn)


def _stand(
    canvas: _Canvas,
    number: int,
    name: str,
    tones: dict[str, Color],
    spot: tuple[float, float, float],
    mirrored: bool,
    turn: float = 0.0,
) -> None:
    """Draw a figure whose foot and width are given in shares of the frame."""
    x, y, width = spot
    side = canvas.pixels * OVERSAMPLING
    left, top, right, bottom = extent(name)
    scale = width * side / (right - left)
    rotate = rotation(turn, ((left + right) / 2, (top + bottom) / 2))
    sign = -1 if mirrored else 1

    def place(points: np.ndarray) -> np.ndarray:
        moved = rotate(points) - ((left + right) / 2, bottom)
        return moved * (sign * scale, scale) + (x * side, y * side)

    sheet = Sheet(Image.new("RGB", (side, side), mix(tones["main"], _DARK, 0.6)))
    rim = max(0.018 * scale, 0.8 * OVERSAMPLING)
    for shape in figure(name):
        points, color = place(shape.points), _tone(shape.tone, tones)
        if shape.rim and shape.width:
            sheet.line(points, mix(color, _DARK, 0.6), shape.width * scale + rim, 255)
        elif shape.rim:
            sheet.rim(points, mix(color, _DARK, 0.6), rim, 255)
        if shape.width:
            sheet.line(points, color, shape.width * scale, 255)
        else:
            sheet.fill(points, color, 255)
    _lay_lit(canvas, number, sheet, 0.06 * width)


def _tone(tone: str, tones: dict[str, Color]) -> Color:
    if tone in _FIXED:
        return _FIXED[tone]
    color = tones[tone.rstrip("+-")]
    return mix(color, _LIGHT, 0.3) if tone[-1] == "+" else mix(color, _DARK, 0.28) if tone[-1] == "-" else color


def _lay_lit(canvas: _Canvas, number: int, sheet: Sheet, radius: float) -> None:
    """Composite a figure with light from the upper left; ``radius`` of its edges is a share of the frame."""
    small = sheet.drawn().reduce(OVERSAMPLING)
    margin = round(3 * radius * canvas.pixels) + 2
    left, top, right, bottom = small.getbbox() or (0, 0, 1, 1)
    left, top = max(0, left - margin), max(0, top - margin)
    right, bottom = min(canvas.pixels, right + margin), min(canvas.pixels, bottom + margin)
    small = small.crop((left, top, right, bottom))
    colors = np.asarray(sheet.canvas.reduce(OVERSAMPLING), np.float32)[top:bottom, left:right]
    alpha = np.asarray(small, np.float32) / 255
    light = np.clip(0.5 * volume(small, radius * canvas.pixels), -0.2, 0.25)
    canvas.lay(number, lit(colors, light), alpha, (left, top))


def _paint_bird(canvas: _Canvas, number: int, thing: Thing, rng: np.random.Generator) -> None:
    """A bird of the drawn birds: body, belly and crown in its first colour, wings and tail in its second."""
    side = canvas.pixels * OVERSAMPLING
    color, wing = thing.color, thing.second
    species = Species(
        color, wing, color, color, beak_shape="short pointed",
        beak_color="yellow" if color != "yellow" else "orange", leg_color="orange", size="small", tail="short",
        crest=False,
    )  # fmt: skip
    attributes = BirdAttributes(species, thing.pose, "left" if thing.mirrored else "right", thing.on)
    shape = build_figure(attributes, rng)
    low, high = shape.extent()
    foot = (low[0] + high[0]) / 2, high[1]
    shape.place(thing.width * side / float((high - low).max()), foot, np.array((thing.x, thing.y)) * side)
    colors = plumage(attributes, rng)
    sheet = Sheet(Image.new("RGB", (side, side), mix(colors["body"], _DARK, 0.5)))
    paint_figure(Studio(sheet, shape, colors), attributes.pose, rng)
    _lay_lit(canvas, number, sheet, 0.05 * thing.width)
