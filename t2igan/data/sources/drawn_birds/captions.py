"""English captions for drawn birds in the style of CUB: true, varied and incomplete."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from t2igan.data.sources.drawn_birds.species import BirdAttributes, looks
from t2igan.data.sources.drawn_text import different_captions, listed, one_of, with_article

# The four plumage colours once more, in the order that the random choices of the captions depend on.
_PLUMAGE = ("wing", "belly", "crown", "body")


class Attribute(NamedTuple):
    """A part of the bird with what is true of it; its verb is "are" for a plural noun, else "is"."""

    words: str
    noun: str
    verb: str


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
    speaker = _Speaker(attributes, rng)

    def write() -> str:
        template = one_of(rng, tuple(_TEMPLATES), _SHARES)
        return template(speaker, speaker.choose_parts())

    return different_captions(count, write, rng)


class _Speaker:
    """Chooses words for the captions of one bird."""

    def __init__(self, attributes: BirdAttributes, rng: np.random.Generator) -> None:
        self.attributes = attributes
        self.species = attributes.species
        self.rng = rng

    def pick(self, options: Sequence[str]) -> str:
        return one_of(self.rng, options)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def choose_parts(self) -> list[str]:
        """Choose two to six parts, two or more of them plumage, in random order."""
        rng = self.rng
        plumage = rng.permutation(_PLUMAGE)[: one_of(rng, (2, 3, 4), (0.64, 0.30, 0.06))]
        others = ["beak", "tail"] + ([] if self.attributes.pose == "flying" else ["legs"])
        extra = rng.permutation(others)[: one_of(rng, (0, 1, 2), (0.45, 0.47, 0.08))]
        return rng.permutation([*plumage, *extra]).tolist()

    def color(self, attribute: str) -> str:
        name = getattr(self.species, attribute)
        return self.pick(looks()["colors"][name].get("words", [name]))

    def size(self) -> str:
        return self.pick(looks()["sizes"][self.species.size]["words"])

    def place(self) -> str:
        return self.pick(looks()["settings"][self.attributes.setting][self.attributes.pose])

    def maybe_place(self, probability: float) -> str:
        return f", {self.place()}" if self.chance(probability) else ""

    def attribute(self, part: str, alone: bool = True) -> Attribute:
        """Name one part of the bird with what is true of it; ``alone``: no other part of the list is the tail."""
        nouns = looks()["nouns"][part]
        if part == "wing" and alone and self.chance(0.2):
            nouns = ["wings and tail"]
        elif part == "crown" and self.species.crest and self.chance(0.5):
            nouns = looks()["nouns"]["crest"]
        elif part == "crown" and self.species.crown == self.species.body and self.chance(0.6):
            nouns = ["head"]
        return Attribute(self._adjectives(part), self.pick(nouns), "are" if part in ("wing", "legs") else "is")

    def _adjectives(self, part: str) -> str:
        if part == "beak":
            shape = self.pick(looks()["beaks"][self.species.beak_shape]["words"])
            return self.pick((shape, shape, f"{shape} {self.color('beak_color')}", self.color("beak_color")))
        if part == "tail":
            shape = self.pick(looks()["tails"][self.species.tail]["words"])
            return self.pick((shape, f"{shape} {self.color('wing')}"))
        return self.color("leg_color" if part == "legs" else part)

    def have(self, parts: Sequence[str]) -> str:
        """What the bird has, such as "red wings and a short beak"."""
        named = []
        for part in parts:
            words, noun, verb = self.attribute(part, alone="tail" not in parts)
            named.append(f"{words} {noun}" if verb == "are" else with_article(f"{words} {noun}"))
        return listed(named)


# --- sentences: words are chosen in this order, and another one would give other captions ------------------------


def _this_bird_has(say: _Speaker, parts: list[str]) -> str:
    subject = say.pick(("this bird", "the bird", f"this {say.size()} bird", "this is a bird that"))
    return f"{subject} has {say.have(parts)}{say.maybe_place(0.08)}"


def _bird_with(say: _Speaker, parts: list[str]) -> str:
    size = say.size()
    a_bird = with_article(f"{size} bird")
    start = say.pick((a_bird, f"this is {a_bird}", "a bird", f"{size} bird"))
    return f"{start} with {say.have(parts)}{say.maybe_place(0.14)}"


def _colored_bird(say: _Speaker, parts: list[str]) -> str:
    size, color = say.size(), say.color("body")
    a_bird = with_article(f"{color} bird")
    start = say.pick((with_article(f"{size} {color} bird"), f"this is {a_bird}", a_bird))
    return f"{start} with {say.have(_without_body(parts))}{say.maybe_place(0.14)}"


def _is_colored(say: _Speaker, parts: list[str]) -> str:
    subject = say.pick(("this bird", f"this {say.size()} bird", "the bird"))
    return f"{subject} is {say.color('body')} with {say.have(_without_body(parts))}"


def _place_first(say: _Speaker, parts: list[str]) -> str:
    size, verb = say.size(), say.pick(("has", "shows"))
    return f"{with_article(size)} bird {say.place()} {verb} {say.have(parts)}"


def _sentences(say: _Speaker, parts: list[str]) -> str:
    first, second, *rest = _plumage_first(parts)
    owner = say.pick(("the bird's", "this bird's"))
    one, other = (say.attribute(part, alone=False) for part in (first, second))
    clauses = f"{owner} {one.noun} {one.verb} {one.words} and its {other.noun} {other.verb} {other.words}"
    return f"{clauses}, with {say.have(rest[:2])}" if rest else clauses


def _of_this_bird(say: _Speaker, parts: list[str]) -> str:
    first, *rest = _plumage_first(parts)
    words, noun, verb = say.attribute(first, alone=False)
    return f"the {noun} of this {say.size()} bird {verb} {words}, and it has {say.have(rest)}"


def _with_its(say: _Speaker, parts: list[str]) -> str:
    words, noun, _ = say.attribute(parts[0], alone=False)
    return f"with its {words} {noun}, this {say.size()} bird also has {say.have(parts[1:])}"


def _all_of_it(say: _Speaker, parts: list[str]) -> str:
    """A long sentence with the whole plumage, the beak and the place."""
    rest = say.rng.permutation(("wing", "belly", "crown", "beak")).tolist()
    size, color = say.size(), say.color("body")
    return f"{with_article(size)} {color} bird {say.place()}, with {say.have(rest)}"


def _without_body(parts: list[str]) -> list[str]:
    return [part for part in parts if part != "body"]


def _plumage_first(parts: list[str]) -> list[str]:
    """Order the parts so that "its X is Y" describes colours, not the shape of beak or tail."""
    return sorted(parts, key=lambda part: part not in _PLUMAGE)


_TEMPLATES: dict[Callable[[_Speaker, list[str]], str], float] = {
    _this_bird_has: 0.26,
    _bird_with: 0.20,
    _colored_bird: 0.16,
    _is_colored: 0.09,
    _place_first: 0.06,
    _sentences: 0.08,
    _of_this_bird: 0.05,
    _with_its: 0.04,
    _all_of_it: 0.03,
}
_SHARES = [weight / sum(_TEMPLATES.values()) for weight in _TEMPLATES.values()]
