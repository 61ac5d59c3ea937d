"""Frechet distances, and their extrapolation to infinitely many images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from t2igan.evaluation.metrics.base import FeatureMetric, Features, Inception, Shown, added, register
from t2igan.schema import at_least

if TYPE_CHECKING:
    from t2igan.evaluation.features.networks import Embedder, Supply
    from t2igan.evaluation.scorers.base import Scorer, Setting
    from t2igan.metrics.frechet import FrechetDistance
    from t2igan.metrics.frechet_sampling import FrechetInfinity


@register
@dataclass(frozen=True)
class FID(FeatureMetric, Inception):
    """Frechet distance of Inception features.

    Attributes:
        statistics: file of the reference's ``mu`` and ``sigma`` (.npz) in the folder of weights, instead of the
            protocol's reference images.
        loader_batch: images beyond the last whole batch of this size are not scored, as by the released scorers
            (DM-GAN, TISE: 50); 0 scores all.
    """

    name: ClassVar[str] = "fid"
    shown: ClassVar[dict[str, Shown]] = {"fid": Shown("lower")}
    statistics: str = added("")
    loader_batch: int = added(0, minimum=0)

    @property
    def wants_reference(self) -> bool:
        """False if a statistics file replaces the reference images."""
        return not self.statistics

    def find(self, supply: "Supply") -> Sequence["Embedder"]:
        """Check the statistics file before the network is loaded."""
        if self.statistics:
            supply.statistics(self.statistics)
        return super().find(supply)

    def metric(self, feature_dim: int) -> "FrechetDistance":
        """The distance."""
        from t2igan.metrics.frechet import FrechetDistance

        return FrechetDistance(feature_dim, self.loader_batch)

    def scorer(self, embedder: "Embedder", setting: "Setting") -> "Scorer":
        """Use the statistics of the file, if one is named."""
        from t2igan.evaluation.scorers.features import FeatureScorer
        from t2igan.metrics.frechet import FrechetDistance

        scorer = FeatureScorer(self, embedder, setting)
        if self.statistics:
            reference, sha256 = setting.supply.statistics(self.statistics)
            assert isinstance(scorer.metric, FrechetDistance)
            scorer.metric.set_reference(*reference)
            # Values against different files are not comparable, so the file is part of the key.
            scorer.network_sha256 = f"{embedder.sha256}+{sha256}"
        return scorer


@register
@dataclass(frozen=True)
class FDClassifier(FeatureMetric):
    """Frechet distance of the evaluation classifier's features."""

    name: ClassVar[str] = "fd-classifier"
    shown: ClassVar[dict[str, Shown]] = {"fd-classifier": Shown("lower")}

    def metric(self, feature_dim: int) -> "FrechetDistance":
        """The distance."""
        from t2igan.metrics.frechet import FrechetDistance

        return FrechetDistance(feature_dim)


@register
@dataclass(frozen=True)
class FIDInfinity(FeatureMetric, Features):
    """Frechet distance extrapolated to infinitely many images (Chong and Forsyth 2020, section 3.2).

    Attributes:
        points: number of subset sizes, through whose values a line in 1 / N is fitted.
        smallest: images of the smallest subset.
        seed: seed of the subsets.
    """

    name: ClassVar[str] = "fid-infinity"
    shown: ClassVar[dict[str, Shown]] = {
        name: Shown("lower") for name in ("fid-infinity", "fd-classifier-infinity")
    }
    points: int = at_least(2, 15)
    smallest: int = at_least(2, 5000)
    seed: int = at_least(0, 0)

    def metric(self, feature_dim: int) -> "FrechetInfinity":
        """The limit."""
        from t2igan.metrics.frechet_sampling import FrechetInfinity

        return FrechetInfinity(feature_dim, self.points, self.smallest, self.seed)

    def value_name(self, key: str) -> str:
        """A Frechet distance is called FID only with Inception."""
        return "fd-classifier-infinity" if self.flavour == "classifier" else self.name
