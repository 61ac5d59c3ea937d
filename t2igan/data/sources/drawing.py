"""What drawn birds and drawn scenes are painted with: colours, curves, strokes, light, and pieces of landscape."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFilter

OVERSAMPLING = 4
"""Shapes are drawn at this many times the resolution and then averaged."""

Color = tuple[int, int, int]


def mix(color: Color, other: Color, amount: float) -> Color:
    """Return ``color`` moved towards ``other`` by ``amount`` in [0, 1]."""
    red, green, blue = (round(a + (b - a) * amount) for a, b in zip(color, other))
    return red, green, blue


def gradient(pixels: int, stops: list[tuple[float, Color]]) -> np.ndarray:
    """Vertical gradient through (height, colour) stops: float (pixels, pixels, 3)."""
    heights = (np.arange(pixels) + 0.5) / pixels
    column = [np.interp(heights, [h for h, _ in stops], [c[i] for _, c in stops]) for i in range(3)]
    return np.repeat(np.stack(column, 1)[:, None, :], pixels, 1)


def tinted(color: Color, rng: np.random.Generator, spread: float = 9) -> Color:
    """A colour with each channel shifted by up to ``spread``."""
    red, green, blue = (int(np.clip(v + d, 0, 255)) for v, d in zip(color, rng.uniform(-spread, spread, 3)))
    return red, green, blue


def to_image(array: np.ndarray) -> Image.Image:
    """Convert an array (H, W, 3) in 0..255 to an image."""
    return Image.fromarray(np.clip(array + 0.5, 0, 255).astype(np.uint8))


def enlarge(image: Image.Image) -> Image.Image:
    """An image at ``OVERSAMPLING`` times its size."""
    # Nearest is enough: the final averaging gives back exactly the smooth image.
    return image.resize((image.width * OVERSAMPLING, image.height * OVERSAMPLING), Image.Resampling.NEAREST)


def smooth(points: ArrayLike, closed: bool = True, samples: int = 7) -> np.ndarray:
    """Return a Catmull-Rom curve through points (N, 2), with ``samples`` points a segment."""
    points = np.asarray(points, float)
    if closed:
        padded = np.concatenate([points[-1:], points, points[:2]])
    else:
        padded = np.concatenate([points[:1], points, points[-1:]])
    before, start, end, after = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = (np.arange(samples) / samples)[None, :, None]
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    curve = curve.reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


def rotation(degrees: float, centre: tuple[float, float] = (0.0, 0.0)) -> Callable[[ArrayLike], np.ndarray]:
    """Return a rotation of points about a centre; positive turns clockwise on the image (y points down)."""
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = np.asarray(centre, float)
    return lambda points: (np.asarray(points, float) - middle) @ matrix + middle


def as_tuples(points: np.ndarray) -> list[tuple[float, float]]:
    """Convert points (N, 2) to the tuples that PIL draws."""
    return [(x, y) for x, y in points.tolist()]


class Sheet:
    """An image and the map of what its pixels show, drawn with the same strokes; without a mark the map stays.

    Attributes:
        canvas: RGB image.
        marks: map of the same size, mode L, at first 0.
        side: width of both in pixels; all coordinates are pixels, too.
    """

    def __init__(self, canvas: Image.Image) -> None:
        self.canvas, self.marks, self.side = canvas, Image.new("L", canvas.size), canvas.width
        self._pen, self._marker = ImageDraw.Draw(canvas), ImageDraw.Draw(self.marks)

    def fill(self, outline: np.ndarray, color: Color, mark: int | None = None) -> None:
        """Fill an outline (N, 2)."""
        for pen, value in self._pens(color, mark):
            pen.polygon(as_tuples(outline), fill=value)

    def line(self, line: np.ndarray, color: Color, width: float, mark: int | None = None) -> None:
        """Draw a line through points (N, 2)."""
        for pen, value in self._pens(color, mark):
            pen.line(as_tuples(line), fill=value, width=max(1, round(width)), joint="curve")

    def rim(self, outline: np.ndarray, color: Color, width: float, mark: int | None = None) -> None:
        """Draw a line along the edge of an outline (N, 2)."""
        self.line(np.concatenate([outline, outline[:2]]), color, width, mark)

    def oval(self, centre: ArrayLike, radii: ArrayLike, color: Color, mark: int | None = None) -> None:
        """Fill an ellipse with a centre (x, y) and its half width and half height, or one radius."""
        corners = np.stack([np.subtract(centre, radii), np.add(centre, radii)])
        for pen, value in self._pens(color, mark):
            pen.ellipse(as_tuples(corners), fill=value)

    def arc(self, corners: np.ndarray, start: int, end: int, color: Color, width: int) -> None:
        """Draw a part of the edge of the oval between two corners (2, 2), by angles in degrees; marks nothing."""
        self._pen.arc(as_tuples(corners), start, end, fill=color, width=max(1, width))

    def drawn(self) -> Image.Image:
        """Mask of all that is marked: 255 there, else 0."""
        return self.marks.point(lambda mark: 255 if mark else 0)

    def _pens(self, color: Color, mark: int | None) -> list[tuple[ImageDraw.ImageDraw, Color | int]]:
        return [(self._pen, color)] if mark is None else [(self._pen, color), (self._marker, mark)]


def tight_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The box (x, y, width, height) that just encloses what is not zero in a map (H, W); zeros for an empty map."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, 0, 0
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def volume(mask: Image.Image, radius: float) -> np.ndarray:
    """Shading of a cushion with the mask's shape, about -0.5..0.5, from the blurred mask as a height field."""
    height = np.asarray(mask.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255
    step = max(1, round(radius / 2))
    padded = np.pad(height, step, mode="edge")
    upper_left, lower_right = padded[: -2 * step, : -2 * step], padded[2 * step :, 2 * step :]
    return (lower_right - upper_left) * 0.55


def lit(colors: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3) in 0..255, darker where ``light`` (H, W) is negative and paler where it is positive."""
    light = light[:, :, None]
    return colors * (1 + np.minimum(light, 0)) + (255 - colors) * 0.62 * np.maximum(light, 0)


# --- pieces of landscape --------------------------------------------------------------------------------------


def soft_blobs(
    image: Image.Image, color: Color | int, circles: list[tuple[float, ...]], blur: float, strength: int
) -> None:
    """Lay blurred ellipses (x, y, half width, half height as shares of the frame) over the image, in place."""
    side = image.width
    mask = Image.new("L", image.size)
    draw = ImageDraw.Draw(mask)
    for x, y, a, b in circles:
        draw.ellipse([(x - a) * side, (y - b) * side, (x + a) * side, (y + b) * side], fill=strength)
    image.paste(color, (0, 0), mask.filter(ImageFilter.GaussianBlur(blur * side)))


def cloud(rng: np.random.Generator, x: float, y: float, size: float) -> list[tuple[float, ...]]:
    """Ellipses of a cloud around (x, y), in the form of :func:`soft_blobs`."""
    puffs = [(x, y, 1.25 * size, 0.32 * size)]
    for at in (-0.75, -0.25, 0.3, 0.8):
        radius = size * rng.uniform(0.34, 0.52) * (1.15 - 0.5 * abs(at))
        puffs.append((x + at * size, y - 0.3 * radius, radius, radius * 0.85))
    return puffs


def wave(
    rng: np.random.Generator, horizon: float, lengths: tuple[float, float], near: float, height: float
) -> np.ndarray:
    """Outline of one wave below the horizon in shares of the frame, (14, 2).

    Args:
        rng: source of its place and length.
        horizon: upper edge of the water.
        lengths: range of its length, in units that grow towards the front.
        near: size of that unit at the horizon; it is larger by one at the lower edge.
        height: how high it is in the middle, with a unit of its own.
    """
    depth = rng.uniform(0.02, 1) ** 1.3
    x, y = rng.uniform(-0.05, 1), horizon + depth * (1.02 - horizon)
    length, swell = rng.uniform(*lengths) * (near + depth), height * (0.4 + depth)
    t = np.linspace(0, 1, 7)
    crest, trough = (np.stack([x + length * t, y - swell * np.sin(np.pi * t) * w], 1) for w in (1.0, -0.2))
    return np.concatenate([crest, trough[::-1]])


def draw_flowers(sheet: Sheet, highest: float, rng: np.random.Generator) -> None:
    """Seven small flowers below a height."""
    for x, y in zip(rng.uniform(0, 1, 7), rng.uniform(highest, 1.0, 7)):
        petal = ((252, 250, 240), (250, 226, 110), (232, 170, 200))[int(rng.integers(3))]
        sheet.oval((x * sheet.side, y * sheet.side), 0.009 * sheet.side, petal)


def _blade(root: np.ndarray, height: float, lean: float, width: float) -> np.ndarray:
    t = np.linspace(0, 1, 6)[:, None]
    spine = root + np.concatenate([lean * t**2, -height * t], 1)
    half = width * (1 - t) * np.array([[1.0, 0.0]])
    return np.concatenate([spine - half, (spine + half)[::-1]])


def blades(rng: np.random.Generator, count: int, roots: tuple[float, float], tall: tuple[float, float]) -> list:
    """Blades of grass from back to front: (outline in shares of the frame, colour)."""
    grown = []
    for y in np.sort(rng.uniform(*roots, count)):
        outline = _blade(
            np.array([rng.uniform(0, 1), y]),
            rng.uniform(*tall),
            rng.uniform(-0.05, 0.05),
            rng.uniform(0.005, 0.009),
        )
        grown.append((outline, mix((70, 126, 54), (158, 190, 92), rng.random())))
    return grown
