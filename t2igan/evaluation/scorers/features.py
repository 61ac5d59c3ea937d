"""Scorer of metrics that compare sets of features or class logits."""

from torch import Tensor

from t2igan.evaluation.features.embedders import BackboneEmbedder, Embedder, Rows
from t2igan.evaluation.metrics.base import FeatureMetric
from t2igan.evaluation.record import MetricValue
from t2igan.evaluation.scorers.base import Scorer, Setting, measured
from t2igan.evaluation.timing import part


class FeatureScorer(Scorer):
    """Feeds the features of one backbone to a metric. Repeated images are left out.

    Several metrics of a backbone get the same rows, and share them in memory.

    Args:
        spec: the metric.
        embedder: backbone that computes the features.
        setting: settings of the evaluation.

    Attributes:
        metric: torchmetrics object that computes the values.
    """

    def __init__(self, spec: FeatureMetric, embedder: Embedder, setting: Setting) -> None:
        assert isinstance(embedder, BackboneEmbedder)
        self.title, self.embedder, self.network_sha256 = spec.name, embedder, embedder.sha256
        self.wanted, self.wants_reference = setting.distinct, spec.wants_reference
        self._spec, self._setting = spec, setting
        self.metric = spec.metric(embedder.backbone.feature_dim).to(setting.device)

    def add_reference(self, numbers: Tensor, rows: Rows) -> None:
        """Update the metric with rows of the reference."""
        self._spec.take(self.metric, numbers, rows, real=True)

    def add(self, numbers: Tensor, rows: Rows) -> None:
        """Update the metric with rows of images."""
        self._spec.take(self.metric, numbers, rows, real=False)

    def values(self) -> dict[str, MetricValue]:
        """Compute the metric's values."""
        setting, samples = self._setting, self._setting.plan.ids[self.wanted]
        with part(f"metric {self._spec.name}"), self.metric.sync_context():
            estimates = self.metric.estimates(*setting.bootstrap)
        return {
            self._spec.value_name(key): measured(estimate, self.network_sha256, setting, samples)
            for key, estimate in estimates.items()
        }
