"""Agreement of label maps with gold maps."""

import torch
from torch import Tensor
from torchmetrics import Metric

from t2igan.layout.labels import VOID


class LayoutAgreement(Metric):
    """Pixel accuracy and mean intersection over union of label maps, over all pixels of all images together.

    Void pixels of the gold maps are ignored; pixels that are void only in the other map count as wrong. The mean is
    over the labels in the gold maps.

    Args:
        labels: number of labels.
    """

    full_state_update = False
    higher_is_better = True
    confusion: Tensor

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.labels = labels
        self.add_state("confusion", torch.zeros(labels, labels + 1, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, layouts: Tensor, gold: Tensor) -> None:
        """Add label maps.

        Args:
            layouts: uint8 (B, H, W), values below ``labels``, or 255 for void.
            gold: uint8 (B, H, W), the gold maps.
        """
        shown = gold != VOID
        said, true = layouts[shown].long().clamp(max=self.labels), gold[shown].long()
        cells = torch.bincount(true * (self.labels + 1) + said, minlength=self.confusion.numel())
        self.confusion += cells.view_as(self.confusion)

    def compute(self) -> dict[str, Tensor]:
        """``pixel_accuracy`` and ``mean_iou``, float64 scalars; NaN without a labelled pixel."""
        counts = self.confusion.double()
        right, there, said = counts.diagonal(), counts.sum(dim=1), counts[:, : self.labels].sum(dim=0)
        shares = (right / (there + said - right))[there > 0]
        return {"pixel_accuracy": right.sum() / there.sum(), "mean_iou": shares.mean()}
