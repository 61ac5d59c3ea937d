"""Generate images of a user's captions, for ``t2igan sample``, ``t2igan demo`` and Python."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from t2igan.data.vocabulary import Vocabulary, tokenize
from t2igan.errors import UserError
from t2igan.layout.layout import Layouts
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.drawing import DrawingModule
from t2igan.networks.synthesis import Generator, Synthesis
from t2igan.nn.images import generated_uint8
from t2igan.nn.modes import evaluating
from t2igan.nn.noise import between, caption_noise

Weights = Literal["ema", "raw"]
SLOT = re.compile(r"\{([^{}]*)\}")
# Names of slots that stand for a list of words, as far as the vocabulary has them.
NAMED_SLOTS = {
    "colour": ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey"),
    "part": ("crown", "back", "wings", "belly", "breast", "tail", "bill", "legs"),
}
MOST_SLOTS = 2
MOST_WORDS = 1_000
"""Words of a caption; a narrative has forty on average, and a million would fill the memory."""


@dataclass(frozen=True)
class KnownCaption:
    """A caption looked up in a checkpoint's vocabulary.

    Attributes:
        text: the caption as given.
        words: words that are in the vocabulary.
        ids: ids of these words.
        unknown: words that are not in the vocabulary, which are left out.
    """

    text: str
    words: list[str]
    ids: list[int]
    unknown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Samples:
    """Generated images with masks and attention maps.

    Attributes:
        captions: the caption of each image.
        images: uint8 (B, 3, S, S).
        masks: float (B, 1, s, s) in [0, 1] each, coarse to fine; empty where the generator has none.
        attention: float (B, T, s, s) each, coarse to fine; empty where the generator has none.
    """

    captions: list[KnownCaption]
    images: Tensor
    masks: list[Tensor]
    attention: list[Tensor]

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Sweep:
    """Captions that differ in the words of one or two slots.

    Attributes:
        rows: words of the first slot.
        columns: words of the second slot; a single empty word without second slot.
        captions: captions of the table, row by row.
    """

    rows: list[str]
    columns: list[str]
    captions: list[str]


def understand(texts: Sequence[str], vocabulary: Vocabulary) -> list[KnownCaption]:
    """Look captions up in a vocabulary.

    Raises:
        UserError: a caption has no word that the vocabulary knows.
    """
    known = []
    for index, text in enumerate(texts):
        tokens = tokenize(text)
        words = [word for word in tokens if vocabulary.encode([word])]
        if not words:
            raise UserError(
                f"caption {index} ({text!r:.200}) has no word that the checkpoint knows; "
                f"it knows {len(vocabulary) - 1} words, such as {', '.join(vocabulary.words[1:8])}"
            )
        if len(words) > MOST_WORDS:
            raise UserError(
                f"caption {index} ({text!r:.60}...) has {len(words):,} known words, "
                f"a caption has at most {MOST_WORDS:,}: shorten it"
            )
        unknown = [word for word in tokens if word not in words]
        known.append(KnownCaption(text, words, vocabulary.encode(words), unknown))
    return known


def sweep_of(template: str, vocabulary: Vocabulary) -> Sweep:
    """The captions of a template such as ``a bird with {red|blue} {wings|belly}``.

    Args:
        template: caption with one or two slots; ``{colour}`` and ``{part}`` stand for the colours and parts in the
            vocabulary.
        vocabulary: vocabulary of the checkpoint.

    Raises:
        UserError: there is no slot, there are more than two, or a slot has no words.
    """
    slots = SLOT.findall(template)
    if not 1 <= len(slots) <= MOST_SLOTS:
        raise UserError(
            f"a sweep has one or two slots, {template!r} has {len(slots)}: such as "
            "'a bird with {red|blue} {wings|belly}' or 'a bird with {colour} {part}'"
        )
    found = [_words_of(slot, vocabulary) for slot in slots]
    rows, columns = found[0], found[1] if len(found) > 1 else [""]
    captions = []
    for words in itertools.product(*found):
        left = iter(words)
        captions.append(SLOT.sub(lambda _, left=left: next(left), template))
    return Sweep(rows, columns, captions)


def _words_of(slot: str, vocabulary: Vocabulary) -> list[str]:
    if slot in NAMED_SLOTS:
        words = [word for word in NAMED_SLOTS[slot] if vocabulary.encode([word])]
    else:
        words = [word.strip() for word in slot.split("|") if word.strip()]
    if not words:
        raise UserError(f"a sweep's slot {{{slot}}} has no words that the checkpoint knows")
    return words


class Sampler:
    """Generates images of captions with a model.

    Args:
        module: module that generates; in eval mode, on its device.
        name: name of the checkpoint, for errors.
        weights: averaged weights, or those that training moved.

    Raises:
        UserError: the module has no vocabulary, or raw weights are requested but not stored.
    """

    def __init__(self, module: DrawingModule, name: str, weights: Weights = "ema") -> None:
        if not module.vocabulary:
            raise UserError(f"{name} has no vocabulary because it was never trained; train it with t2igan fit")
        if module.averaged and weights == "raw":
            raise UserError(f"{name} holds averaged weights only: remove --weights raw")
        self.module = module
        self.weights: Weights = weights
        self.vocabulary = Vocabulary(module.vocabulary)

    def noise(self, index: int, n: int, seed: int) -> Tensor:
        """Noise (n, Z + E), a function of the caption's index, each image's number and the seed."""
        place, dim = torch.tensor([index]), self.module.generator.random_dim
        return torch.cat([caption_noise(place, dim, seed, draw) for draw in range(n)])

    @torch.no_grad()
    def sample(self, captions: Sequence[KnownCaption], noise: Tensor, layouts: Layouts | None = None) -> Samples:
        """Generate one image for each caption and row of ``noise`` (B, Z + E), and of ``layouts`` if needed."""
        (ids, lengths), device = self._numbered(captions), self.module.device
        told = None if layouts is None else layouts.to(device)
        made = self.module.synthesise(noise.to(device), ids, lengths, self.weights, told)
        return _samples(captions, made)

    @torch.no_grad()
    def interpolate(
        self, first: KnownCaption, second: KnownCaption, noise: tuple[Tensor, Tensor], steps: int
    ) -> Samples:
        """Generate images that interpolate between two captions and noise vectors.

        Caption embeddings are interpolated linearly, noise spherically. Between the ends a position is padding only
        if it is padding in both captions.

        Args:
            first: caption at the start.
            second: caption at the end.
            noise: noise (1, Z + E) at the start and at the end.
            steps: number of images including both ends, at least 2.

        Raises:
            UserError: the model is no GAN.
        """
        ids, lengths = self._numbered((first, second))
        shares = torch.linspace(0, 1, steps)
        rows = between(*noise, shares).to(self.module.device)
        if not isinstance(self.module, AdversarialModule):
            raise UserError(f"{type(self.module).__name__} cannot interpolate between captions")
        encoder, generator = self._network("text_encoder"), cast(Generator, self._network("generator"))
        with evaluating(encoder, generator):
            text = encoder(ids, lengths).between(shares.to(self.module.device))
            made = generator.from_random(rows, self.module.conditions(text, None))
        return _samples([first if share < 0.5 else second for share in shares], made)

    def _network(self, name: str) -> nn.Module:
        """A network of the module, averaged if requested and available."""
        averaged = self.weights == "ema" and name in self.module.averages
        return self.module.averages[name].module if averaged else self.module.get_submodule(name)

    def _numbered(self, captions: Sequence[KnownCaption]) -> tuple[Tensor, Tensor]:
        """Ids (B, T), 0 = padding, on the module's device, and lengths (B,) in host memory."""
        ids = pad_sequence([torch.tensor(each.ids) for each in captions], batch_first=True)
        return ids.to(self.module.device), torch.tensor([len(each.ids) for each in captions])


def _samples(captions: Sequence[KnownCaption], made: Synthesis) -> Samples:
    masks, attention = ([each.float().cpu() for each in maps] for maps in (made.masks, made.attention))
    return Samples(list(captions), generated_uint8(made.images[-1]).cpu(), masks, attention)


def unknown_words(captions: Sequence[KnownCaption]) -> Iterator[str]:
    """One line for each caption with unknown words."""
    for index, caption in enumerate(captions):
        if caption.unknown:
            words = ", ".join(caption.unknown)
            yield f"caption {index}: words the checkpoint does not know were dropped: {words}"
