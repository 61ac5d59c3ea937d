"""Appearance of drawn birds: the attributes of a bird, and the generation of species."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from t2igan.data.sources.drawing import Color
from t2igan.data.sources.drawn_text import one_of
from t2igan.errors import UserError
from t2igan.plain_files import read_yaml

COLORED_PARTS = ("body", "wing", "belly", "crown")
"""The four plumage colours; any two species differ in at least two of them."""

_ATTEMPTS, _SLACK = 2000, 3


@cache
def looks() -> dict[str, Any]:
    """The tables of ``looks.yaml``."""
    return read_yaml(Path(__file__).with_name("looks.yaml"))


@cache
def palette(kind: str = "plumage") -> dict[str, Color]:
    """Colour name -> sRGB value of the plumage in neutral light, or of the ``"bare"`` parts, beak and legs."""
    return {name: tuple(row[kind]) for name, row in looks()["colors"].items() if kind in row}


@dataclass(frozen=True)
class Species:
    """The attributes that every bird of one species shares, by their names in ``looks.yaml``.

    The tail has the wing's colour and a crest the crown's.
    """

    body: str
    wing: str
    belly: str
    crown: str
    beak_shape: str
    beak_color: str
    leg_color: str
    size: str
    tail: str
    crest: bool


@dataclass(frozen=True)
class BirdAttributes:
    """Attributes of one image: the species, and the pose, side and setting of this bird."""

    species: Species
    pose: str
    facing: str
    setting: str

    def flat(self) -> dict[str, str | bool]:
        """Return all attributes as one flat dictionary (for ``attributes.json``)."""
        return {**asdict(self.species), "pose": self.pose, "facing": self.facing, "setting": self.setting}


def draw_attributes(species: Species, rng: np.random.Generator) -> BirdAttributes:
    """Choose pose, side and setting for one image of a species; in the open sky a bird always flies."""
    settings, poses = looks()["settings"], looks()["poses"]
    setting = one_of(rng, tuple(settings), [each["often"] for each in settings.values()])
    pose = "flying" if setting == "sky" else one_of(rng, tuple(poses), tuple(poses.values()))
    return BirdAttributes(species, pose, one_of(rng, ("left", "right")), setting)


def invent_species(train: int, test: int, seed: int) -> tuple[list[Species], list[Species]]:
    """Generate disjoint training and test species.

    Training colours are balanced: each new species takes colours that its part has used least so far. A test
    species is a new combination of attribute values, each of which occurs in training. Any two species differ in
    at least two of the four plumage colours.

    Args:
        train: Number of training species, at least 1.
        test: Number of test species.
        seed: The only source of randomness.

    Returns:
        The training species and the test species.

    Raises:
        UserError: If so many different species cannot be found.
    """
    rng = np.random.default_rng([seed, 0])
    used: dict[str, Counter] = {field.name: Counter() for field in fields(Species)}
    training: list[Species] = []
    for _ in range(train):
        species = _first_new(partial(_balanced_species, used, rng), training, "train_species", train)
        training.append(species)
        for name, value in asdict(species).items():
            used[name][value] += 1
    testing: list[Species] = []
    for _ in range(test):
        known = training + testing
        testing.append(_first_new(lambda _: _mixed_species(training, rng), known, "test_species", test))
    return training, testing


def differing_colors(first: Species, second: Species) -> int:
    """Count the plumage colours in which two species differ, 0 to 4."""
    return sum(getattr(first, part) != getattr(second, part) for part in COLORED_PARTS)


def _first_new(invent: Callable[[int], Species], known: list[Species], key: str, wanted: int) -> Species:
    # The rarest values alone may leave no new combination: then those that are used once more join them, and so on.
    for attempt in range(_SLACK * _ATTEMPTS):
        species = invent(attempt // _ATTEMPTS)
        plausible = species.wing not in (species.body, species.belly)
        if plausible and all(differing_colors(species, other) >= 2 for other in known):
            return species
    remedy = "ask for fewer" if key == "train_species" else "ask for fewer or for more training species"
    raise UserError(f"{key}: cannot invent {wanted} distinct species after {len(known)}; {remedy}")


def _balanced_species(used: dict[str, Counter], rng: np.random.Generator, slack: int) -> Species:
    def rarest(attribute: str, values: Sequence[str]) -> str:
        most = min(used[attribute][value] for value in values) + slack
        return one_of(rng, [value for value in values if used[attribute][value] <= most])

    colors = tuple(looks()["colors"])
    body = rarest("body", colors)
    # A quarter of the birds has a crown or a belly of the body's colour, as in nature; wings always stand out.
    wing = rarest("wing", [color for color in colors if color != body])
    belly = body if rng.random() < 0.15 else rarest("belly", [color for color in colors if color != wing])
    crown = body if rng.random() < 0.2 else rarest("crown", colors)
    return Species(
        body, wing, belly, crown,
        beak_shape=rarest("beak_shape", tuple(looks()["beaks"])),
        beak_color=rarest("beak_color", looks()["beak_colors"]),
        leg_color=rarest("leg_color", looks()["leg_colors"]),
        size=rarest("size", tuple(looks()["sizes"])),
        tail=rarest("tail", tuple(looks()["tails"])),
        crest=bool(rng.random() < 0.3),
    )  # fmt: skip


def _mixed_species(training: list[Species], rng: np.random.Generator) -> Species:
    return Species(**{field.name: getattr(one_of(rng, training), field.name) for field in fields(Species)})


def name_species(species: list[Species], seed: int) -> list[str]:
    """Return a unique CUB-like class folder name for each species, such as ``017.Crimson_winged_Finch``."""
    rng = np.random.default_rng([seed, 1])
    stems: list[str] = []
    for one in species:
        stems.append(_new_stem(one, stems, rng))
    return [f"{number:03d}.{stem}" for number, stem in enumerate(stems, start=1)]


def _new_stem(species: Species, taken: list[str], rng: np.random.Generator) -> str:
    stems = [
        f"{shade}_{word}_{family}"
        for part, word in (("wing", "winged"), ("belly", "bellied"), ("crown", "crowned"))
        for shade in looks()["colors"][getattr(species, part)]["shades"]
        for family in looks()["beaks"][species.beak_shape]["families"][species.size]
    ]
    free = [stem for stem in stems if stem not in taken]
    if free:
        return one_of(rng, free)
    number = next(n for n in range(2, len(taken) + 3) if f"{stems[0]}_{n}" not in taken)
    return f"{stems[0]}_{number}"
