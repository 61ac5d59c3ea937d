"""The outlines of what stands or flies in a drawn scene, as tables of shapes.

A figure looks to the right. Its unit is about its own width, y points down, and what stands has its foot at y = 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from t2igan.data.sources.drawing import smooth

GLASS, TYRE, WOOD, METAL = "glass", "tyre", "wood", "metal"
"""Tones that belong to no figure; the others are ``main`` and ``second``, with + for lighter and - for darker."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Shape:
    """One filled outline or one stroke.

    Attributes:
        tone: tone of the fill, see ``GLASS``.
        points: float (N, 2).
        width: width of a stroke; 0 fills the outline.
        rim: whether a dark line runs round it.
    """

    tone: str
    points: np.ndarray
    width: float = 0.0
    rim: bool = True


def _poly(tone: str, points: Points, rim: bool = True) -> Shape:
    return Shape(tone, np.array(points, float), rim=rim)


def _curve(tone: str, points: Points, rim: bool = True) -> Shape:
    return Shape(tone, smooth(np.array(points, float)), rim=rim)


def _box(tone: str, left: float, top: float, right: float, bottom: float, rim: bool = False) -> Shape:
    return _poly(tone, [(left, top), (right, top), (right, bottom), (left, bottom)], rim)


def _oval(tone: str, x: float, y: float, rx: float, ry: float | None = None, rim: bool = False) -> Shape:
    angles = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    return Shape(tone, np.stack([x + rx * np.cos(angles), y + (ry or rx) * np.sin(angles)], 1), rim=rim)


def _line(tone: str, points: Points, width: float, rim: bool = False) -> Shape:
    return Shape(tone, np.array(points, float), width, rim)


def _wheels(*places: float, radius: float) -> list[Shape]:
    return [
        _oval(tone, x, -radius, radius * share, rim=tone == TYRE)
        for x in places
        for tone, share in ((TYRE, 1.0), (METAL, 0.5))
    ]


def _legs(tone: str, *places: float, top: float = -0.34, width: float = 0.085) -> list[Shape]:
    return [_poly(tone, [(x, top), (x + 1.15 * width, top), (x + width, 0), (x, 0)]) for x in places]


def _airplane() -> list[Shape]:
    windows = [_oval(GLASS, x, -0.145, 0.018) for x in np.arange(-0.3, 0.27, 0.075)]
    return [
        _poly("second-", [(0.0, -0.17), (-0.13, -0.36), (-0.21, -0.36), (-0.16, -0.17)]),
        _poly("second", [(-0.50, -0.43), (-0.41, -0.43), (-0.25, -0.18), (-0.44, -0.17)]),
        _curve("main", [(0.52, -0.105), (0.45, -0.165), (0.3, -0.205), (-0.28, -0.20), (-0.49, -0.17),
                        (-0.52, -0.15), (-0.3, -0.06), (0.28, -0.03), (0.44, -0.055)]),
        *windows,
        _poly(GLASS, [(0.37, -0.178), (0.435, -0.155), (0.455, -0.13), (0.38, -0.13)], rim=False),
        _poly("second", [(0.14, -0.09), (-0.14, 0.14), (-0.25, 0.14), (-0.13, -0.08)]),
        _oval("main-", 0.045, 0.02, 0.07, 0.032, rim=True),
        _poly("second-", [(-0.34, -0.13), (-0.50, -0.045), (-0.56, -0.045), (-0.46, -0.14)]),
    ]  # fmt: skip


def _boat() -> list[Shape]:
    return [
        _line(WOOD, [(0.02, -0.28), (0.02, -1.0)], 0.028, rim=True),
        _curve(
            "second", [(0.06, -0.36), (0.05, -0.93), (0.16, -0.76), (0.33, -0.48), (0.38, -0.37), (0.22, -0.345)]
        ),
        _curve("second-", [(-0.03, -0.36), (-0.02, -0.84), (-0.12, -0.65), (-0.31, -0.40), (-0.29, -0.355)]),
        _poly("main", [(-0.49, -0.31), (0.53, -0.34), (0.38, 0.0), (-0.36, 0.0)]),
        _poly("main+", [(-0.49, -0.31), (0.53, -0.34), (0.505, -0.285), (-0.465, -0.26)], rim=False),
        _poly("main-", [(-0.40, -0.085), (0.42, -0.085), (0.38, 0.0), (-0.36, 0.0)], rim=False),
    ]


