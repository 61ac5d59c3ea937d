"""Scorer of layout IoU: a segmenter's maps of the images compared with gold maps."""

from torch import Tensor

from t2igan.data.requirements import refuse_lack
from t2igan.evaluation.features.embedders import Embedder, Rows
from t2igan.evaluation.images.told import whole_layouts
from t2igan.evaluation.metrics.layout_iou import LayoutIoU
from t2igan.evaluation.record import MetricValue
from t2igan.evaluation.scorers.base import Scorer, Setting, measured
from t2igan.layout.labels import COCO_STUFF
from t2igan.metrics.layout_agreement import LayoutAgreement


class LayoutScorer(Scorer):
    """Counts labels over all pixels of all images together.

    Args:
        spec: the metric.
        embedder: segmenter that labels the pixels.
        setting: settings of the evaluation.

    Raises:
        UserError: the data set has no layouts.
    """

    def __init__(self, spec: LayoutIoU, embedder: Embedder, setting: Setting) -> None:
        refuse_lack({"layouts"}, setting.store.holds, spec.name, f"{setting.store.path} ({setting.store.name})")
        self.title, self.embedder, self.network_sha256 = spec.name, embedder, embedder.sha256
        self.wanted, self._setting = setting.distinct, setting
        self._agreement = LayoutAgreement(len(COCO_STUFF)).to(setting.device)

    def add(self, numbers: Tensor, rows: Rows) -> None:
        """Count the labels of maps (B, H, W)."""
        protocol, window = self._setting.protocol, self._setting.store.image_size
        captions = self._setting.plan.captions[numbers.numpy()]
        gold = whole_layouts(self._setting.split, window, protocol.image_size, captions).labels
        device = self._setting.device
        self._agreement.update(rows[0].to(device), gold.to(device), numbers.to(device))

    def values(self) -> dict[str, MetricValue]:
        """Compute mean IoU and pixel accuracy."""
        setting = self._setting
        with self._agreement.sync_context():
            found = self._agreement.estimates(*setting.bootstrap)
        samples = setting.plan.ids[self.wanted]
        names = {"layout-iou": "mean_iou", "layout-accuracy": "pixel_accuracy"}
        return {name: measured(found[key], self.network_sha256, setting, samples) for name, key in names.items()}
