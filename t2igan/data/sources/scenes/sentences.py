"""Texts of drawn scenes: segment descriptions, short captions, and narratives with word labels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from t2igan.data.sources.drawn_text import different_captions, listed, one_of, with_article
from t2igan.data.sources.scenes.world import Scene, Stuff, Thing

_DETAILS = {"airplane": "{} wings", "bird": "{} wings", "boat": "{} sails", "bus": "{} stripe",
            "car": "{} roof", "dog": "{} ears", "kite": "{} tail", "sheep": "{} face",
            "umbrella": "{} stripes"}  # fmt: skip
_PLAIN = {"sky-other": "sky", "mountain": "mountains", "hill": "hills", "tree": "trees"}
_COUNTED = ("sky", "sea", "road", "tree", "house")
_VERBS: dict[tuple[str, str], tuple[str, ...]] = {
    ("bird", "sea"): ("swimming on", "floating on"),
    ("boat", "sea"): ("sailing on", "floating on", "on"),
    ("car", "road"): ("driving on", "parked on", "on"),
    ("bus", "road"): ("driving on", "stopping on", "on"),
    ("sheep", "grass"): ("grazing on", "standing on", "on"),
    ("dog", ""): ("standing on", "walking on", "on"),
    ("", "sky-other"): ("flying in", "flying through", "high in"),
    ("", ""): ("standing on", "on"),
}
_PLACES = {
    "sea": ("at sea", "out on the sea"),
    "beach": ("at the beach", "on the shore"),
    "meadow": ("in a meadow", "in the countryside"),
    "winter": ("in winter", "on a winter day"),
    "street": ("by the road", "along a road"),
}


@dataclass(frozen=True)
class Mention:
    """A phrase of a narrative about one segment.

    Attributes:
        lead: function words before the phrase, possibly empty.
        phrase: words about the segment.
        segment: index of the segment in ``Scene.segments``.
        ends: whether a sentence ends here.
    """

    lead: str
    phrase: str
    segment: int
    ends: bool = False


def _counted(words: str) -> str:
    """The words, with "a" or "an" if the noun is countable."""
    head = words.split(" with ")[0].rpartition(" ")[2]
    return with_article(words) if head in _COUNTED else words


def describe(segment: Stuff | Thing, rng: np.random.Generator, detail: float = 0.5) -> str:
    """Describe a segment in free text, such as "a small red bird with blue wings".

    Args:
        segment: segment of a scene.
        rng: source of the choices.
        detail: probability that a thing's second colour is mentioned.
    """
    if isinstance(segment, Stuff):
        return _describe_stuff(segment, rng)
    words = f"{segment.color} {segment.name}"
    if segment.size and rng.random() < 0.75:
        words = f"{segment.size} {words}"
    words = with_article(words)
    if rng.random() >= detail:
        return words
    second = _DETAILS[segment.name].format(segment.second)
    return f"{words} with {second if second.endswith('s') else with_article(second)}"


def _describe_stuff(stuff: Stuff, rng: np.random.Generator) -> str:
    if stuff.name == "house":
        return f"a {stuff.look} house with a {stuff.second} roof"
    words = one_of(rng, stuff.row["words"])
    if len(stuff.spots) > 1:
        return f"{('two', 'three')[len(stuff.spots) - 2]} {words}s"
    return _counted(words)


def _where(thing: Thing, rng: np.random.Generator) -> str:
    """Verb and preposition, e.g. "sailing on"."""
    keys = ((thing.name, thing.on), (thing.name, ""), ("", thing.on), ("", ""))
    return one_of(rng, next(_VERBS[key] for key in keys if key in _VERBS))


def _the(words: str) -> str:
    """The words with "the" instead of their own article."""
    return f"the {words.removeprefix('an ').removeprefix('a ')}"


def _stuff_named(scene: Scene, name: str) -> tuple[int, Stuff]:
    return next((number, stuff) for number, stuff in enumerate(scene.stuff) if stuff.name == name)


# --- short captions ----------------------------------------------------------------------------------------------


def write_captions(scene: Scene, count: int, rng: np.random.Generator) -> list[str]:
    """Write different short captions of one scene: true, varied and incomplete.

    They never mention left or right, because training mirrors images.

    Args:
        scene: what the image shows.
        count: number of captions.
        rng: source of the choices.

    Returns:
        ``count`` different lower-case captions of one sentence each.
    """

    def write() -> str:
        # The main thing comes first in most captions.
        things = sorted(
            scene.things, key=lambda thing: (thing != scene.main) * (0.5 + rng.random()) + rng.random() * 0.7
        )
        return one_of(rng, _TEMPLATES)(scene, things, rng)

    return different_captions(count, write, rng)


def _on_stuff(scene: Scene, thing: Thing, rng: np.random.Generator) -> str:
    """A phrase with a thing and its place."""
    _, stuff = _stuff_named(scene, thing.on)
    named = _PLAIN.get(stuff.name, stuff.name) if rng.random() < 0.4 else _describe_stuff(stuff, rng)
    return f"{describe(thing, rng, 0.35)} {_where(thing, rng)} {_the(named)}"


def _one(scene: Scene, things: list[Thing], rng: np.random.Generator) -> str:
    return _on_stuff(scene, things[0], rng)


def _two(scene: Scene, things: list[Thing], rng: np.random.Generator) -> str:
    if len(things) == 1:
        return _before(scene, things, rng)
    return f"{_on_stuff(scene, things[0], rng)} and {describe(things[1], rng, 0.25)}"


def _related(scene: Scene, things: list[Thing], rng: np.random.Generator) -> str:
    if len(things) == 1:
        return _placed(scene, things, rng)
    first, second = things[:2]
    if first.pose != second.pose:
        relation = one_of(rng, ("above", "over") if first.pose == "flying" else ("below", "under"))
    else:
        relation = one_of(rng, ("near", "not far from"))
    return f"{describe(first, rng, 0.3)} {relation} {describe(second, rng, 0.3)}"


def _before(scene: Scene, things: list[Thing], rng: np.random.Generator) -> str:
    others = [stuff for stuff in scene.stuff if stuff.name != things[0].on]
    stuff = others[int(rng.integers(len(others)))]
    words = one_of(rng, ("with {} in the background", "in front of {}", "and behind it {}"))
    if stuff.name == "sky-other":
        words = "under {}"
    elif stuff.name in ("grass", "sand", "road", "sea", "snow"):
        words = "and below it {}" if things[0].pose == "flying" else "beside {}"
    return f"{describe(things[0], rng, 0.4)} {words.format(_describe_stuff(stuff, rng))}"


def _placed(scene: Scene, things: list[Thing], rng: np.random.Generator) -> str:
    named = [describe(thing, rng, 0.2) for thing in things]
    return f"{listed(named)} {one_of(rng, _PLACES[scene.place])}"


_TEMPLATES: tuple[Callable[[Scene, list[Thing], np.random.Generator], str], ...] = (
    _one, _one, _two, _two, _related, _before, _placed,
)  # fmt: skip


# --- narratives --------------------------------------------------------------------------------------------------

_OPENERS = ("In this image we can see", "In this picture I can see", "Here we can see", "In the image there is",
            "In the front of the image there is", "This image shows")  # fmt: skip
_NEXT = ("We can also see", "There is also", "Beside it I can see", "I can see", "Then there is")
_ABOVE = ("Above it there is", "Above it we can see", "Higher up we can see")
_BACK = (
    "In the background we can see",
    "Behind it I can see",
    "In the background I can see",
    "Further back we can see",
)
_GROUND = ("At the bottom of the image we can see", "On the ground there is", "Below we can see")
_SKY = ("At the top of the image we can see", "On the top we can see", "At the top there is")


def write_narrative(scene: Scene, rng: np.random.Generator) -> list[Mention]:
    """Narrate a scene: things from the main one on, each with its ground, then the surroundings.

    Args:
        scene: what the image shows.
        rng: source of the choices.
    """
    mentions: list[Mention] = []
    told: set[int] = set()
    for thing in sorted(scene.things, key=lambda thing: -thing.width):
        above = thing.pose == "flying" and scene.main.pose == "standing"
        lead = one_of(rng, _OPENERS if not mentions else _ABOVE if above else _NEXT)
        verb, _, preposition = _where(thing, rng).rpartition(" ")
        ground, stuff = _stuff_named(scene, thing.on)
        goes_on = ground not in told and rng.random() < 0.75
        phrase = describe(thing, rng, 0.6)
        if goes_on or verb.endswith("ing"):
            phrase = f"{phrase} {verb}".strip()
        mentions.append(Mention(lead, phrase, len(scene.stuff) + scene.things.index(thing), not goes_on))
        if goes_on:
            words = _describe_stuff(stuff, rng).removeprefix("an ").removeprefix("a ")
            mentions.append(Mention(f"{preposition} the", words, ground, True))
            told.add(ground)
    rest = [(number, stuff) for number, stuff in enumerate(scene.stuff) if number not in told]
    for place, (number, stuff) in enumerate(reversed(rest)):
        if place and rng.random() < 0.12:  # nobody tells everything
            continue
        mentions.append(_tell_stuff(mentions, number, stuff, rng))
    return mentions


def _tell_stuff(mentions: list[Mention], number: int, stuff: Stuff, rng: np.random.Generator) -> Mention:
    words = _describe_stuff(stuff, rng)
    ends = bool(rng.random() < 0.65)
    if not mentions[-1].ends:
        return Mention("and", words, number, ends)
    leads = {"sky-other": _SKY, "clouds": _SKY, "grass": _GROUND, "sand": _GROUND, "road": _GROUND, "snow": _GROUND}
    lead = one_of(rng, leads.get(stuff.name, _BACK))
    several = len(stuff.spots) > 1 or stuff.name in ("clouds", "mountain", "hill")
    return Mention(lead.replace("there is", "there are") if several else lead, words, number, ends)
