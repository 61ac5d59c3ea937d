"""Layout IoU: whether an image shows what its gold layout has where the layout has it."""

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
    """Mean intersection over union, and pixel accuracy, of what a segmenter finds in an image and its gold map."""

    name: ClassVar[str] = "layout-iou"
    shown: ClassVar[dict[str, Shown]] = {
        "layout-iou": Shown("higher", 3),
        "layout-accuracy": Shown("higher", 3),
    }

    def network(self) -> "NetworkSource":
        """The segmenter that was given."""
        from t2igan.evaluation.features.networks import SegmenterSource

        return SegmenterSource()

    def scorer(self, embedder: "Embedder", setting: "Setting") -> "Scorer":
        """Each image with the layout of its caption's image."""
        from t2igan.evaluation.scorers.layouts import LayoutScorer

        return LayoutScorer(self, embedder, setting)
