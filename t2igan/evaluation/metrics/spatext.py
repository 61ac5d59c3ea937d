"""SpaText's metrics: global distance, local distance, local IoU."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from t2igan.evaluation.metrics.base import Shown, register
from t2igan.evaluation.metrics.r_precision import CaptionMetric

if TYPE_CHECKING:
    from t2igan.evaluation.features.networks import Embedder, NetworkSource
    from t2igan.evaluation.protocol import Protocol
    from t2igan.evaluation.scorers.base import Scorer, Setting
    from t2igan.evaluation.subjects.base import Subject

NO_SEGMENTS = "the protocol tells no segments: give it `segments: 3`"


def _ways(name: str, better: Shown) -> dict[str, Shown]:
    """Add the values of seen segments, of unseen segments, and of shuffled conditions."""
    control = Shown("neither", better.decimals)
    return {name: better, f"{name}-seen": better, f"{name}-unseen": better, f"{name}-shuffled": control}


class SpaTextSegmentMetric(CaptionMetric):
    """A metric of the given segments; requires known captions, on which the choice of segments depends."""

    def obstacle(self, subject: "Subject", protocol: "Protocol") -> str:
        """Requires a protocol that gives segments."""
        return super().obstacle(subject, protocol) if protocol.segments else NO_SEGMENTS


@register
@dataclass(frozen=True)
class SpaTextGlobalDistance(CaptionMetric):
    """1 - cosine of image and caption with a joint encoder, mean over images; and with shuffled captions.

    Attributes:
        seed: seed of the shuffling.
    """

    name: ClassVar[str] = "global-distance"
    shown: ClassVar[dict[str, Shown]] = {
        "global-distance": Shown("lower", 3),
        "global-distance-shuffled": Shown("neither", 3),
    }
    seed: int = 0

    def network(self) -> "NetworkSource":
        """The joint encoder that was given."""
        from t2igan.evaluation.features.networks import JointSource

        return JointSource()

    def scorer(self, embedder: "Embedder", setting: "Setting") -> "Scorer":
        """Each image with its caption."""
        from t2igan.evaluation.scorers.segments import GlobalScorer

        return GlobalScorer(self, embedder, setting)


@register
@dataclass(frozen=True)
class SpaTextLocalDistance(SpaTextSegmentMetric):
    """1 - cosine of each given segment's crop and text with a joint encoder, mean over segments.

    Attributes:
        seed: seed of the shuffling, which compares the image with masks and texts of another image.
    """

    name: ClassVar[str] = "local-distance"
    shown: ClassVar[dict[str, Shown]] = _ways("local-distance", Shown("lower", 3))
    seed: int = 0

    def network(self) -> "NetworkSource":
        """The joint encoder that was given."""
        from t2igan.evaluation.features.networks import JointSource

        return JointSource()

    def scorer(self, embedder: "Embedder", setting: "Setting") -> "Scorer":
        """Each told segment."""
        from t2igan.evaluation.scorers.segments import LocalDistances, SegmentScorer

        return SegmentScorer(self, LocalDistances(embedder, setting, self.seed), setting)


@register
@dataclass(frozen=True)
class SpaTextLocalIoU(SpaTextSegmentMetric):
    """IoU of each given mask and a segmenter's prediction of its label, mean over segments.

    Uses the masks as given; if these are roughened, ``local-iou-exact`` uses the exact ones.

    Attributes:
        seed: as of :class:`SpaTextLocalDistance`.
    """

    name: ClassVar[str] = "local-iou"
    shown: ClassVar[dict[str, Shown]] = {
        **_ways("local-iou", Shown("higher", 3)),
        "local-iou-exact": Shown("higher", 3),
    }
    seed: int = 0

    def network(self) -> "NetworkSource":
        """The given segmenter."""
        from t2igan.evaluation.features.networks import SegmenterSource

        return SegmenterSource()

    def scorer(self, embedder: "Embedder", setting: "Setting") -> "Scorer":
        """Each told segment."""
        from t2igan.evaluation.scorers.segments import LocalIoUs, SegmentScorer

        return SegmentScorer(self, LocalIoUs(embedder, setting, self.seed), setting)
