"""Agreement of label maps with gold maps."""

import torch
from torch import Tensor

from t2igan.layout.labels import VOID
from t2igan.metrics.bootstrap import resampled_counts
from t2igan.metrics.estimate import Estimate
from t2igan.metrics.indexed import IndexedMetric


class LayoutAgreement(IndexedMetric):
    """Pixel accuracy and mean intersection over union of label maps, over all pixels of all images together.

    Void pixels of the gold maps are ignored; pixels that are void only in the other map count as wrong. The mean is
    over the labels in the gold maps.

    Args:
        labels: number of labels L.
    """

    higher_is_better = True

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.labels = labels

    def update(self, layouts: Tensor, gold: Tensor, index: Tensor) -> None:
        """Add label maps.

        Args:
            layouts: uint8 (B, H, W), values below ``labels``, or 255 for void.
            gold: uint8 (B, H, W), the gold maps.
            index: int64 (B,), the number of each image; no number may come twice.
        """
        shown, count = gold != VOID, len(gold)
        image = torch.arange(count, device=gold.device)[:, None, None].expand_as(gold)[shown]
        said, true = layouts[shown].long().clamp(max=self.labels), gold[shown].long()
        shape = count, self.labels, self.labels + 1
        cells = torch.bincount(
            (image * shape[1] + true) * shape[2] + said, minlength=shape[0] * shape[1] * shape[2]
        )
        confusion = cells.view(shape)
        right = confusion.diagonal(dim1=1, dim2=2)
        self._record(index, torch.cat([right, confusion.sum(2), confusion.sum(1)[:, : self.labels]], dim=1))

    def compute(self) -> dict[str, Tensor]:
        """``pixel_accuracy`` and ``mean_iou``, float64 scalars; NaN without a labelled pixel."""
        return self._agreements(self._ordered_rows().double().sum(0))

    def estimates(self, replicates: int = 0, seed: int = 0) -> dict[str, Estimate]:
        """Both values, with replicates that draw whole images."""
        rows = self._ordered_rows().double()
        counts = resampled_counts(len(rows), replicates, seed).to(rows.device) if replicates else None
        resampled = {} if counts is None else self._agreements(counts @ rows)
        values = self._agreements(rows.sum(0))
        return {name: Estimate(value, len(rows), replicates=resampled.get(name)) for name, value in values.items()}

    def _agreements(self, counts: Tensor) -> dict[str, Tensor]:
        """The values of pixel counts (..., 3 L): right ones, those of the gold map, and those of the other map."""
        right, there, said = counts.split(self.labels, dim=-1)
        shares = (right / (there + said - right)).where(there > 0, torch.nan)
        return {"pixel_accuracy": right.sum(-1) / there.sum(-1), "mean_iou": shares.nanmean(-1)}
