"""Drawing primitives of the embedded data sets: curves, colours, soft shapes and light."""

from collections.abc import Callable

import numpy as np
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


def smooth(points: np.ndarray, closed: bool = True, samples: int = 7) -> np.ndarray:
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


def rotation(degrees: float, centre: tuple[float, float] = (0.0, 0.0)) -> Callable[[np.ndarray], np.ndarray]:
    """Return a rotation of points about a centre; positive turns clockwise on the image (y points down)."""
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = np.asarray(centre, float)
    return lambda points: (np.asarray(points, float) - middle) @ matrix + middle


def as_tuples(points: np.ndarray) -> list[tuple[float, float]]:
    """Convert points (N, 2) to the tuples that PIL draws."""
    return [(x, y) for x, y in points.tolist()]


def volume(mask: Image.Image, radius: float) -> np.ndarray:
    """Shading of a cushion with the mask's shape, about -0.5..0.5, from the blurred mask as a height field."""
    height = np.asarray(mask.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255
    step = max(1, round(radius / 2))
    padded = np.pad(height, step, mode="edge")
    upper_left, lower_right = padded[: -2 * step, : -2 * step], padded[2 * step :, 2 * step :]
    return (lower_right - upper_left) * 0.55
