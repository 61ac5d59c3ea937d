"""How the released scorers compute: pytorch-fid's Frechet distance, and the R-precision of DM-GAN's eval loop."""

from collections.abc import Iterable

import numpy as np
import torch
from scipy import linalg
from torch import Tensor

CANDIDATES = 99


def sum_of_outer_products(batches: Iterable[Tensor]) -> float:
    """Trace of the sum, in float64; a new matrix for every batch."""
    total = torch.zeros((), dtype=torch.float64)
    for batch in batches:
        wide = batch.double()
        total = total + wide.T @ wide
    return total.diagonal().sum().item()


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """calculate_frechet_distance of two sets (N, D)."""
    mu1, mu2 = (features.mean(axis=0, dtype=np.float64) for features in (real, generated))
    sigma1, sigma2 = (np.cov(features, rowvar=False) for features in (real, generated))
    covmean = linalg.sqrtm(sigma1.dot(sigma2))
    return float(((mu1 - mu2) ** 2).sum() + np.trace(sigma1) + np.trace(sigma2) - 2 * np.trace(covmean.real))


def r_precision(codes: Tensor, sentences: Tensor, class_ids: np.ndarray) -> float:
    """Share of images whose own caption has the largest cosine among captions of other classes, one at a time."""
    random, hits = np.random.default_rng(0), 0
    for own in range(len(codes)):
        others = random.choice(np.flatnonzero(class_ids != class_ids[own]), CANDIDATES, replace=False)
        candidates = torch.cat([sentences[own : own + 1], sentences[torch.from_numpy(others)]])
        scores = candidates @ codes[own]
        norm = candidates.norm(2, dim=1) * codes[own].norm(2)
        hits += int((scores / norm.clamp(min=1e-8)).argmax() == 0)
    return hits / len(codes)
