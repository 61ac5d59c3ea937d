"""Precision, recall, density and coverage."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from t2igan.evaluation.metrics.base import FeatureMetric, Features, Shown, register, with_classifier
from t2igan.schema import at_least

if TYPE_CHECKING:
    from t2igan.metrics.manifold import Manifold


@register
@dataclass(frozen=True)
class PRDC(FeatureMetric, Features):
    """Precision, recall, density and coverage.

    Attributes:
        neighbours: k of the nearest neighbours.
    """

    name: ClassVar[str] = "prdc"
    shown: ClassVar[dict[str, Shown]] = with_classifier(
        {name: Shown("higher", 3) for name in ("precision", "recall", "density", "coverage")}
    )
    neighbours: int = at_least(1, 5)

    def metric(self, feature_dim: int) -> "Manifold":
        """Make the metric that computes all four values."""
        from t2igan.metrics.manifold import Manifold

        return Manifold(feature_dim, self.neighbours)