def _bus() -> list[Shape]:
    body = [(-0.47, -0.5), (0.44, -0.5), (0.49, -0.46), (0.5, -0.09), (-0.5, -0.09), (-0.5, -0.47)]
    panes = [_box(GLASS, x, -0.44, x + 0.13, -0.28) for x in (-0.45, -0.29, -0.13, 0.03)]
    return [
        _poly("main", body),
        *panes,
        _poly(GLASS, [(0.37, -0.45), (0.47, -0.45), (0.485, -0.25), (0.37, -0.25)], rim=False),
        _box(GLASS, 0.2, -0.44, 0.32, -0.12),
        _line("main-", [(0.26, -0.44), (0.26, -0.12)], 0.014),
        _box("second", -0.5, -0.235, 0.19, -0.165),
        _box("second", 0.33, -0.235, 0.49, -0.165),
        _oval("headlight", 0.475, -0.135, 0.022),
        *_wheels(-0.29, 0.29, radius=0.095),
    ]


def _car() -> list[Shape]:
    cabin = [(-0.33, -0.24), (-0.25, -0.40), (-0.17, -0.44), (0.08, -0.44), (0.16, -0.39), (0.27, -0.24)]
    body = [(-0.49, -0.25), (-0.36, -0.275), (0.26, -0.265), (0.44, -0.225), (0.5, -0.17), (0.49, -0.075),
            (0.0, -0.06), (-0.48, -0.075)]  # fmt: skip
    return [
        _poly("second", cabin),
        _poly(GLASS, [(-0.25, -0.26), (-0.20, -0.385), (-0.04, -0.395), (-0.04, -0.26)], rim=False),
        _poly(GLASS, [(0.0, -0.26), (0.0, -0.395), (0.08, -0.39), (0.21, -0.26)], rim=False),
        _curve("main", body),
        _line("main-", [(-0.02, -0.25), (-0.02, -0.1)], 0.012),
        _oval("headlight", 0.455, -0.175, 0.026),
        _oval("taillight", -0.465, -0.185, 0.022),
        *_wheels(-0.29, 0.29, radius=0.105),
    ]


def _dog() -> list[Shape]:
    return [
        *_legs("main-", -0.27, 0.15),
        _line("main", [(-0.36, -0.46), (-0.45, -0.58), (-0.46, -0.70)], 0.07, rim=True),
        _curve("main", [(-0.39, -0.46), (-0.22, -0.53), (0.05, -0.51), (0.2, -0.57), (0.31, -0.44), (0.25, -0.28),
                        (0.02, -0.25), (-0.22, -0.28), (-0.36, -0.28)]),
        *_legs("main", -0.37, 0.06),
        _curve("main", [(0.12, -0.52), (0.15, -0.70), (0.25, -0.79), (0.37, -0.77), (0.42, -0.69), (0.53, -0.65),
                        (0.53, -0.57), (0.40, -0.54), (0.33, -0.44), (0.2, -0.40)]),
        _curve("second", [(0.19, -0.77), (0.27, -0.77), (0.29, -0.62), (0.24, -0.50), (0.17, -0.56),
                          (0.15, -0.68)]),
        _oval("eye", 0.36, -0.69, 0.024),
        _oval("eye", 0.525, -0.63, 0.032),
    ]  # fmt: skip


def _kite() -> list[Shape]:
    top, right, bottom, left, middle = (0.0, -1.0), (0.42, -0.62), (0.0, 0.0), (-0.42, -0.62), (0.0, -0.62)
    tail = smooth(np.array([(0, 0), (0.07, 0.09), (-0.05, 0.2), (0.06, 0.32), (-0.03, 0.42)]), closed=False)
    return [
        Shape("second", tail, 0.03),
        *[_poly("second", [(x - 0.09, y - 0.04), (x + 0.09, y + 0.04), (x + 0.09, y - 0.04), (x - 0.09, y + 0.04)])
          for x, y in ((0.06, 0.1), (-0.03, 0.23), (0.03, 0.36))],
        _poly("main", [top, right, bottom, left]),
        _poly("second", [top, (0.2, -0.81), middle, (-0.2, -0.81)], rim=False),
        _line("main-", [top, bottom], 0.014),
        _line("main-", [left, right], 0.014),
    ]  # fmt: skip


