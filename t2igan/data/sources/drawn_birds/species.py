"""Appearance of drawn birds: palette, attributes and the generation of species."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace

import numpy as np

from t2igan.errors import UserError

PALETTE: dict[str, tuple[int, int, int]] = {
    "red": (206, 36, 40),
    "orange": (240, 128, 28),
    "yellow": (248, 214, 56),
    "green": (64, 152, 66),
    "blue": (46, 100, 206),
    "purple": (130, 62, 170),
    "pink": (244, 152, 188),
    "brown": (122, 78, 44),
    "black": (38, 38, 44),
    "white": (246, 245, 240),
    "grey": (142, 146, 152),
}
"""Colour name -> sRGB value of the plumage in neutral light."""

COLORED_PARTS = ("body", "wing", "belly", "crown")
"""The four plumage colours; any two species differ in at least two of them."""

BEAK_COLORS = ("black", "grey", "yellow", "orange", "red", "pink")
LEG_COLORS = ("black", "grey", "yellow", "orange", "pink", "brown")
SIZES = ("small", "medium", "large")
TAILS = ("short", "long", "forked")
POSES = ("standing", "looking up", "flying")
SETTINGS = ("sky", "branch", "grass", "water")

FAMILIES: dict[str, dict[str, tuple[str, ...]]] = {
    "short pointed": {
        "small": ("Warbler", "Wren"),
        "medium": ("Thrush", "Robin"),
        "large": ("Jay", "Starling"),
    },
    "long straight": {
        "small": ("Kingfisher", "Nuthatch"),
        "medium": ("Woodpecker", "Sandpiper"),
        "large": ("Heron", "Stork"),
    },
    "long curved": {
        "small": ("Sunbird", "Creeper"),
        "medium": ("Hoopoe", "Thrasher"),
        "large": ("Ibis", "Curlew"),
    },
    "hooked": {
        "small": ("Shrike", "Lovebird"),
        "medium": ("Parrot", "Kestrel"),
        "large": ("Falcon", "Macaw"),
    },
    "thick cone": {
        "small": ("Finch", "Sparrow"),
        "medium": ("Grosbeak", "Cardinal"),
        "large": ("Puffin", "Hawfinch"),
    },
    "flat": {"small": ("Teal", "Auklet"), "medium": ("Duck", "Shoveler"), "large": ("Goose", "Spoonbill")},
}
"""Beak shape -> size -> family names; its keys are the beak shapes."""

BEAK_SHAPES = tuple(FAMILIES)

_SHADES = {
    "red": ("Crimson", "Scarlet", "Ruby"),
    "orange": ("Orange", "Tangerine", "Amber"),
    "yellow": ("Yellow", "Golden", "Lemon"),
    "green": ("Green", "Emerald", "Mossy"),
    "blue": ("Blue", "Azure", "Cobalt"),
    "purple": ("Violet", "Purple", "Amethyst"),
    "pink": ("Pink", "Rosy", "Blush"),
    "brown": ("Brown", "Chestnut", "Umber"),
    "black": ("Black", "Ebony", "Sooty"),
    "white": ("White", "Snowy", "Ivory"),
    "grey": ("Grey", "Ashy", "Slaty"),
}
_PART_NAMES = {"wing": "winged", "belly": "bellied", "crown": "crowned", "body": "bodied"}
_ATTEMPTS = 2000


@dataclass(frozen=True)
class Species:
    """The attributes that every bird of one species shares.

    ``body``, ``wing``, ``belly``, ``crown`` are names in ``PALETTE``; the tail has the wing's colour and a crest
    the crown's.
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

    def colors(self) -> tuple[str, ...]:
        """Return the four plumage colours in the order of ``COLORED_PARTS``."""
        return tuple(getattr(self, part) for part in COLORED_PARTS)


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
    setting = SETTINGS[int(rng.choice(len(SETTINGS), p=(0.16, 0.34, 0.26, 0.24)))]
    pose = "flying" if setting == "sky" else POSES[int(rng.choice(3, p=(0.7, 0.22, 0.08)))]
    return BirdAttributes(species, pose, ("left", "right")[int(rng.integers(2))], setting)


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
        species = _first_new(lambda: _balanced_species(used, rng), training, "train_species", train)
        training.append(species)
        for name, value in asdict(species).items():
            used[name][value] += 1
    testing: list[Species] = []
    for _ in range(test):
        known = training + testing
        testing.append(_first_new(lambda: _mixed_species(training, rng), known, "test_species", test))
    return training, testing


