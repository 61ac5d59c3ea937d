"""SpaText's three metrics (Avrahami et al., CVPR 2023, sec. 4): global distance, local distance, local IoU.

Distances are 1 - cosine in the space of a joint encoder. They are meaningful only in comparison with real images
and shuffled conditions under the same encoder; distances of different encoders are not comparable.
"""

from dataclasses import replace

import torch
from torch import Tensor

from t2igan.metrics.bootstrap import mean_estimate, resampled_counts
from t2igan.metrics.estimate import Estimate
from t2igan.metrics.indexed import IndexedMetric

MOST_IN_AN_IMAGE = 256
"""Segments of an image are bytes: a segment's number is that of its image times this, plus its own."""


def segment_numbers(images: Tensor, places: Tensor) -> Tensor:
    """Unique number of each segment, int64 (N,).

    Args:
        images: int64 (N,), the numbers of their images.
        places: int64 (N,), their numbers within their images, from 0.
    """
    return images * MOST_IN_AN_IMAGE + places


def cosine_distances(vectors: Tensor, others: Tensor) -> Tensor:
    """1 - cosine, (N,), of unit vectors (N, D) with others (N, D)."""
    return 1 - (vectors.float() * others.float()).sum(1)


class GlobalDistance(IndexedMetric):
    """Mean of 1 - cosine of each image with its caption."""

    higher_is_better = False

    def update(self, images: Tensor, captions: Tensor, index: Tensor) -> None:
        """Add images.

        Args:
            images: (B, D), unit vectors of images.
            captions: (B, D), unit vectors of their captions.
            index: int64 (B,), the number of each image; no number may come twice.
        """
        self._record(index, cosine_distances(images, captions)[:, None])

    def compute(self) -> Tensor:
        """The distance."""
        return self._ordered_rows()[:, 0].double().mean()

    def estimates(self, replicates: int = 0, seed: int = 0) -> dict[str, Estimate]:
        """The distance, its spread over images."""
        return {"": mean_estimate(self._ordered_rows()[:, 0], "images", replicates, seed)}


class SegmentMetric(IndexedMetric):
    """Mean over segments; segments without a value, because their mask has no pixels, are skipped and counted."""

    def update(self, values: Tensor, index: Tensor) -> None:
        """Add segments.

        Args:
            values: (N,), NaN for a segment to skip.
            index: int64 (N,), see :func:`segment_numbers`; no number may come twice.
        """
        self._record(index, values[:, None])

    def compute(self) -> dict[str, Tensor]:
        """``""``: mean over segments; ``images``: mean over image means; ``skipped``: number of skipped ones."""
        index, rows = self._ordered()
        values, there = rows[:, 0].double(), ~rows[:, 0].isnan()
        _, image = (index[there] // MOST_IN_AN_IMAGE).unique(return_inverse=True)
        means = torch.zeros(int(image.max()) + 1 if len(image) else 0, dtype=torch.float64, device=rows.device)
        means.scatter_reduce_(0, image, values[there], "mean", include_self=False)
        return {"": values[there].mean(), "images": means.mean(), "skipped": (~there).sum()}

    def estimates(self, replicates: int = 0, seed: int = 0) -> dict[str, Estimate]:
        """The mean and spread over segments; NaN with count 0 if all were skipped.

        Replicates draw images with all their segments, which are alike, not segments.
        """
        index, rows = self._ordered()
        there = ~rows[:, 0].isnan()
        values = rows[there, 0].double()
        if not len(values):
            return {"": Estimate(values.mean(), 0)}
        found = mean_estimate(values, "segments", 0, seed)
        if not replicates:
            return {"": found}
        _, image, sizes = (index[there] // MOST_IN_AN_IMAGE).unique(return_inverse=True, return_counts=True)
        counts = resampled_counts(len(sizes), replicates, seed).to(values.device)
        sums = torch.zeros(len(sizes), dtype=torch.float64, device=values.device).scatter_add_(0, image, values)
        return {"": replace(found, replicates=(counts @ sums) / (counts @ sizes.double()))}


class LocalDistance(SegmentMetric):
    """Mean of 1 - cosine of each segment's crop and text."""

    higher_is_better = False


class LocalIoU(SegmentMetric):
    """Mean IoU of the given masks and a segmenter's predictions of their labels."""

    higher_is_better = True


def local_ious(found: Tensor, images: Tensor, masks: Tensor, labels: Tensor) -> Tensor:
    """IoU of each segment; the masks of segments with the same label in an image are united.

    Args:
        found: integers (B, H, W), predicted label of each pixel.
        images: int64 (N,), the image in 0..B-1 of each segment.
        masks: bool (N, H, W), the given masks.
        labels: int64 (N,), of the segments.

    Returns:
        float32 (N,), NaN for a segment without pixels.
    """
    alike = (images[:, None] == images) & (labels[:, None] == labels)
    united = torch.stack([masks[row].any(0) for row in alike]) if len(masks) else masks
    seen = found[images] == labels[:, None, None]
    values = (united & seen).sum((1, 2)) / (united | seen).sum((1, 2)).clamp(min=1)
    return values.masked_fill(~masks.any(2).any(1), torch.nan)