def _sheep() -> list[Shape]:
    wool = [(-0.31, -0.42, 0.15), (-0.17, -0.52, 0.16), (0.02, -0.55, 0.16), (0.19, -0.49, 0.15),
            (0.22, -0.36, 0.14), (0.05, -0.31, 0.15), (-0.14, -0.31, 0.15), (-0.29, -0.33, 0.13)]  # fmt: skip
    return [
        *_legs("second-", -0.24, 0.16, width=0.07, top=-0.25),
        *_legs("second", -0.33, 0.07, width=0.07, top=-0.25),
        *[_oval("main", x, y, r, rim=True) for x, y, r in wool],
        _oval("main", -0.05, -0.42, 0.3, 0.17),
        _curve(
            "second", [(0.24, -0.66), (0.34, -0.68), (0.46, -0.55), (0.47, -0.47), (0.38, -0.45), (0.26, -0.52)]
        ),
        _curve("second-", [(0.25, -0.64), (0.17, -0.60), (0.14, -0.53), (0.22, -0.55)]),
        _oval("main", 0.27, -0.67, 0.085, 0.06, rim=True),
        _oval("light", 0.37, -0.585, 0.022),
        _oval("eye", 0.374, -0.583, 0.013),
    ]


def _umbrella() -> list[Shape]:
    arc = np.linspace(np.pi, 2 * np.pi, 25)
    edge = [(0.5 * np.cos(a), -0.52 + 0.42 * np.sin(a)) for a in arc]

    def panel(first: float, last: float) -> list[tuple[float, float]]:
        side = [(0.5 * x * np.cos(a), -0.52 + 0.42 * np.sin(a)) for x, a in
                [*((first, t) for t in np.linspace(np.pi, 1.5 * np.pi, 9)),
                 *((last, t) for t in np.linspace(1.5 * np.pi, np.pi, 9))]]  # fmt: skip
        return side

    return [
        _line(WOOD, [(0, -0.9), (0, 0)], 0.04, rim=True),
        _poly("main", edge),
        _poly("second", panel(0.66, 0.3), rim=False),
        _poly("second", panel(-0.66, -0.3), rim=False),
        _oval("second", 0, -0.95, 0.035, rim=True),
    ]


def _round_tree() -> list[Shape]:
    leaves = [
        (-0.25, -0.62, 0.21),
        (0.25, -0.62, 0.21),
        (-0.16, -0.84, 0.22),
        (0.17, -0.85, 0.21),
        (0.0, -0.98, 0.19),
    ]
    return [
        _poly("second", [(-0.07, -0.55), (0.07, -0.55), (0.09, 0), (-0.09, 0)]),
        *[_oval("main", x, y, r, rim=True) for x, y, r in leaves],
        _oval("main", 0, -0.72, 0.3),
        *[_oval("main+", x - 0.04, y - 0.06, 0.5 * r) for x, y, r in leaves[2:]],
        _oval("main-", 0.2, -0.56, 0.11, 0.07),
        _oval("main-", -0.1, -0.6, 0.1, 0.06),
    ]


def _fir_tree() -> list[Shape]:
    tiers = [(-0.12, -0.55, 0.42), (-0.42, -0.85, 0.33), (-0.72, -1.2, 0.24)]
    return [
        _box("second", -0.06, -0.2, 0.06, 0, rim=True),
        *[_poly(tone, [(-w, low), (edge * w, low), (0, high)], rim=edge == 1)
          for low, high, w in tiers for tone, edge in (("main", 1), ("main+", -0.2))],
    ]  # fmt: skip


def _house() -> list[Shape]:
    return [
        _box(METAL, 0.2, -0.86, 0.3, -0.6, rim=True),
        _box("main", -0.44, -0.5, 0.44, 0, rim=True),
        _poly("second", [(-0.53, -0.47), (-0.3, -0.82), (0.3, -0.82), (0.53, -0.47)]),
        _box(WOOD, -0.08, -0.3, 0.1, 0, rim=True),
        *[_box(GLASS, x, -0.37, x + 0.16, -0.2, rim=True) for x in (-0.35, 0.19)],
    ]


FIGURES = {
    "airplane": _airplane, "boat": _boat, "bus": _bus, "car": _car, "dog": _dog, "kite": _kite, "sheep": _sheep,
    "umbrella": _umbrella, "round tree": _round_tree, "fir tree": _fir_tree, "house": _house,
}  # fmt: skip


@cache
def figure(name: str) -> tuple[Shape, ...]:
    """The shapes of a figure from back to front."""
    return tuple(FIGURES[name]())


@cache
def extent(name: str) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a figure."""
    points = np.concatenate([shape.points for shape in figure(name)])
    return (*points.min(0).tolist(), *points.max(0).tolist())