def name_species(species: list[Species], seed: int) -> list[str]:
    """Return a unique CUB-like class folder name for each species, such as ``017.Crimson_winged_Finch``."""
    rng = np.random.default_rng([seed, 1])
    taken: set[str] = set()
    names = []
    for number, one in enumerate(species, start=1):
        stem = _stem(one, rng, taken)
        taken.add(stem)
        names.append(f"{number:03d}.{stem}")
    return names


def differing_colors(first: Species, second: Species) -> int:
    """Count the plumage colours in which two species differ, 0 to 4."""
    return sum(a != b for a, b in zip(first.colors(), second.colors()))


def _first_new(invent: Callable[[], Species], known: list[Species], key: str, wanted: int) -> Species:
    for _ in range(_ATTEMPTS):
        species = invent()
        plausible = species.wing not in (species.body, species.belly)
        if plausible and all(differing_colors(species, other) >= 2 for other in known):
            return species
    raise UserError(
        f"{key}: cannot invent {wanted} distinct species after {len(known)}; ask for fewer test species "
        "or for more training species"
    )


def _rarest(values: tuple[str, ...], counts: Counter[str], rng: np.random.Generator) -> str:
    least = min(counts[value] for value in values)
    rare = [value for value in values if counts[value] == least]
    return rare[int(rng.integers(len(rare)))]


def _balanced_species(used: dict[str, Counter], rng: np.random.Generator) -> Species:
    colors = tuple(PALETTE)
    body = _rarest(colors, used["body"], rng)
    # A quarter of the birds has a crown or a belly of the body's colour, as in nature; wings always stand out.
    wing = _rarest(tuple(c for c in colors if c != body), used["wing"], rng)
    belly = body if rng.random() < 0.15 else _rarest(tuple(c for c in colors if c != wing), used["belly"], rng)
    crown = body if rng.random() < 0.2 else _rarest(colors, used["crown"], rng)
    return Species(
        body, wing, belly, crown,
        beak_shape=_rarest(BEAK_SHAPES, used["beak_shape"], rng),
        beak_color=_rarest(BEAK_COLORS, used["beak_color"], rng),
        leg_color=_rarest(LEG_COLORS, used["leg_color"], rng),
        size=_rarest(SIZES, used["size"], rng),
        tail=_rarest(TAILS, used["tail"], rng),
        crest=bool(rng.random() < 0.3),
    )  # fmt: skip


def _mixed_species(training: list[Species], rng: np.random.Generator) -> Species:
    species = training[0]
    for field in fields(Species):
        donor = training[int(rng.integers(len(training)))]
        species = replace(species, **{field.name: getattr(donor, field.name)})
    return species


def _stem(species: Species, rng: np.random.Generator, taken: set[str]) -> str:
    families = FAMILIES[species.beak_shape][species.size]
    stems = [
        f"{shade}_{_PART_NAMES[part]}_{family}"
        for part in ("wing", "belly", "crown")
        for shade in _SHADES[getattr(species, part)]
        for family in families
    ]
    free = [stem for stem in stems if stem not in taken]
    if free:
        return free[int(rng.integers(len(free)))]
    number = next(n for n in range(2, len(taken) + 3) if f"{stems[0]}_{n}" not in taken)
    return f"{stems[0]}_{number}"
