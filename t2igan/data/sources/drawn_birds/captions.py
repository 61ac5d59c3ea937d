"""English captions for drawn birds in the style of CUB: true, varied and incomplete."""

from collections.abc import Callable, Sequence

import numpy as np

from t2igan.data.sources.drawn_birds.species import BirdAttributes, Species

_SIZE_WORDS = {
    "small": ("small", "small", "little", "tiny"),
    "medium": ("medium sized", "medium sized", "mid sized"),
    "large": ("large", "large", "big"),
}
_COLOR_WORDS = {"purple": ("purple", "purple", "purple", "violet"), "grey": ("grey", "grey", "gray")}
_BEAK_WORDS = {
    "short pointed": ("short pointed", "short pointy", "short sharp"),
    "long straight": ("long straight", "long pointed", "long thin"),
    "long curved": ("long curved", "curved", "long downward curved"),
    "hooked": ("hooked", "hooked", "strongly hooked"),
    "thick cone": ("thick", "thick cone shaped", "short thick"),
    "flat": ("flat", "broad flat", "flat duck like"),
}
_TAIL_WORDS = {"short": ("short",), "long": ("long",), "forked": ("forked", "deeply forked")}
_SCENES = {
    ("sky", "flying"): ("flying in the sky", "flying high among the clouds", "in flight against a blue sky"),
    ("branch", "flying"): ("flying above a branch", "in flight over a branch with leaves"),
    ("grass", "flying"): ("flying over the grass", "flying low over a meadow"),
    ("water", "flying"): ("flying over the water", "in flight above the water"),
    ("branch", "standing"): ("perched on a branch", "sitting on a branch with green leaves", "on a branch"),
    ("grass", "standing"): ("standing in the grass", "on the ground in a green meadow"),
    ("water", "standing"): ("standing in shallow water", "wading in the water"),
    ("branch", "looking up"): ("perched on a branch and looking up", "looking up from a branch"),
    ("grass", "looking up"): ("standing in the grass and looking up", "looking up from the grass"),
    ("water", "looking up"): (
        "standing in the water and looking up",
        "wading in the water with its head raised",
    ),
}
_COLORFUL = ("wing", "belly", "crown", "body")

Attribute = tuple[str, str, bool]
"""A named attribute: (adjectives, noun, whether the noun is plural)."""


class _Speaker:
    """Chooses words for one caption of one bird."""

    def __init__(self, attributes: BirdAttributes, rng: np.random.Generator) -> None:
        self.attributes = attributes
        self.species: Species = attributes.species
        self.rng = rng

    def pick(self, options: Sequence[str]) -> str:
        return options[int(self.rng.integers(len(options)))]

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def color(self, part: str) -> str:
        name = getattr(self.species, part)
        return self.pick(_COLOR_WORDS.get(name, (name,)))

    def size(self) -> str:
        return self.pick(_SIZE_WORDS[self.species.size])

    def scene(self) -> str:
        return self.pick(_SCENES[self.attributes.setting, self.attributes.pose])

    def attribute(self, part: str, alone: bool = True) -> Attribute:
        """Name one part of the bird with what is true of it; ``alone``: no other part of the list is the tail."""
        if part == "wing" and alone and self.chance(0.2):
            return self.color("wing"), "wings and tail", True
        return getattr(self, f"_{part}")()

    def _wing(self) -> Attribute:
        return self.color("wing"), self.pick(("wings", "wings", "wings", "wing feathers")), True

    def _belly(self) -> Attribute:
        options = ("belly", "belly", "belly", "breast", "breast", "chest", "underside", "breast and belly")
        return self.color("belly"), self.pick(options), False

    def _crown(self) -> Attribute:
        if self.species.crest and self.chance(0.5):
            return self.color("crown"), self.pick(("crest", "pointed crest")), False
        if self.species.crown == self.species.body and self.chance(0.6):
            return self.color("crown"), "head", False
        return self.color("crown"), self.pick(("crown", "crown", "crown", "cap")), False

    def _body(self) -> Attribute:
        return self.color("body"), self.pick(("body", "body", "body", "back", "face")), False

    def _beak(self) -> Attribute:
        shape = self.pick(_BEAK_WORDS[self.species.beak_shape])
        words = self.pick((shape, shape, f"{shape} {self.color('beak_color')}", self.color("beak_color")))
        return words, self.pick(("beak", "bill")), False

    def _tail(self) -> Attribute:
        shape = self.pick(_TAIL_WORDS[self.species.tail])
        return self.pick((shape, f"{shape} {self.color('wing')}")), "tail", False

    def _legs(self) -> Attribute:
        return self.color("leg_color"), self.pick(("legs", "feet")), True


def write_captions(attributes: BirdAttributes, count: int, rng: np.random.Generator) -> list[str]:
    """Write different captions for one image.

    A caption names a random subset of the attributes, including at least two plumage colours and sometimes the pose
    and the setting. It never names the side that the bird faces, because training mirrors images.

    Args:
        attributes: What the image shows.
        count: Number of captions.
        rng: Source of the choices.

    Returns:
        ``count`` different lower-case captions of one sentence each.
    """
    captions: list[str] = []
    while len(captions) < count:
        speaker = _Speaker(attributes, rng)
        template = _TEMPLATES[int(rng.choice(len(_TEMPLATES), p=_WEIGHTS))]
        caption = template(speaker, _choose_parts(speaker)) + ("." if speaker.chance(0.6) else "")
        if caption not in captions:
            captions.append(caption)
    return captions


