"""Classifier-free guidance with several conditions (SpaText, sec. 3.4), all branches in one call of the network."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from t2igan.layout.segments import SpatioTextualMap
from t2igan.nn.config import Configured
from t2igan.ranges import Weight


@dataclass
class Wanted:
    """The two conditions of SpaText.

    Attributes:
        text: text of the whole image, (B, ...).
        no_text: what stands for no text, (B, ...).
        st_map: map of its segments.
    """

    text: Tensor
    no_text: Tensor
    st_map: SpatioTextualMap

    def branches(self, kept: list[tuple[bool, bool]]) -> tuple[Tensor, SpatioTextualMap]:
        """Text and map of each branch, one branch after another.

        Args:
            kept: for each branch, whether it keeps the text and whether it keeps the map; else they are null.
        """
        texts = torch.cat([self.text if text else self.no_text for text, _ in kept])
        rows = torch.tensor([not places for _, places in kept]).repeat_interleave(len(self.st_map))
        maps = self.st_map.repeated(len(kept))
        return texts, maps.without(rows.to(maps.index.device))


Predict = Callable[[Tensor, Tensor, SpatioTextualMap], Tensor]
"""(noisy (N, ...), text (N, ...), map of N) -> predicted noise (N, ...)."""


class Guidance(Configured):
    """How the predictions of branches become one."""

    kept: tuple[tuple[bool, bool], ...]

    @abstractmethod
    def combine(self, *predictions: Tensor) -> Tensor:
        """The guided prediction, of those of the branches in the order of ``kept``."""

    def __call__(self, predict: Predict, noisy: Tensor, wanted: Wanted) -> Tensor:
        """The guided prediction for ``noisy`` (B, ...), with one call of ``predict``."""
        texts, maps = wanted.branches(list(self.kept))
        repeated = noisy.repeat(len(self.kept), *[1] * (noisy.dim() - 1))
        return self.combine(*predict(repeated, texts, maps).chunk(len(self.kept)))


class Fast(Guidance):
    """Both conditions together, one scale: e + s (e(text, map) - e), whatever the number of conditions.

    Args:
        scale: s; 0 ignores the conditions, 1 adds no guidance.
    """

    kept = ((False, False), (True, True))

    def __init__(self, scale: Weight = 3.0) -> None:
        self.scale = scale

    def combine(self, *predictions: Tensor) -> Tensor:
        """Of the branches without and with the conditions."""
        nothing, everything = predictions
        return nothing + self.scale * (everything - nothing)


class Multi(Guidance):
    """A scale of its own for each condition: e + s_text (e(text) - e) + s_map (e(map) - e).

    Args:
        text: s_text, how much the whole image obeys the caption.
        places: s_map, how much the segments obey their texts.
    """

    kept = ((False, False), (True, False), (False, True))

    def __init__(self, text: Weight = 3.0, places: Weight = 3.0) -> None:
        self.text, self.places = text, places

    def combine(self, *predictions: Tensor) -> Tensor:
        """Of the branches without conditions, with the caption alone and with the map alone."""
        nothing, text, places = predictions
        return nothing + self.text * (text - nothing) + self.places * (places - nothing)
