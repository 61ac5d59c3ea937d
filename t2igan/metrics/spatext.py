"""SpaText's three metrics (Avrahami et al., CVPR 2023, sec. 4): global distance, local distance, local IoU.

Distances are 1 - cosine in the space of a joint encoder. They cannot be read without those of real images and of
shuffled conditions under the same encoder beside them, and those of two encoders do not compare.
"""

import torch
from torch import Tensor

from t2igan.metrics.bootstrap import mean_estimate
from t2igan.metrics.estimate import Estimate
from t2igan.metrics.indexed import IndexedMetric

MOST_IN_AN_IMAGE = 256
"""Segments of an image are bytes: a segment's number is that of its image times this, plus its own."""


def segment_numbers(images: Tensor, places: Tensor) -> Tensor:
    """int64 (N,), a number for each segment.

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
    """Mean over segments; one without a value, since no pixel of its mask is left, is skipped and counted."""

    def update(self, values: Tensor, index: Tensor) -> None:
        """Add segments.

        Args:
            values: (N,), not a number for a segment that is to be skipped.
            index: int64 (N,), see :func:`segment_numbers`; no number may come twice.
        """
        self._record(index, values[:, None])

    def compute(self) -> dict[str, Tensor]:
        """``""``: mean over segments; ``images``: mean over the means of images; ``skipped``: how many were."""
        index, rows = self._ordered()
        values, there = rows[:, 0].double(), ~rows[:, 0].isnan()
        _, image = (index[there] // MOST_IN_AN_IMAGE).unique(return_inverse=True)
        means = torch.zeros(int(image.max()) + 1 if len(image) else 0, dtype=torch.float64, device=rows.device)
        means.scatter_reduce_(0, image, values[there], "mean", include_self=False)
        return {"": values[there].mean(), "images": means.mean(), "skipped": (~there).sum()}

    def estimates(self, replicates: int = 0, seed: int = 0) -> dict[str, Estimate]:
        """The mean over segments, its spread over segments; not a number, of 0, where all were skipped."""
        values = self._ordered_rows()[:, 0]
        there = values[~values.isnan()]
        if not len(there):
            return {"": Estimate(there.double().mean(), 0)}
        return {"": mean_estimate(there, "segments", replicates, seed)}


class LocalDistance(SegmentMetric):
    """Mean of 1 - cosine of each segment, cropped from the image by the mask that was given, with its text."""

    higher_is_better = False


class LocalIoU(SegmentMetric):
    """Mean intersection over union of the mask that was given and what a segmenter finds of its label."""

    higher_is_better = True


def local_ious(found: Tensor, images: Tensor, masks: Tensor, labels: Tensor) -> Tensor:
    """Intersection over union of each segment; segments of one label in an image are one, their masks united.

    Args:
        found: integers (B, H, W), the label that a segmenter gives each pixel.
        images: int64 (N,), the image in 0..B-1 of each segment.
        masks: bool (N, H, W), as they were given.
        labels: int64 (N,), of the segments.

    Returns:
        float32 (N,), not a number for a segment without a pixel.
    """
    alike = (images[:, None] == images) & (labels[:, None] == labels)
    united = torch.stack([masks[row].any(0) for row in alike]) if len(masks) else masks
    seen = found[images] == labels[:, None, None]
    values = (united & seen).sum((1, 2)) / (united | seen).sum((1, 2)).clamp(min=1)
    return values.masked_fill(~masks.any(2).any(1), torch.nan)