def _choose_parts(speaker: _Speaker) -> list[str]:
    """Choose two to six parts, two or more of them plumage, in random order."""
    rng = speaker.rng
    plumage = [str(p) for p in rng.permutation(_COLORFUL)[: int(rng.choice((2, 3, 4), p=(0.64, 0.30, 0.06)))]]
    others = ["beak", "tail"] + ([] if speaker.attributes.pose == "flying" else ["legs"])
    extra = [str(p) for p in rng.permutation(others)[: int(rng.choice((0, 1, 2), p=(0.45, 0.47, 0.08)))]]
    return [str(p) for p in rng.permutation(plumage + extra)]


def _noun(attribute: Attribute) -> str:
    words, noun, plural = attribute
    return f"{words} {noun}" if plural else f"{article(words)} {words} {noun}"


def article(words: str) -> str:
    """Return "a" or "an" according to the first sound of the words."""
    return "an" if words[0] in "aeio" else "a"


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def _have(speaker: _Speaker, parts: list[str]) -> str:
    return _listed([_noun(speaker.attribute(part, alone="tail" not in parts)) for part in parts])


def _plumage_first(parts: list[str]) -> list[str]:
    """Order the parts so that "its X is Y" describes colours, not the shape of beak or tail."""
    return sorted(parts, key=lambda part: part not in _COLORFUL)


def _predicate(speaker: _Speaker, part: str, owner: str) -> str:
    words, noun, plural = speaker.attribute(part, alone=False)
    return f"{owner} {noun} {'are' if plural else 'is'} {words}"


def _maybe_scene(speaker: _Speaker, probability: float) -> str:
    return f", {speaker.scene()}" if speaker.chance(probability) else ""


def _this_bird_has(speaker: _Speaker, parts: list[str]) -> str:
    subject = speaker.pick(("this bird", "the bird", f"this {speaker.size()} bird", "this is a bird that"))
    return f"{subject} has {_have(speaker, parts)}{_maybe_scene(speaker, 0.08)}"


def _bird_with(speaker: _Speaker, parts: list[str]) -> str:
    size = speaker.size()
    start = speaker.pick(
        (f"{article(size)} {size} bird", f"this is {article(size)} {size} bird", "a bird", f"{size} bird")
    )
    return f"{start} with {_have(speaker, parts)}{_maybe_scene(speaker, 0.14)}"


def _colored_bird(speaker: _Speaker, parts: list[str]) -> str:
    """A sentence that begins with the body's colour, which its list of parts then omits."""
    size, color = speaker.size(), speaker.color("body")
    rest = [part for part in parts if part != "body"]
    start = speaker.pick((
        f"{article(size)} {size} {color} bird",
        f"this is {article(color)} {color} bird",
        f"{article(color)} {color} bird",
    ))  # fmt: skip
    return f"{start} with {_have(speaker, rest)}{_maybe_scene(speaker, 0.14)}"


def _is_colored(speaker: _Speaker, parts: list[str]) -> str:
    rest = [part for part in parts if part != "body"]
    subject = speaker.pick(("this bird", f"this {speaker.size()} bird", "the bird"))
    return f"{subject} is {speaker.color('body')} with {_have(speaker, rest)}"


def _scene_first(speaker: _Speaker, parts: list[str]) -> str:
    size = speaker.size()
    verb = speaker.pick(("has", "shows"))
    return f"{article(size)} {size} bird {speaker.scene()} {verb} {_have(speaker, parts)}"


def _sentences(speaker: _Speaker, parts: list[str]) -> str:
    first, second, *rest = _plumage_first(parts)
    opening = speaker.pick(("the bird's", "this bird's"))
    clause = f"{_predicate(speaker, first, opening)} and {_predicate(speaker, second, 'its')}"
    return f"{clause}, with {_have(speaker, rest[:2])}" if rest else clause


def _of_this_bird(speaker: _Speaker, parts: list[str]) -> str:
    first, *rest = _plumage_first(parts)
    words, noun, plural = speaker.attribute(first, alone=False)
    clause = f"the {noun} of this {speaker.size()} bird {'are' if plural else 'is'} {words}"
    return f"{clause}, and it has {_have(speaker, rest)}"


def _with_its(speaker: _Speaker, parts: list[str]) -> str:
    words, noun, _ = speaker.attribute(parts[0], alone=False)
    return f"with its {words} {noun}, this {speaker.size()} bird also has {_have(speaker, parts[1:])}"


def _all_of_it(speaker: _Speaker, parts: list[str]) -> str:
    """A long sentence with the whole plumage, the beak and the place."""
    rest = [str(part) for part in speaker.rng.permutation(("wing", "belly", "crown", "beak"))]
    size, color = speaker.size(), speaker.color("body")
    return f"{article(size)} {size} {color} bird {speaker.scene()}, with {_have(speaker, rest)}"


Template = Callable[[_Speaker, list[str]], str]
_WEIGHTED: tuple[tuple[Template, float], ...] = (
    (_this_bird_has, 0.26),
    (_bird_with, 0.20),
    (_colored_bird, 0.16),
    (_is_colored, 0.09),
    (_scene_first, 0.06),
    (_sentences, 0.08),
    (_of_this_bird, 0.05),
    (_with_its, 0.04),
    (_all_of_it, 0.03),
)
_TEMPLATES = tuple(template for template, _ in _WEIGHTED)
_WEIGHTS = np.array([weight for _, weight in _WEIGHTED]) / sum(weight for _, weight in _WEIGHTED)
