"""Diversity of the images of one caption."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from t2igan.evaluation.metrics.base import ScoredMetric, Shown, register
from t2igan.schema import at_least

if TYPE_CHECKING:
    from t2igan.evaluation.features.networks import Embedder, NetworkSource
    from t2igan.evaluation.protocol import Protocol
    from t2igan.evaluation.scorers.base import Scorer, Setting
    from t2igan.evaluation.subjects.base import Subject


NO_DRAWS = "it needs several images of one caption, which only a generator draws"


@register
@dataclass(frozen=True)
class LPIPSDiversity(ScoredMetric):
    """Mean LPIPS distance between images of the same caption, over all pairs of its samples.

    Attributes:
        captions: number of captions, the first ones of the protocol's plan.
        samples: number of images per caption.
    """

    name: ClassVar[str] = "lpips-diversity"
    shown: ClassVar[dict[str, Shown]] = {"lpips-diversity": Shown("higher", 3)}
    captions: int = at_least(2, 500)
    samples: int = at_least(2, 5)

    def network(self) -> "NetworkSource":
        """LPIPS with AlexNet."""
        from t2igan.evaluation.features.networks import LpipsSource

        return LpipsSource()

    def scorer(self, embedder: "Embedder", setting: "Setting") -> "Scorer":
        """A separate pass, which generates several images per caption."""
        from t2igan.evaluation.scorers.diversity import DiversityScorer

        return DiversityScorer(self, embedder, setting)

    def obstacle(self, subject: "Subject", protocol: "Protocol") -> str:
        """Only a generator can make several images of a caption."""
        return "" if subject.has_floats else NO_DRAWS
