"""The anatomy of a drawn bird: outlines in coordinates of its own (x forward, y down, about one unit long)."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from t2igan.data.sources.drawing import rotation, smooth
from t2igan.data.sources.drawn_birds.species import BirdAttributes


@dataclass
class Figure:
    """A bird as geometry.

    Attributes:
        outlines: Name -> closed outline, float (N, 2).
        lines: Name -> open strokes, each float (N, 2).
        eye: Centre of the eye, float (1, 2).
        eye_radius: Its radius in the units of the points.
        scale: Length of one anatomical unit in the units of the points.
    """

    outlines: dict[str, np.ndarray] = field(default_factory=dict)
    lines: dict[str, list[np.ndarray]] = field(default_factory=dict)
    eye: np.ndarray = field(default_factory=lambda: np.zeros((1, 2)))
    eye_radius: float = 0.0
    scale: float = 1.0

    def move(self, transform: Callable[[np.ndarray], np.ndarray]) -> None:
        """Apply a transform of points (N, 2) to everything, in place."""
        self.outlines = {name: transform(points) for name, points in self.outlines.items()}
        self.lines = {name: [transform(line) for line in lines] for name, lines in self.lines.items()}
        self.eye = transform(self.eye)

    def place(self, scale: float, anchor: ArrayLike, at: ArrayLike) -> None:
        """Enlarge the figure by ``scale`` and shift it so that the point ``anchor`` comes to lie at ``at``."""
        self.move(lambda points: (points - np.asarray(anchor)) * scale + np.asarray(at))
        self.scale, self.eye_radius = self.scale * scale, self.eye_radius * scale

    def extent(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and highest coordinates of what is visible."""
        visible = [points for name, points in self.outlines.items() if name not in _CLIPPED]
        points = np.concatenate(visible + self.lines.get("legs", []))
        return points.min(0), points.max(0)


@dataclass(frozen=True)
class _Build:
    """Proportions of a size class: the smaller the bird, the bigger its head and the rounder its body."""

    head: tuple[float, float]
    head_radius: float
    depth: float
    legs: float
    beak: float


_BUILDS = {
    "small": _Build(head=(0.22, -0.25), head_radius=0.225, depth=1.12, legs=0.12, beak=0.92),
    "medium": _Build(head=(0.27, -0.31), head_radius=0.185, depth=1.0, legs=0.17, beak=1.05),
    "large": _Build(head=(0.35, -0.47), head_radius=0.155, depth=0.9, legs=0.27, beak=1.2),
}
_CLIPPED = {"belly", "crown"}
"""Outlines that reach beyond the bird and are clipped by its silhouette when painted."""

_FEATHERS = 7
"""Flight feathers of a spread wing."""

_BEAKS = {
    "short pointed": [(0.82, -0.30), (1.25, -0.16), (1.68, 0.10), (1.25, 0.26), (0.82, 0.34)],
    "long straight": [(0.84, -0.26), (1.6, -0.08), (2.5, 0.10), (1.6, 0.18), (0.84, 0.28)],
    "long curved": [
        (0.82, -0.30), (1.45, -0.26), (2.0, 0.04), (2.35, 0.66), (2.27, 0.70), (1.85, 0.30),
        (1.4, 0.10), (0.82, 0.26),
    ],
    "hooked": [
        (0.74, -0.46), (1.22, -0.48), (1.62, -0.14), (1.64, 0.48), (1.54, 0.56), (1.42, 0.26),
        (1.12, 0.32), (0.78, 0.40),
    ],
    "thick cone": [(0.66, -0.60), (1.16, -0.40), (1.66, 0.10), (1.16, 0.36), (0.72, 0.54)],
    "flat": [
        (0.84, -0.30), (1.25, -0.06), (1.75, -0.06), (2.08, 0.08), (2.04, 0.30), (1.6, 0.34),
        (1.2, 0.32), (0.84, 0.34),
    ],
}  # fmt: skip
"""Beak outlines in head radii, the head's centre at the origin."""


def build_figure(attributes: BirdAttributes, rng: np.random.Generator) -> Figure:
    """Return the outlines of one bird, turned to its side, with small individual variation."""
    species, build, figure = attributes.species, _BUILDS[attributes.species.size], Figure()
    flying = attributes.pose == "flying"
    depth = build.depth * rng.uniform(0.97, 1.04)
    _add_trunk(figure, build, depth)
    _add_tail(figure, species.tail, rng.uniform(-6, 6))
    tilt = rng.uniform(-46, -34) if attributes.pose == "looking up" else rng.uniform(-8, 7)
    _add_head(figure, build, species.beak_shape, species.crest, tilt + (-14 if flying else 0))
    if flying:
        _add_spread_wings(figure, rng)
        figure.move(rotation(rng.uniform(12, 24)))
    else:
        _add_folded_wing(figure, depth, rng.uniform(-3, 4))
        figure.move(rotation(rng.uniform(-8, 6), (0.0, 0.15)))
        _add_legs(figure, build, depth, rng)
    if attributes.facing == "left":
        figure.move(lambda points: points * (-1.0, 1.0))
    return figure


