"""Layout IoU: agreement of an image's predicted segmentation with its gold layout."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from t2igan.evaluation.metrics.base import Shown, register
from t2igan.evaluation.metrics.r_precision import CaptionMetric

if TYPE_CHECKING:
    from t2igan.evaluation.features.networks import Embedder, NetworkSource
    from t2igan.evaluation.scorers.base import Scorer, Setting


@register
@dataclass(frozen=True)
class LayoutIoU(CaptionMetric):
    """Mean IoU and pixel accuracy of a segmenter's prediction on the image against the gold map."""

    name: ClassVar[str] = "layout-iou"
    shown: ClassVar[dict[str, Shown]] = {
        "layout-iou": Shown("higher", 3),
        "layout-accuracy": Shown("higher", 3),
    }

    def network(self) -> "NetworkSource":
        """The given segmenter."""
        from t2igan.evaluation.features.networks import SegmenterSource

        return SegmenterSource()

    def scorer(self, embedder: "Embedder", setting: "Setting") -> "Scorer":
        """Compare each image with the layout of its caption's image."""
        from t2igan.evaluation.scorers.layouts import LayoutScorer

        return LayoutScorer(self, embedder, setting)
