"""How much images of one caption differ."""

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
        captions: how many captions, the first of the protocol's plan.
        samples: images of each.
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
        """A pass of its own, which draws each caption several times."""
        from t2igan.evaluation.scorers.diversity import DiversityScorer

        return DiversityScorer(self, embedder, setting)

    def obstacle(self, subject: "Subject", protocol: "Protocol") -> str:
        """Only a generator draws a caption again."""
        return "" if subject.has_floats else NO_DRAWS
