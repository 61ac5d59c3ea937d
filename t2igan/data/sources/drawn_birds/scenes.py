"""The settings in which drawn birds live: sky, branch, grass and water."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from t2igan.data.sources.drawing import (
    blades,
    cloud,
    enlarge,
    gradient,
    mix,
    soft_blobs,
    tinted,
    to_image,
)


@dataclass
class Scene:
    """The surroundings of one bird.

    Attributes:
        canvas: RGB image at ``OVERSAMPLING`` times the resolution, ready for the bird.
        foreground: Draws the objects in front of the bird, on the canvas and (as background) on the part map.
    """

    canvas: Image.Image
    foreground: Callable[[ImageDraw.ImageDraw, ImageDraw.ImageDraw], None] | None = None


def paint_scene(setting: str, pixels: int, ground: float | None, feet: float, rng: np.random.Generator) -> Scene:
    """Paint the setting.

    Args:
        setting: "sky", "branch", "grass" or "water".
        pixels: Side of the final image.
        ground: Height of the bird's feet as a share of the frame from the top, or None for a flying bird.
        feet: Horizontal position of the feet as a share of the frame.
        rng: Source of all variation.
    """
    painters = {"sky": _paint_sky, "branch": _paint_branch, "grass": _paint_grass, "water": _paint_water}
    return painters[setting](pixels, ground, feet, rng)


def _add_clouds(image: Image.Image, count: int, lowest: float, rng: np.random.Generator) -> None:
    for _ in range(count):
        puffs = cloud(rng, rng.uniform(0, 1), rng.uniform(0.06, lowest), rng.uniform(0.12, 0.24))
        shade = [(x + 0.008, y + 0.022, a, b) for x, y, a, b in puffs]
        soft_blobs(image, (170, 190, 214), shade, 0.016, 130)
        soft_blobs(image, (253, 254, 255), puffs, 0.010, 235)


def _paint_sky(pixels: int, ground: float | None, feet: float, rng: np.random.Generator) -> Scene:
    top, bottom = tinted((112, 172, 226), rng, 14), tinted((218, 238, 248), rng)
    image = to_image(gradient(pixels, [(0, top), (1, bottom)]))
    _add_clouds(image, int(rng.integers(2, 5)), 0.95, rng)
    return Scene(enlarge(image))


def _paint_branch(pixels: int, ground: float | None, feet: float, rng: np.random.Generator) -> Scene:
    light, deep = tinted((232, 240, 206), rng, 12), tinted((172, 204, 158), rng, 14)
    image = to_image(gradient(pixels, [(0, light), (1, deep)]))
    for tone in ((248, 250, 226), (150, 190, 138), (208, 226, 178)):
        circles = [(*rng.uniform(0, 1, 2), r, r) for r in rng.uniform(0.05, 0.13, 4)]
        soft_blobs(image, tone, circles, 0.03, 130)
    canvas = enlarge(image)
    draw, side = ImageDraw.Draw(canvas), canvas.width
    height = ground if ground is not None else rng.uniform(0.86, 0.93)
    slope = rng.uniform(-0.07, 0.07)
    bark, thick = tinted((112, 82, 58), rng, 10), rng.uniform(0.022, 0.032)

    def line(x: float) -> float:
        return height + slope * (x - feet) + 0.008 * np.sin(7 * x + slope * 90)

    for x in np.concatenate([rng.uniform(0.0, 0.24, 4), rng.uniform(0.78, 1.0, 4)]):
        _leaf(draw, side, (x, line(x) + thick), rng)
    xs = np.linspace(-0.02, 1.02, 24)
    for low, high, tone in (
        (0.0, 2.0, mix(bark, (0, 0, 0), 0.3)),
        (0.12, 1.5, bark),
        (0.2, 0.65, mix(bark, (255, 235, 205), 0.25)),
    ):
        upper = [(x * side, (line(x) + low * thick) * side) for x in xs]
        lower = [(x * side, (line(x) + high * thick) * side) for x in xs[::-1]]
        draw.polygon(upper + lower, fill=tone)
    for x in rng.uniform(0, 1, 9):
        y = line(x) + thick * rng.uniform(0.5, 1.4)
        draw.line(
            [x * side, y * side, (x + 0.05) * side, (y + slope * 0.05) * side],
            mix(bark, (0, 0, 0), 0.3),
            side // 170,
        )
    return Scene(canvas)


def _leaf(draw: ImageDraw.ImageDraw, side: int, stem: tuple[float, float], rng: np.random.Generator) -> None:
    angle = np.deg2rad(rng.uniform(-150, -30) if rng.random() < 0.6 else rng.uniform(30, 150))
    length, width = rng.uniform(0.10, 0.17), rng.uniform(0.025, 0.038)
    t = np.linspace(0, 1, 9)
    swell = width * np.sin(np.pi * t**0.8)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    spine = np.array(stem) + np.outer(0.12 * length + t * length, along)
    upper, lower = spine + np.outer(swell, across), spine - np.outer(swell, across)
    green = mix((72, 138, 58), (136, 178, 72), rng.random())
    outline = np.concatenate([upper, lower[::-1]]) * side
    draw.polygon([tuple(p) for p in outline], fill=green, outline=mix(green, (0, 0, 0), 0.3))
    draw.polygon(
        [tuple(p) for p in np.concatenate([upper, spine[::-1]]) * side],
        fill=mix(green, (255, 255, 220), 0.16),
    )
    draw.line([*(np.array(stem) * side), *(spine[-1] * side)], mix(green, (0, 0, 0), 0.25), max(1, side // 200))


def _paint_grass(pixels: int, ground: float | None, feet: float, rng: np.random.Generator) -> Scene:
    horizon = (ground - 0.16 if ground is not None else 0.84) + rng.uniform(-0.04, 0.04)
    sky, haze = tinted((196, 222, 238), rng, 10), tinted((240, 243, 226), rng, 8)
    near, far = tinted((122, 164, 78), rng, 10), tinted((190, 210, 138), rng, 10)
    image = to_image(gradient(pixels, [(0, sky), (horizon - 0.05, haze), (horizon + 0.03, far), (1, near)]))
    hills = [
        (rng.uniform(0, 1), horizon + 0.05, rng.uniform(0.25, 0.45), rng.uniform(0.06, 0.12)) for _ in range(3)
    ]
    soft_blobs(image, mix(far, (120, 160, 120), 0.35), hills, 0.02, 150)
    canvas = enlarge(image)
    draw, side = ImageDraw.Draw(canvas), canvas.width
    for outline, color in blades(rng, 46, (horizon + 0.06, 1.02), (0.05, 0.10)):
        draw.polygon([tuple(p) for p in outline * side], fill=color)
    for x, y in zip(rng.uniform(0, 1, 7), rng.uniform(horizon + 0.05, 1.0, 7)):
        petal = ((252, 250, 240), (250, 226, 110), (232, 170, 200))[int(rng.integers(3))]
        r = 0.009
        draw.ellipse([(x - r) * side, (y - r) * side, (x + r) * side, (y + r) * side], fill=petal)
    if ground is None:
        return Scene(canvas)
    tufts = blades(rng, 22, (ground + 0.03, 1.05), (0.05, 0.09))

    def foreground(canvas_pen: ImageDraw.ImageDraw, parts: ImageDraw.ImageDraw) -> None:
        for outline, color in tufts:
            points = [tuple(p) for p in outline * side]
            canvas_pen.polygon(points, fill=color)
            parts.polygon(points, fill=0)

    return Scene(canvas, foreground)


def _paint_water(pixels: int, ground: float | None, feet: float, rng: np.random.Generator) -> Scene:
    horizon = (ground - 0.24 if ground is not None else 0.72) + rng.uniform(-0.06, 0.06)
    sky, haze = tinted((206, 226, 236), rng, 10), tinted((246, 238, 222), rng, 8)
    far, near = tinted((142, 192, 208), rng, 10), tinted((74, 138, 170), rng, 12)
    image = to_image(gradient(pixels, [(0, sky), (horizon, haze)]))
    water = to_image(gradient(pixels, [(horizon, far), (1, near)]))
    shore = [(rng.uniform(0, 1), horizon - 0.012, rng.uniform(0.2, 0.4), rng.uniform(0.02, 0.05)) for _ in range(3)]
    soft_blobs(image, (150, 172, 142), shore, 0.006, 150)
    below = Image.new("L", image.size)
    ImageDraw.Draw(below).rectangle([0, round(horizon * pixels), pixels, pixels], fill=255)
    image.paste(water, (0, 0), below)
    if ground is not None:
        soft_blobs(image, mix(near, (20, 40, 60), 0.5), [(feet - 0.02, ground + 0.06, 0.17, 0.045)], 0.025, 140)
    canvas = enlarge(image)
    draw, side = ImageDraw.Draw(canvas), canvas.width
    for _ in range(26):
        depth = rng.uniform(0.02, 1) ** 1.3
        y, x = horizon + depth * (1.02 - horizon), rng.uniform(-0.05, 1)
        length, swell = rng.uniform(0.04, 0.10) * (0.5 + depth), 0.005 * (0.4 + depth)
        tone = (
            mix(near, (235, 248, 252), rng.uniform(0.35, 0.7))
            if rng.random() < 0.7
            else mix(near, (20, 60, 90), 0.3)
        )
        points = [
            (x + length * t, y - swell * np.sin(np.pi * t) * w) for w in (1.0, -0.2) for t in np.linspace(0, 1, 7)
        ]
        draw.polygon([(px * side, py * side) for px, py in points[:7] + points[:6:-1]], fill=tone)
    if ground is None:
        return Scene(canvas)

    def foreground(canvas_pen: ImageDraw.ImageDraw, parts: ImageDraw.ImageDraw) -> None:
        for a in (0.075, 0.12, 0.165):
            box = [
                (feet - a) * side,
                (ground - 0.22 * a) * side,
                (feet + a) * side,
                (ground + 0.22 * a) * side,
            ]
            for start, stop in ((15, 165), (190, 350)):
                tone = mix(near, (240, 250, 252), 0.75 - 2.2 * a)
                canvas_pen.arc(box, start, stop, fill=tone, width=max(1, side // 150))

    return Scene(canvas, foreground)
