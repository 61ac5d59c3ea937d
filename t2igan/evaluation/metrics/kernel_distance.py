"""Kernel distances (KID)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from t2igan.evaluation.metrics.base import FeatureMetric, Features, Shown, register, with_classifier
from t2igan.schema import at_least

if TYPE_CHECKING:
    from t2igan.metrics.kernel_distance import KernelDistance


@register
@dataclass(frozen=True)
class KID(FeatureMetric, Features):
    """Kernel distance, over seeded subsets (``kid``) and over all pairs (``kid-full``).

    Attributes:
        subsets: number of subsets.
        subset_size: samples of each side in a subset.
        degree: degree of the polynomial kernel.
        seed: seed of the subsets.
    """

    name: ClassVar[str] = "kid"
    shown: ClassVar[dict[str, Shown]] = with_classifier({"kid": Shown("lower", 5), "kid-full": Shown("lower", 5)})
    subsets: int = at_least(1, 100)
    subset_size: int = at_least(2, 1000)
    degree: int = at_least(1, 3)
    seed: int = at_least(0, 0)

    def metric(self, feature_dim: int) -> "KernelDistance":
        """Both distances."""
        from t2igan.metrics.kernel_distance import KernelDistance

        return KernelDistance(feature_dim, self.subsets, self.subset_size, self.degree, self.seed)
