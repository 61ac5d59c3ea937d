"""Inception score (Salimans et al. 2016, section 4)."""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from t2igan.errors import UserError
from t2igan.metrics.indexed import IndexedMetric


def inception_score(probabilities: Tensor) -> Tensor:
    """exp(mean_x KL(p(y|x) || p(y))) of one set.

    Args:
        probabilities: (N, C), rows sum to 1.

    Returns:
        float64 scalar between 1 and C.
    """
    p = probabilities.double()
    marginal = p.mean(0)
    # sum_x KL / N = mean entropy term - entropy of the marginal; xlogy takes 0 log 0 as 0
    return (torch.xlogy(p, p).sum(1).mean() - torch.xlogy(marginal, marginal).sum()).exp()


class InceptionScore(IndexedMetric):
    """Inception score, mean and population standard deviation over splits.

    The samples are put in the order of their index, permuted with ``seed``, and cut into ``splits`` parts.

    Args:
        splits: number of parts.
        drop_remainder: parts of exactly N // splits samples; the rest is left out. Otherwise part k is
            [k N // splits, (k + 1) N // splits), as in the code of the paper.
        seed: of the permutation; None keeps the order of the indices (what the COCO scorer does).
        kwargs: options of :class:`torchmetrics.Metric`.
    """

    higher_is_better = True

    def __init__(self, splits: int = 10, drop_remainder: bool = False, seed: int | None = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if splits < 1:
            raise UserError(f"inception score: splits must be at least 1, got {splits}")
        self.splits, self.drop_remainder, self.seed = splits, drop_remainder, seed

    def update(self, probabilities: Tensor, index: Tensor) -> None:
        """Add samples.

        Args:
            probabilities: (B, C), class probabilities (after the softmax).
            index: int64 (B,), the number of each sample in the whole set; no number may come twice.

        Raises:
            UserError: rows that are not probabilities.
        """
        if probabilities.ndim != 2:
            raise ValueError(f"probabilities must be (B, C), got {tuple(probabilities.shape)}")
        sums = probabilities.sum(1)
        if not ((sums - 1).abs() < 1e-3).all() or (probabilities < 0).any():
            raise UserError("inception score: rows are not probabilities: apply the softmax, look for NaN")
        self._record(index, probabilities)

    def compute(self) -> tuple[Tensor, Tensor]:
        """Mean and population standard deviation over the splits, float64 scalars.

        Raises:
            UserError: fewer samples than splits, or a sample given twice.
        """
        rows = self._ordered_rows()
        count = len(rows)
        if count < self.splits:
            raise UserError(f"inception score: {count} samples for {self.splits} splits: lower `splits`")
        if self.seed is not None:
            rows = rows[torch.from_numpy(np.random.default_rng(self.seed).permutation(count)).to(rows.device)]
        usable = count - count % self.splits if self.drop_remainder else count
        edges = [k * usable // self.splits for k in range(self.splits + 1)]
        scores = torch.stack([inception_score(rows[a:b]) for a, b in pairwise(edges)])
        return scores.mean(), scores.std(correction=0)
