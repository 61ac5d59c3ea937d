"""Content of drawn scenes: places, stuff, things, colours, and the pairs held out of training."""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from t2igan.data.sources.drawn_text import one_of
from t2igan.data.sources.scenes.shapes import extent
from t2igan.plain_files import read_yaml

COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
THINGS = ("airplane", "bird", "boat", "bus", "car", "dog", "kite", "sheep", "umbrella")
"""COCO's names; the nouns of captions are the same."""

HELD_OUT = frozenset(
    (color, thing) for i, thing in enumerate(THINGS) for j, color in enumerate(COLORS) if j % 5 == i % 5
)
"""Pairs of a colour and a thing, two of each thing, that no training image shows."""

_PAIR = re.compile(rf"\b({'|'.join(COLORS)}) ({'|'.join(THINGS)})\b")


def is_unseen(text: str) -> bool:
    """Whether a text, such as a segment's ``description``, names a pair that no training image shows.

    In every text of the drawn scenes the colour of a thing stands right before its noun.
    """
    return any(pair in HELD_OUT for pair in _PAIR.findall(text))


def unseen_pair(text: str) -> bool | None:
    """Like :func:`is_unseen`; None for a text without a pair of colour and thing, such as "a grey sky"."""
    return is_unseen(text) if _PAIR.search(text) else None


# Where each thing can be, and its width at the front of the image as a share of the frame.
_WIDTHS = {"airplane": 0.56, "bird": 0.40, "boat": 0.50, "bus": 0.62, "car": 0.54, "dog": 0.46, "kite": 0.30,
           "sheep": 0.43, "umbrella": 0.50}  # fmt: skip
_SKY = ("airplane", "bird", "kite")


@dataclass(frozen=True)
class _Place:
    """A kind of scene.

    Attributes:
        layers: stuff from back to front: name, probability, and range of its upper edge as a share of
            the frame from the top.
        zones: names of the things that can be on or in each stuff.
    """

    layers: tuple[tuple[str, float, tuple[float, float]], ...]
    zones: dict[str, tuple[str, ...]]


_BACK = (("sky-other", 1.0, (0.0, 0.0)), ("clouds", 0.5, (0.0, 0.0)))
PLACES: dict[str, _Place] = {
    "sea": _Place(
        (*_BACK, ("mountain", 0.4, (0.22, 0.34)), ("sea", 1.0, (0.42, 0.55))),
        {"sky-other": _SKY, "sea": ("boat", "boat", "bird")},
    ),
    "beach": _Place(
        (*_BACK, ("sea", 1.0, (0.34, 0.42)), ("sand", 1.0, (0.58, 0.68))),
        {"sky-other": _SKY, "sea": ("boat",), "sand": ("umbrella", "dog", "umbrella", "bird")},
    ),
    "meadow": _Place(
        (*_BACK, ("mountain", 0.3, (0.2, 0.3)), ("hill", 0.5, (0.36, 0.44)), ("grass", 1.0, (0.5, 0.6)),
         ("house", 0.35, (0.55, 0.62)), ("tree", 0.6, (0.55, 0.62))),
        {"sky-other": _SKY, "grass": ("sheep", "dog", "sheep", "bird", "umbrella", "car")},
    ),
    "winter": _Place(
        (*_BACK, ("mountain", 0.6, (0.2, 0.32)), ("snow", 1.0, (0.48, 0.58)), ("house", 0.35, (0.52, 0.6)),
         ("tree", 0.7, (0.52, 0.6))),
        {"sky-other": _SKY, "snow": ("sheep", "dog", "car", "bus", "bird")},
    ),
    "street": _Place(
        (*_BACK, ("hill", 0.3, (0.34, 0.42)), ("grass", 1.0, (0.5, 0.56)), ("house", 0.7, (0.58, 0.64)),
         ("tree", 0.6, (0.58, 0.66)), ("road", 1.0, (0.68, 0.76))),
        {"sky-other": _SKY, "road": ("car", "bus", "car", "bus", "dog")},
    ),
}  # fmt: skip

ROOFS = ("red", "brown", "grey")


@cache
def looks() -> dict[str, dict[str, dict[str, Any]]]:
    """The tables of ``looks.yaml``: name of a stuff -> how it can look -> its row."""
    return read_yaml(Path(__file__).with_name("looks.yaml"))


@dataclass(frozen=True)
class Stuff:
    """A stuff region of a scene, which is one segment.

    Attributes:
        name: class name in COCO-Stuff.
        look: appearance, by its name in ``looks.yaml``.
        level: its upper edge, or the height at which it stands, as a share of the frame from the top.
        spots: spots of trees and houses: x, foot and width of each.
        second: colour of a house's roof.
    """

    name: str
    look: str
    level: float
    spots: tuple[tuple[float, float, float], ...] = ()
    second: str = ""

    @property
    def row(self) -> dict[str, Any]:
        """What ``looks.yaml`` says of its look."""
        return looks()[self.name][self.look]


