"""The settings in which drawn birds live: sky, branch, grass and water."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from t2igan.data.sources.drawing import (
    Sheet,
    blades,
    cloud,
    draw_flowers,
    enlarge,
    gradient,
    mix,
    soft_blobs,
    tinted,
    to_image,
    wave,
)

Surroundings: TypeAlias = tuple[Sheet, Callable[[], None] | None]
"""Sheet at ``OVERSAMPLING`` times the resolution, ready for the bird; what then draws the things in front of it."""


def paint_surroundings(
    setting: str, pixels: int, ground: float | None, feet: float, rng: np.random.Generator
) -> Surroundings:
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


def _paint_sky(pixels: int, ground: float | None, feet: float, rng: np.random.Generator) -> Surroundings:
    top, bottom = tinted((112, 172, 226), rng, 14), tinted((218, 238, 248), rng)
    image = to_image(gradient(pixels, [(0, top), (1, bottom)]))
    for _ in range(int(rng.integers(2, 5))):
        puffs = cloud(rng, rng.uniform(0, 1), rng.uniform(0.06, 0.95), rng.uniform(0.12, 0.24))
        shade = [(x + 0.008, y + 0.022, a, b) for x, y, a, b in puffs]
        soft_blobs(image, (170, 190, 214), shade, 0.016, 130)
        soft_blobs(image, (253, 254, 255), puffs, 0.010, 235)
    return Sheet(enlarge(image)), None


def _paint_branch(pixels: int, ground: float | None, feet: float, rng: np.random.Generator) -> Surroundings:
    light, deep = tinted((232, 240, 206), rng, 12), tinted((172, 204, 158), rng, 14)
    image = to_image(gradient(pixels, [(0, light), (1, deep)]))
    for tone in ((248, 250, 226), (150, 190, 138), (208, 226, 178)):
        circles = [(*rng.uniform(0, 1, 2), r, r) for r in rng.uniform(0.05, 0.13, 4)]
        soft_blobs(image, tone, circles, 0.03, 130)
    sheet = Sheet(enlarge(image))
    height = ground if ground is not None else rng.uniform(0.86, 0.93)
    slope = rng.uniform(-0.07, 0.07)
    bark, thick = tinted((112, 82, 58), rng, 10), rng.uniform(0.022, 0.032)
    dark = mix(bark, (0, 0, 0), 0.3)

    def along(x: np.ndarray, depth: float) -> np.ndarray:
        """Points of the branch, ``depth`` times its half thickness below its upper edge."""
        upper = height + slope * (x - feet) + 0.008 * np.sin(7 * x + slope * 90)
        return np.stack([x, upper + depth * thick], -1)

    for x in np.concatenate([rng.uniform(0.0, 0.24, 4), rng.uniform(0.78, 1.0, 4)]):
        _draw_leaf(sheet, along(x, 1), rng)
    x = np.linspace(-0.02, 1.02, 24)
    for low, high, tone in ((0.0, 2.0, dark), (0.12, 1.5, bark), (0.2, 0.65, mix(bark, (255, 235, 205), 0.25))):
        sheet.fill(np.concatenate([along(x, low), along(x[::-1], high)]) * sheet.side, tone)
    for x in rng.uniform(0, 1, 9):
        start = along(x, rng.uniform(0.5, 1.4))
        crack = np.stack([start, np.add(start, (0.05, slope * 0.05))])
        sheet.line(crack * sheet.side, dark, sheet.side // 170)
    return sheet, None


def _draw_leaf(sheet: Sheet, stem: np.ndarray, rng: np.random.Generator) -> None:
    angle = np.deg2rad(rng.uniform(-150, -30) if rng.random() < 0.6 else rng.uniform(30, 150))
    length, width = rng.uniform(0.10, 0.17), rng.uniform(0.025, 0.038)
    t = np.linspace(0, 1, 9)
    swell = width * np.sin(np.pi * t**0.8)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    spine = stem + np.outer(0.12 * length + t * length, along)
    upper, lower = spine + np.outer(swell, across), spine - np.outer(swell, across)
    green = mix((72, 138, 58), (136, 178, 72), rng.random())
    whole, lighter = (np.concatenate([upper, edge[::-1]]) * sheet.side for edge in (lower, spine))
    sheet.fill(whole, green)
    sheet.rim(whole, mix(green, (0, 0, 0), 0.3), 1)
    sheet.fill(lighter, mix(green, (255, 255, 220), 0.16))
    sheet.line(np.stack([stem, spine[-1]]) * sheet.side, mix(green, (0, 0, 0), 0.25), sheet.side // 200)


def _paint_grass(pixels: int, ground: float | None, feet: float, rng: np.random.Generator) -> Surroundings:
    horizon = (ground - 0.16 if ground is not None else 0.84) + rng.uniform(-0.04, 0.04)
    sky, haze = tinted((196, 222, 238), rng, 10), tinted((240, 243, 226), rng, 8)
    near, far = tinted((122, 164, 78), rng, 10), tinted((190, 210, 138), rng, 10)
    image = to_image(gradient(pixels, [(0, sky), (horizon - 0.05, haze), (horizon + 0.03, far), (1, near)]))
    hills = [(rng.uniform(0, 1), horizon + 0.05, *rng.uniform((0.25, 0.06), (0.45, 0.12))) for _ in range(3)]
    soft_blobs(image, mix(far, (120, 160, 120), 0.35), hills, 0.02, 150)
    sheet = Sheet(enlarge(image))
    for outline, color in blades(rng, 46, (horizon + 0.06, 1.02), (0.05, 0.10)):
        sheet.fill(outline * sheet.side, color)
    draw_flowers(sheet, horizon + 0.05, rng)
    if ground is None:
        return sheet, None
    tufts = blades(rng, 22, (ground + 0.03, 1.05), (0.05, 0.09))

    def draw_tufts() -> None:
        for outline, color in tufts:
            sheet.fill(outline * sheet.side, color, 0)

    return sheet, draw_tufts


def _paint_water(pixels: int, ground: float | None, feet: float, rng: np.random.Generator) -> Surroundings:
    horizon = (ground - 0.24 if ground is not None else 0.72) + rng.uniform(-0.06, 0.06)
    sky, haze = tinted((206, 226, 236), rng, 10), tinted((246, 238, 222), rng, 8)
    far, near = tinted((142, 192, 208), rng, 10), tinted((74, 138, 170), rng, 12)
    image = to_image(gradient(pixels, [(0, sky), (horizon, haze)]))
    shore = [(rng.uniform(0, 1), horizon - 0.012, *rng.uniform((0.2, 0.02), (0.4, 0.05))) for _ in range(3)]
    soft_blobs(image, (150, 172, 142), shore, 0.006, 150)
    water, top = to_image(gradient(pixels, [(horizon, far), (1, near)])), round(horizon * pixels)
    image.paste(water.crop((0, top, pixels, pixels)), (0, top))
    if ground is not None:
        soft_blobs(image, mix(near, (20, 40, 60), 0.5), [(feet - 0.02, ground + 0.06, 0.17, 0.045)], 0.025, 140)
    sheet = Sheet(enlarge(image))
    for _ in range(26):
        outline = wave(rng, horizon, (0.04, 0.10), 0.5, 0.005)
        light, share = ((235, 248, 252), rng.uniform(0.35, 0.7)) if rng.random() < 0.7 else ((20, 60, 90), 0.3)
        sheet.fill(outline * sheet.side, mix(near, light, share))
    if ground is None:
        return sheet, None

    def draw_ripples() -> None:
        for a in (0.075, 0.12, 0.165):
            corners = np.array([(feet - a, ground - 0.22 * a), (feet + a, ground + 0.22 * a)]) * sheet.side
            for start, end in ((15, 165), (190, 350)):
                sheet.arc(corners, start, end, mix(near, (240, 250, 252), 0.75 - 2.2 * a), sheet.side // 150)

    return sheet, draw_ripples