def _add_trunk(figure: Figure, build: _Build, depth: float) -> None:
    stretch = np.array([1.0, depth])
    body = [(0.24, -0.20), (0.02, -0.20), (-0.22, -0.11), (-0.43, 0.04), (-0.37, 0.15), (-0.16, 0.27),
            (0.07, 0.30), (0.27, 0.19), (0.36, 0.0), (0.34, -0.14)]  # fmt: skip
    figure.outlines["body"] = smooth(np.array(body) * stretch)
    head = np.array(build.head)

    def at_head(x: float, y: float) -> np.ndarray:
        return head + np.array((x, y)) * build.head_radius

    # The neck joins nape and throat of the head to back and breast, so that the silhouette has no notch.
    neck = [at_head(-0.92, 0.1), (0.10, -0.17 * depth), (0.0, -0.1 * depth), (0.2, 0.1 * depth),
            (0.35, 0.02), (0.36, -0.12 * depth), at_head(0.72, 0.62), head]  # fmt: skip
    figure.outlines["neck"] = smooth(np.array(neck))
    throat = at_head(0.55, 0.62)
    belly = [throat, (0.235, -0.08), (0.15, 0.05), (0.0, 0.115), (-0.2, 0.135), (-0.46, 0.12), (-0.5, 0.5),
             (0.1, 0.6), (0.6, 0.4), (0.6, -0.1), throat + np.array((0.2, 0.08))]  # fmt: skip
    figure.outlines["belly"] = smooth(np.array(belly))


def _add_tail(figure: Figure, tail: str, lift: float) -> None:
    shapes = {
        "short": [(0.0, -0.07), (-0.2, -0.085), (-0.29, -0.05), (-0.29, 0.06), (-0.2, 0.09), (0.0, 0.06)],
        "long": [(0.0, -0.065), (-0.3, -0.075), (-0.58, -0.07), (-0.64, 0.0), (-0.58, 0.07), (-0.3, 0.075),
                 (0.0, 0.06)],
        "forked": [(0.0, -0.06), (-0.25, -0.09), (-0.56, -0.19), (-0.36, -0.015), (-0.3, 0.0), (-0.36, 0.03),
                   (-0.52, 0.19), (-0.22, 0.1), (0.0, 0.06)],
    }  # fmt: skip
    ribs = {"short": (-0.04, 0.0, 0.04), "long": (-0.035, 0.0, 0.035), "forked": (-0.045, 0.045)}[tail]
    reach = {"short": -0.27, "long": -0.6, "forked": -0.34}[tail]

    def place(points: list[tuple[float, float]] | np.ndarray) -> np.ndarray:
        return rotation(-24 + lift)(np.array(points)) + np.array((-0.34, 0.075))

    figure.outlines["tail"] = place(smooth(np.array(shapes[tail]), samples=5))
    figure.lines["tail"] = [place([(-0.06, y), (reach, y * 1.4)]) for y in ribs]


def _add_head(figure: Figure, build: _Build, beak_shape: str, crest: bool, tilt: float) -> None:
    turn = rotation(tilt)

    def place(points: np.ndarray | list[tuple[float, float]]) -> np.ndarray:
        return turn(np.asarray(points, float)) * build.head_radius + build.head

    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    figure.outlines["head"] = place(np.stack([np.cos(angles), np.sin(angles)], 1))
    cap = [(1.3, -0.30), (0.55, -0.30), (0.0, -0.14), (-0.5, 0.2), (-1.25, 0.55), (-1.5, -1.4), (1.4, -1.4)]
    figure.outlines["crown"] = place(smooth(np.array(cap)))
    if crest:
        tuft = [
            (0.62, -0.74),
            (0.05, -1.16),
            (-0.75, -1.42),
            (-1.62, -1.5),
            (-1.25, -0.95),
            (-0.93, -0.25),
            (-0.2, -0.6),
        ]
        figure.outlines["crest"] = place(smooth(np.array(tuft)))
    shape = np.array(_BEAKS[beak_shape])
    shape[:, 0] = 0.8 + (shape[:, 0] - 0.8) * build.beak
    figure.outlines["beak"] = place(smooth(shape, samples=5))
    tip = shape[np.argmax(shape[:, 0])]
    figure.lines["mouth"] = [place([(0.86, 0.06), ((0.86 + tip[0]) / 2, 0.07), (0.97 * tip[0], min(tip[1], 0.16))])]
    figure.eye = place([(0.36, -0.06)])
    figure.eye_radius = 0.2 * build.head_radius


