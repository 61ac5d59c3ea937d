"""The anatomy of a drawn bird: outlines in coordinates of its own (x forward, y down, about one unit long)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from t2igan.data.sources.drawing import rotation, smooth
from t2igan.data.sources.drawn_birds.species import BirdAttributes, Species, looks


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


_CLIPPED = {"belly", "crown"}
"""Outlines that reach beyond the bird and are clipped by its silhouette when painted."""

_FEATHERS = 7
"""Flight feathers of a spread wing."""


def build_figure(attributes: BirdAttributes, rng: np.random.Generator) -> Figure:
    """Return the outlines of one bird, turned to its side, with small individual variation."""
    species, figure = attributes.species, Figure()
    flying, build = attributes.pose == "flying", looks()["sizes"][species.size]["build"]
    depth = build["depth"] * rng.uniform(0.97, 1.04)
    _add_trunk(figure, build, depth)
    _add_tail(figure, looks()["tails"][species.tail], rng.uniform(-6, 6))
    tilt = rng.uniform(-46, -34) if attributes.pose == "looking up" else rng.uniform(-8, 7)
    _add_head(figure, build, species, tilt + (-14 if flying else 0))
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


def _add_trunk(figure: Figure, build: dict[str, Any], depth: float) -> None:
    def at_head(x: float, y: float) -> np.ndarray:
        return np.array(build["head"]) + np.array((x, y)) * build["head_radius"]

    figure.outlines["body"] = smooth(np.array(looks()["outlines"]["body"]) * (1.0, depth))
    # The neck joins nape and throat of the head to back and breast, so that the silhouette has no notch.
    neck = [at_head(-0.92, 0.1), (0.10, -0.17 * depth), (0.0, -0.1 * depth), (0.2, 0.1 * depth),
            (0.35, 0.02), (0.36, -0.12 * depth), at_head(0.72, 0.62), build["head"]]  # fmt: skip
    figure.outlines["neck"] = smooth(neck)
    throat = at_head(0.55, 0.62)
    figure.outlines["belly"] = smooth([throat, *looks()["outlines"]["belly"], throat + np.array((0.2, 0.08))])


def _add_tail(figure: Figure, tail: dict[str, Any], lift: float) -> None:
    def place(points: ArrayLike) -> np.ndarray:
        return rotation(-24 + lift)(points) + np.array((-0.34, 0.075))

    figure.outlines["tail"] = place(smooth(tail["outline"], samples=5))
    figure.lines["tail"] = [place([(-0.06, y), (tail["reach"], y * 1.4)]) for y in tail["ribs"]]


def _add_head(figure: Figure, build: dict[str, Any], species: Species, tilt: float) -> None:
    def place(points: ArrayLike) -> np.ndarray:
        return rotation(tilt)(points) * build["head_radius"] + build["head"]

    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    figure.outlines["head"] = place(np.stack([np.cos(angles), np.sin(angles)], 1))
    for outline in ("crown", "crest") if species.crest else ("crown",):
        figure.outlines[outline] = place(smooth(looks()["outlines"][outline]))
    beak = np.array(looks()["beaks"][species.beak_shape]["outline"])
    beak[:, 0] = 0.8 + (beak[:, 0] - 0.8) * build["beak"]
    figure.outlines["beak"] = place(smooth(beak, samples=5))
    x, y = beak[np.argmax(beak[:, 0])]
    figure.lines["mouth"] = [place([(0.86, 0.06), ((0.86 + x) / 2, 0.07), (0.97 * x, min(y, 0.16))])]
    figure.eye, figure.eye_radius = place([(0.36, -0.06)]), 0.2 * build["head_radius"]


def _between(upper: np.ndarray, lower: np.ndarray, t: float, s: float) -> np.ndarray:
    """Point of a wing: t runs from shoulder to tip, s from the upper (leading) to the lower (trailing) edge."""
    at = t * (len(upper) - 1)
    base = min(int(at), len(upper) - 2)
    first, second = ((1 - s) * upper[i] + s * lower[i] for i in (base, base + 1))
    return first + (at - base) * (second - first)


def _add_folded_wing(figure: Figure, depth: float, drop: float) -> None:
    upper, lower = (smooth(looks()["wings"]["folded"][edge], closed=False) for edge in ("upper", "lower"))
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
    leading, trailing = (smooth(looks()["wings"]["spread"][edge], False, 12) for edge in ("upper", "lower"))
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


def _add_legs(figure: Figure, build: dict[str, Any], depth: float, rng: np.random.Generator) -> None:
    belly, length, lines = 0.29 * depth, build["legs"], []
    for hip in (-0.05, 0.09):
        x, ground = hip + rng.uniform(-0.02, 0.03), belly + length
        foot = (x + 0.01, ground)
        lines.append(np.array([(x, 0.2 * depth), (x - 0.03, belly + 0.35 * length), foot]))
        lines.append(np.array([(foot[0] - 0.05, ground + 0.012), foot, (foot[0] + 0.085, ground + 0.012)]))
    figure.lines["legs"] = lines
