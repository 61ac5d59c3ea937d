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
    """With the values of segments whose like training showed, of the others, and of shuffled conditions."""
    control = Shown("neither", better.decimals)
    return {name: better, f"{name}-seen": better, f"{name}-unseen": better, f"{name}-shuffled": control}


class SegmentMetric(CaptionMetric):
    """A metric of the segments that were told; the captions must be known, since segments belong to them."""

    def obstacle(self, subject: "Subject", protocol: "Protocol") -> str:
        """Segments must have been told."""
        return super().obstacle(subject, protocol) if protocol.segments else NO_SEGMENTS


@register
@dataclass(frozen=True)
class GlobalDistance(CaptionMetric):
    """1 - cosine of image and caption with a joint encoder, mean over images; beside it with shuffled captions.

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
class LocalDistance(SegmentMetric):
    """1 - cosine of the crop of each told segment and its text with a joint encoder, mean over segments.

    Attributes:
        seed: seed of the shuffling: the segments of another image, masks and texts, are held against the image.
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
class LocalIoU(SegmentMetric):
    """Intersection over union of each told mask and what a segmenter finds of its label, mean over segments.

    Of the masks as they were given; where these are rough, ``local-iou-exact`` is of the exact ones.

    Attributes:
        seed: as of :class:`LocalDistance`.
    """

    name: ClassVar[str] = "local-iou"
    shown: ClassVar[dict[str, Shown]] = {
        **_ways("local-iou", Shown("higher", 3)),
        "local-iou-exact": Shown("higher", 3),
    }
    seed: int = 0

    def network(self) -> "NetworkSource":
        """The segmenter that was given."""
        from t2igan.evaluation.features.networks import SegmenterSource

        return SegmenterSource()

    def scorer(self, embedder: "Embedder", setting: "Setting") -> "Scorer":
        """Each told segment."""
        from t2igan.evaluation.scorers.segments import LocalIoUs, SegmentScorer

        return SegmentScorer(self, LocalIoUs(embedder, setting, self.seed), setting)
