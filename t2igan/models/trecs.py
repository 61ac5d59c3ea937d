"""``trecs-lite``: tag, retrieve, compose, synthesise, following TReCS (Koh et al., WACV 2021).

From a narrative and a mouse trace to labels of all words, retrieved images, a canvas composed of their masks along
the trace, and an image of that canvas. Each part is trained separately.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from t2igan.errors import UserError
from t2igan.layout.composing import Canvas, Composer, oracle_hulls, trace_hulls
from t2igan.layout.hulls import runs
from t2igan.layout.layout import Layout, Layouts
from t2igan.layout.mask_bank import MaskBank
from t2igan.layout.narratives import Narrative
from t2igan.layout.retrieval import ranking
from t2igan.models.drawing import DrawingModule
from t2igan.models.tagger import Tagger

Trace = Literal["real", "oracle", "none"]
"""Where hulls come from: the narrative's trace, the gold map of its image, or nowhere."""
_TOGETHER = 128


class Retriever(Protocol):
    """Protocol of retrievers, which score the images of a bank for texts."""

    def scores(self, queries: Sequence[Sequence[str]]) -> np.ndarray:
        """Scores (queries, images) for the words of each query, higher is better."""
        ...


@dataclass(frozen=True)
class Composition:
    """Result of the first three steps for one narrative.

    Attributes:
        tags: label of each word.
        ranked: int64 (K,), best matching images of the bank.
        canvas: canvas composed of their masks.
    """

    tags: tuple[str, ...]
    ranked: np.ndarray
    canvas: Canvas


class TrecsPipeline:
    """The pipeline of the four steps.

    Args:
        tagger: labels the words; None uses the narratives' own labels.
        retriever: retriever of the images of ``bank``.
        bank: masks for composing.
        composer: chooses and places the masks.
        trace: source of the hulls: ``real``, ``oracle`` or ``none``.
        generator: generator of images from layouts, of the bank's size; None for canvases only.

    Raises:
        UserError: the generator does not take layouts, or has another image size.
    """

    def __init__(
        self,
        tagger: Tagger | None,
        retriever: Retriever,
        bank: MaskBank,
        composer: Composer,
        trace: Trace = "real",
        generator: DrawingModule | None = None,
    ) -> None:
        self.tagger, self.retriever, self.bank, self.composer = tagger, retriever, bank, composer
        self.trace, self.generator = trace, generator
        if generator is not None:
            if "layouts" not in generator.requires:
                kind = type(generator.generator).__name__
                raise UserError(
                    f"{kind} generates no images from layouts; give the checkpoint of a layout generator"
                )
            if (size := generator.generator.image_sizes[-1]) != bank.size:
                raise UserError(
                    f"the generator's images have {size} px, but the bank's masks are of {bank.size} px"
                )

    def tags(self, narratives: Sequence[Narrative]) -> list[tuple[str, ...]]:
        """The label of every word.

        Raises:
            UserError: there is no tagger, and a narrative has no labels.
        """
        if self.tagger is None:
            if missing := next((each.key for each in narratives if each.tags is None), None):
                raise UserError(f"narrative {missing} has no labels: give a tagger")
            return [tuple(each.tags or ()) for each in narratives]
        words = [each.words for each in narratives]
        # Narratives of similar length share a batch, which saves padding.
        order = sorted(range(len(words)), key=lambda place: len(words[place]))
        found: list[tuple[str, ...]] = [()] * len(words)
        for start in range(0, len(order), _TOGETHER):
            batch = order[start : start + _TOGETHER]
            for place, own in zip(batch, self.tagger.tag([words[place] for place in batch])):
                found[place] = tuple(own)
        return found

    def compose(self, narratives: Sequence[Narrative], gold: Sequence[Layout] | None = None) -> list[Composition]:
        """Tag, retrieve and compose; deterministic for each narrative.

        Args:
            narratives: narratives with words and, if used, traces.
            gold: layouts of their images, used by ``trace="oracle"``.

        Raises:
            UserError: gold layouts or traces are required but missing.
        """
        if self.trace == "oracle" and gold is None:
            raise UserError("trace: oracle takes the hulls from the gold maps of the images, which are missing")
        if self.trace == "real" and (without := next((n.key for n in narratives if not n.traces), None)):
            raise UserError(
                f"narrative {without} has no trace: set trace to none, or to oracle if there are gold maps"
            )
        ranks = ranking(self.retriever.scores([each.words for each in narratives]))
        found = []
        for place, (narrative, tags) in enumerate(zip(narratives, self.tags(narratives))):
            own = runs(tags)
            hulls: list[np.ndarray | None] = [None] * len(own)
            if self.trace == "real":
                hulls = trace_hulls(narrative, own, self.bank.size)
            elif gold is not None and self.trace == "oracle":
                hulls = oracle_hulls(gold[place], own, self.bank.labels)
            canvas = self.composer.compose(own, hulls, self.bank, ranks[place])
            found.append(Composition(tags, ranks[place, : self.composer.k], canvas))
        return found

    @torch.no_grad()
    def synthesise(
        self,
        compositions: Sequence[Composition],
        noise: Tensor,
        texts: Sequence[Sequence[str]],
        weights: Literal["ema", "raw"] = "ema",
    ) -> Tensor:
        """Generate images (B, 3, S, S) in [-1, 1] of canvases, on the generator's device.

        Args:
            compositions: results of :meth:`compose`.
            noise: (B, ``random_dim``).
            texts: words of each narrative, for generators that also take text.
            weights: averaged weights (``ema``) or trained weights (``raw``).

        Raises:
            UserError: the pipeline has no generator.
        """
        module = self._module()
        canvases, device = [each.canvas for each in compositions], module.device
        layouts = Layouts.of([each.layout for each in canvases], [each.texts for each in canvases])
        ids = {word: place for place, word in enumerate(module.vocabulary)}
        rows = [torch.tensor([ids[word] for word in text if word in ids] or [0]) for text in texts]
        captions = pad_sequence(rows, batch_first=True).to(device)
        lengths = torch.tensor([len(row) for row in rows], device=device)
        synthesis = module.synthesise(noise.to(device), captions, lengths, weights, layouts=layouts.to(device))
        return synthesis.images[-1]

    @property
    def random_dim(self) -> int:
        """Width of an image's noise."""
        return self._module().generator.random_dim

    def to(self, device: torch.device) -> None:
        """Move the networks to ``device``."""
        self._module().to(device)
        if self.tagger is not None:
            self.tagger.to(device)

    def _module(self) -> DrawingModule:
        if self.generator is None:
            raise UserError("the pipeline has no generator, so it ends with canvases: set its key generator")
        return self.generator
