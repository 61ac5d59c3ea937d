"""CLIP score: similarity of images and their captions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from t2igan.evaluation.metrics.base import Shown, register
from t2igan.evaluation.metrics.r_precision import CaptionMetric

if TYPE_CHECKING:
    from t2igan.evaluation.features.networks import Embedder, NetworkSource
    from t2igan.evaluation.scorers.base import Scorer, Setting


@register
@dataclass(frozen=True)
class CLIPScore(CaptionMetric):
    """100 max(cosine, 0) of image and plain caption with a CLIP, mean over images.

    Not the CLIPScore of Hessel et al. (2021): 2.5 max(cosine, 0) with "A photo depicts" before the caption.
    """

    name: ClassVar[str] = "clip-score"
    shown: ClassVar[dict[str, Shown]] = {"clip-score": Shown("higher")}

    def network(self) -> "NetworkSource":
        """The given CLIP."""
        from t2igan.evaluation.features.networks import ClipSource

        return ClipSource()

    def scorer(self, embedder: "Embedder", setting: "Setting") -> "Scorer":
        """Score each image with its caption."""
        from t2igan.evaluation.scorers.captions import ClipScorer

        return ClipScorer(self, embedder, setting)
