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
class GuidedConditions:
    """The two conditions of SpaText.

    Attributes:
        text: text of the whole image, (B, ...).
        no_text: the null condition of the text, (B, ...).
        st_map: map of its segments.
    """

    text: Tensor
    no_text: Tensor
    st_map: SpatioTextualMap

    def branches(self, kept: list[tuple[bool, bool]]) -> tuple[Tensor, SpatioTextualMap]:
        """Texts and maps of all branches, concatenated.

        Args:
            kept: for each branch, whether it keeps the text and the map, instead of the null condition.
        """
        texts = torch.cat([self.text if text else self.no_text for text, _ in kept])
        rows = torch.tensor([not places for _, places in kept]).repeat_interleave(len(self.st_map))
        maps = self.st_map.repeated(len(kept))
        return texts, maps.without(rows.to(maps.index.device, non_blocking=True))


Predict = Callable[[Tensor, Tensor, SpatioTextualMap], Tensor]
"""(noisy (N, ...), text (N, ...), map of N) -> predicted noise (N, ...)."""


class Guidance(Configured):
    """Base class of guidance, which combines predictions under different conditions."""

    kept: tuple[tuple[bool, bool], ...]

    @abstractmethod
    def combine(self, *predictions: Tensor) -> Tensor:
        """Combine the predictions of the branches, in the order of ``kept``."""

    def __call__(self, predict: Predict, noisy: Tensor, wanted: GuidedConditions) -> Tensor:
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
        """Combine the branches without and with both conditions."""
        nothing, everything = predictions
        return nothing + self.scale * (everything - nothing)


class Multi(Guidance):
    """A separate scale for each condition: e + s_text (e(text) - e) + s_map (e(map) - e).

    Args:
        text: s_text, guidance scale of the caption.
        places: s_map, guidance scale of the map.
    """

    kept = ((False, False), (True, False), (False, True))

    def __init__(self, text: Weight = 3.0, places: Weight = 3.0) -> None:
        self.text, self.places = text, places

    def combine(self, *predictions: Tensor) -> Tensor:
        """Combine the branches without conditions, with the caption only and with the map only."""
        nothing, text, places = predictions
        return nothing + self.text * (text - nothing) + self.places * (places - nothing)