def _between(upper: np.ndarray, lower: np.ndarray, t: float, s: float) -> np.ndarray:
    """Point of a wing: t runs from shoulder to tip, s from the upper (leading) to the lower (trailing) edge."""
    at = t * (len(upper) - 1)
    base = min(int(at), len(upper) - 2)
    first, second = ((1 - s) * upper[i] + s * lower[i] for i in (base, base + 1))
    return first + (at - base) * (second - first)


def _add_folded_wing(figure: Figure, depth: float, drop: float) -> None:
    upper = smooth(np.array([(0.17, -0.03), (0.10, -0.115), (-0.12, -0.115), (-0.34, -0.02), (-0.62, 0.14)]), False)
    lower = smooth(np.array([(0.17, -0.03), (0.13, 0.065), (-0.07, 0.12), (-0.30, 0.13), (-0.62, 0.14)]), False)
    turn = rotation(-drop, (0.1, -0.03))
    upper, lower = (turn(edge * (1, depth)) for edge in (upper, lower))
    figure.outlines["wing"] = np.concatenate([upper, lower[-2:0:-1]])
    figure.lines["quills"] = [
        np.array([_between(upper, lower, t, s) for t in np.linspace(0.44, 0.93, 5)])
        for s in (0.22, 0.44, 0.66, 0.86)
    ]
    figure.lines["coverts"] = [_scallops(upper, lower, t) for t in (0.24, 0.42)]


def _scallops(upper: np.ndarray, lower: np.ndarray, t: float, count: int = 3) -> np.ndarray:
    """One row of rounded feather ends across the wing at ``t``."""
    points = []
    for s in np.linspace(0.04, 0.96, 4 * count + 1):
        bulge = abs(np.sin(np.pi * count * (s - 0.04) / 0.92))
        points.append(_between(upper, lower, t + 0.055 * bulge, s))
    return np.array(points)


def _add_spread_wings(figure: Figure, rng: np.random.Generator) -> None:
    leading = [(0.13, -0.03), (0.19, -0.22), (0.13, -0.46), (-0.08, -0.68), (-0.44, -0.86)]
    trailing = [(-0.19, 0.0), (-0.30, -0.16), (-0.41, -0.34), (-0.53, -0.56), (-0.62, -0.86)]
    leading, trailing = smooth(np.array(leading), False, 12), smooth(np.array(trailing), False, 12)
    t = np.linspace(0, 1, len(leading))[:, None]
    # Round feather ends: the trailing edge swings in and out, more so towards the tip.
    trailing = trailing + (leading - trailing) * (0.04 + 0.13 * t) * (1 - np.abs(np.sin(np.pi * _FEATHERS * t)))
    flap = rng.uniform(-14, 16)
    near, far = rotation(flap, (0.0, -0.05)), rotation(flap + rng.uniform(30, 42), (0.06, -0.05))
    root = np.array([(-0.12, 0.045), (0.0, 0.06), (0.09, 0.035)])
    outline = np.concatenate([leading, trailing[::-1], root])
    figure.outlines["wing"] = near(outline)
    figure.outlines["far wing"] = far(outline * 0.92) + np.array((0.05, -0.01))
    leading, trailing = near(leading), near(trailing)
    figure.lines["quills"] = [
        np.array([_between(leading, trailing, 0.72 * at, 0.46), _between(leading, trailing, at, 0.97)])
        for at in np.arange(1, _FEATHERS) / _FEATHERS
    ]
    figure.lines["coverts"] = [
        np.array(
            [_between(leading, trailing, at, s + 0.05 * abs(np.sin(16 * at))) for at in np.linspace(0.02, end, 24)]
        )
        for s, end in ((0.22, 0.8), (0.45, 0.66))
    ]


def _add_legs(figure: Figure, build: _Build, depth: float, rng: np.random.Generator) -> None:
    ground = 0.29 * depth + build.legs
    figure.lines["legs"] = []
    for hip in (-0.05, 0.09):
        x = hip + rng.uniform(-0.02, 0.03)
        knee, foot = (x - 0.03, 0.29 * depth + 0.35 * build.legs), (x + 0.01, ground)
        figure.lines["legs"].append(np.array([(x, 0.2 * depth), knee, foot]))
        figure.lines["legs"].append(
            np.array([(foot[0] - 0.05, ground + 0.012), foot, (foot[0] + 0.085, ground + 0.012)])
        )