@dataclass(frozen=True)
class Thing:
    """A thing of a scene, which is one segment.

    Attributes:
        name: category name in COCO.
        color: main colour, a key of ``COLORS``, which its description names first.
        second: colour of its second part: sails, wings, ears, a roof, ...
        size: "small", "large", or "" for medium.
        on: name of the stuff that it is on or in.
        x: horizontal centre, as a share of the frame.
        y: y of the foot or, in the air, of the lower edge, as a share of the frame.
        width: width as a share of the frame.
        mirrored: whether it faces left.
    """

    name: str
    color: str
    second: str
    size: str
    on: str
    x: float
    y: float
    width: float
    mirrored: bool

    @property
    def pose(self) -> str:
        """``"flying"`` in the sky, else ``"standing"``."""
        return "flying" if self.on == "sky-other" else "standing"

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Approximate box: left, top, right, bottom, as shares of the frame."""
        height = self.width * (0.85 if self.name == "bird" else _aspect(self.name))
        return self.x - self.width / 2, self.y - height, self.x + self.width / 2, self.y


@dataclass(frozen=True)
class Scene:
    """Content of a scene, before it is painted.

    Attributes:
        place: kind of scene, a key of ``PLACES``.
        stuff: stuff regions from back to front.
        things: things from back to front, all in front of the stuff.
    """

    place: str
    stuff: tuple[Stuff, ...]
    things: tuple[Thing, ...] = field(default=())

    @property
    def segments(self) -> tuple[Stuff | Thing, ...]:
        """Stuff, then things; a segment's number is its place here."""
        return (*self.stuff, *self.things)

    @property
    def main(self) -> Thing:
        """The widest thing, which gives the scene its class."""
        return max(self.things, key=lambda thing: thing.width)


def invent_scene(rng: np.random.Generator, unseen: float = 0.0) -> Scene:
    """Generate a random scene of one to three things.

    Args:
        rng: the only source of randomness.
        unseen: the share of things whose pair of colour and name is of ``HELD_OUT``; 0 for training.
    """
    name = one_of(rng, tuple(PLACES))
    place = PLACES[name]
    stuff = tuple(
        _invent_stuff(layer, _invent_look(name, layer, rng), levels, rng)
        for layer, often, levels in place.layers
        if rng.random() < often
    )
    things: list[Thing] = []
    count = one_of(rng, (1, 2, 3), (0.25, 0.45, 0.30))
    for _ in range(40):
        if len(things) == count:
            break
        # The first thing is large enough to be a segment of five per cent, mostly.
        thing = _invent_thing(place, stuff, unseen, (0.6, 1.2) if things else (0.95, 1.45), rng)
        if all(_overlap(thing.box, other.box) < 0.1 and thing.name != other.name for other in things):
            things.append(thing)
    # What flies is behind what stands, and what stands further up is further away.
    return Scene(name, stuff, tuple(sorted(things, key=lambda thing: (thing.pose == "standing", thing.y))))


def _invent_look(place: str, name: str, rng: np.random.Generator) -> str:
    if (place, name) == ("winter", "tree"):
        return "dark"
    return one_of(rng, [look for look, row in looks()[name].items() for _ in range(row.get("often", 1))])


def _invent_stuff(name: str, look: str, levels: tuple[float, float], rng: np.random.Generator) -> Stuff:
    level = float(rng.uniform(*levels))
    if name == "house":
        spot = (float(rng.uniform(0.2, 0.8)), level, float(rng.uniform(0.34, 0.5)))
        return Stuff(name, look, level, (spot,), one_of(rng, tuple(roof for roof in ROOFS if roof != look)))
    if name == "tree":
        xs = rng.permutation(np.linspace(0.1, 0.9, 6))[: int(rng.integers(1, 4))]
        width = rng.uniform(0.24, 0.36)
        places = [(x, level + rng.uniform(0, 0.03), width * rng.uniform(0.85, 1.15)) for x in xs]
        spots = tuple((float(x), float(y), float(w)) for x, y, w in sorted(places, key=lambda place: place[1]))
        return Stuff(name, look, level, spots)
    return Stuff(name, look, level)


def _invent_thing(
    place: _Place, stuff: tuple[Stuff, ...], unseen: float, scales: tuple[float, float], rng: np.random.Generator
) -> Thing:
    on = one_of(rng, tuple(place.zones))
    name = one_of(rng, place.zones[on])
    held_out = rng.random() < unseen
    color = one_of(rng, tuple(color for color in COLORS if ((color, name) in HELD_OUT) == held_out))
    second = one_of(rng, tuple(other for other in COLORS if other != color))
    scale = float(rng.uniform(*scales))
    top, bottom = _band(on, stuff)
    depth = float(rng.uniform(0, 1))
    width = _WIDTHS[name] * scale * (1.0 if on == "sky-other" else 0.6 + 0.4 * depth * (bottom - top) / 0.45)
    height = width * (0.85 if name == "bird" else _aspect(name))
    y = 0.05 + height if on == "sky-other" else top + 0.2 * (bottom - top)
    y += depth * max(0.0, bottom - (0.1 if on == "sky-other" else 0.03) - y)
    x = float(rng.uniform(0.45 * width, 1 - 0.45 * width))
    size = "small" if scale < 0.8 else "large" if scale > 1.15 else ""
    return Thing(name, color, second, size, on, x, float(y), float(width), bool(rng.random() < 0.5))


def _band(on: str, stuff: tuple[Stuff, ...]) -> tuple[float, float]:
    """Upper and lower edge of a stuff: it reaches down to the next ground before it."""
    grounds = [each.level for each in stuff if each.name in ("sea", "sand", "grass", "snow", "road")]
    level = next(each.level for each in stuff if each.name == on)
    return level, min((other for other in grounds if other > level), default=1.0)


def _aspect(name: str) -> float:
    left, top, right, bottom = extent(name)
    return (bottom - top) / (right - left)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection of two boxes as a share of the smaller one."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return max(0.0, width) * max(0.0, height) / min(areas)
