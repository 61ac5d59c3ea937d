"""Inception scores."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from t2igan.evaluation.metrics.base import FeatureMetric, Inception, Shown, added, register
from t2igan.schema import at_least

if TYPE_CHECKING:
    from torch import Tensor

    from t2igan.evaluation.features.embedders import Rows
    from t2igan.metrics.inception_score import InceptionScore


@register
@dataclass(frozen=True)
class ISClassifier(FeatureMetric):
    """Inception score of the evaluation classifier's class probabilities.

    Attributes:
        splits: number of parts over which mean and spread are computed.
        drop_remainder: use parts of exactly N // splits images.
        seed: seed of the order in which images are cut into parts.
        temperature: divisor of the logits (IS* of TISE).
        order: order of the images, ``shuffled`` or ``numbered`` (by image number).
        loader_batch: images beyond the last whole batch of this size are not scored, 0 scores all.
    """

    name: ClassVar[str] = "is-classifier"
    shown: ClassVar[dict[str, Shown]] = {"is-classifier": Shown("higher")}
    splits: int = at_least(1, 10)
    drop_remainder: bool = False
    seed: int = at_least(0, 0)
    temperature: float = added(1.0, minimum=1e-6)
    order: Literal["shuffled", "numbered"] = added("shuffled")
    loader_batch: int = added(0, minimum=0)

    @property
    def wants_reference(self) -> bool:
        """False: the score needs no reference images."""
        return False

    def metric(self, feature_dim: int) -> "InceptionScore":
        """Make the metric, which takes class probabilities instead of features."""
        from t2igan.metrics.inception_score import InceptionScore

        seed = self.seed if self.order == "shuffled" else None
        return InceptionScore(self.splits, self.drop_remainder, seed, self.loader_batch)

    def take(self, metric: "InceptionScore", numbers: "Tensor", rows: "Rows", real: bool) -> None:
        """Update with the class probabilities of the calibrated logits."""
        from t2igan.metrics.inception_score import calibrated

        metric.update(calibrated(rows[1], self.temperature), numbers)


@register
@dataclass(frozen=True)
class IS(ISClassifier, Inception):
    """Inception score of Inception's class probabilities; IS* with a temperature.

    Options as of :class:`ISClassifier` and :class:`Inception`.
    """

    name: ClassVar[str] = "is"
    shown: ClassVar[dict[str, Shown]] = {"is": Shown("higher")}
