"""Inception score (Salimans et al. 2016, section 4)."""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from t2igan.errors import UserError
from t2igan.metrics.bootstrap import resampled_counts
from t2igan.metrics.estimate import Estimate
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
    # sum_x KL / N = mean entropy term - entropy of the marginal; xlogy defines 0 log 0 as 0
    return (torch.xlogy(p, p).sum(1).mean() - torch.xlogy(marginal, marginal).sum()).exp()


def calibrated(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Class probabilities (N, C) of logits divided by a temperature (IS* of TISE, Dinh et al. 2022, section 3.1).

    Args:
        logits: (N, C).
        temperature: positive; below 1 makes the classes more certain.
    """
    return (logits / temperature).softmax(dim=1)


class InceptionScore(IndexedMetric):
    """Inception score, mean and population standard deviation over splits.

    The samples are sorted by index, permuted with ``seed``, and divided into ``splits`` parts.

    Args:
        splits: number of parts.
        drop_remainder: use parts of exactly N // splits samples and leave out the rest. Otherwise part k is
            [k N // splits, (k + 1) N // splits), as in the code of the paper.
        seed: seed of the permutation; None keeps the order of the indices (what the COCO scorer does).
        loader_batch: samples beyond the last whole batch of this size are left out after the permutation, as the
            CUB scorer does with batches of 64 (2,928 samples: 2,880 are scored); 0 leaves out none.
        kwargs: options of :class:`torchmetrics.Metric`.
    """

    higher_is_better = True

    def __init__(
        self,
        splits: int = 10,
        drop_remainder: bool = False,
        seed: int | None = 0,
        loader_batch: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if splits < 1:
            raise UserError(f"inception score: splits must be at least 1, got {splits}")
        self.splits, self.drop_remainder = splits, drop_remainder
        self.seed, self.loader_batch = seed, loader_batch

    def update(self, probabilities: Tensor, index: Tensor) -> None:
        """Add samples.

        Args:
            probabilities: (B, C), class probabilities (after the softmax).
            index: int64 (B,), the number of each sample in the whole set; no number may come twice.

        Raises:
            UserError: rows are not probabilities.
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
        scores = torch.stack([inception_score(part) for part in self.parts()])
        return scores.mean(), scores.std(correction=0)

    def estimates(self, replicates: int = 0, seed: int = 0) -> dict[str, Estimate]:
        """The mean over the splits; see :meth:`t2igan.metrics.indexed.IndexedMetric.estimates`."""
        parts = self.parts()
        scores = torch.stack([inception_score(part) for part in parts])
        resampled = self.replicates(replicates, seed) if replicates else None
        count = sum(map(len, parts))
        if len(parts) == 1:
            return {"": Estimate(scores.mean(), count, replicates=resampled)}
        return {"": Estimate(scores.mean(), count, scores.std(correction=0), "folds", resampled)}

    def parts(self) -> list[Tensor]:
        """The probabilities of each split.

        Raises:
            UserError: fewer samples than splits, or a sample given twice.
        """
        rows = self._ordered_rows()
        if self.seed is not None:
            order = np.random.default_rng(self.seed).permutation(len(rows))
            rows = rows[torch.from_numpy(order).to(rows.device)]
        if self.loader_batch:
            rows = rows[: len(rows) - len(rows) % self.loader_batch]
        count = len(rows)
        if count < self.splits:
            raise UserError(f"inception score: {count} samples for {self.splits} splits: lower `splits`")
        usable = count - count % self.splits if self.drop_remainder else count
        edges = [k * usable // self.splits for k in range(self.splits + 1)]
        return [rows[a:b] for a, b in pairwise(edges)]

    def replicates(self, count: int, seed: int) -> Tensor:
        """The mean over the splits with samples resampled within each of them, float64 (count,).

        Args:
            count: number of replicates.
            seed: seed of the resampling.
        """
        scores = []
        for number, part in enumerate(self.parts()):
            p = part.double()
            weights = resampled_counts(len(p), count, seed + number).to(p.device) / len(p)
            marginal = weights @ p
            entropy = weights @ torch.xlogy(p, p).sum(1)
            scores.append((entropy - torch.xlogy(marginal, marginal).sum(1)).exp())
        return torch.stack(scores).mean(0)
