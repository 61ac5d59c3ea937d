"""R-precision: does an image find its own caption among mismatching ones (Xu et al. 2018, section 4)?"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.utilities import rank_zero_warn

from t2igan.errors import UserError
from t2igan.metrics.indexed import IndexedMetric
from t2igan.metrics.negatives import NegativeCaptions, NegativesPolicy

FoldMode = Literal["exact", "dmgan-2999"]

_SHUFFLE_STREAM = 1  # keeps the shuffling apart from other uses of the same seed
_BLOCK_ELEMENTS = 2**18  # gathered numbers at a time: fits in the cache of a core
_SUSPICIOUS_TIES = 0.01


def _unit(vectors: Tensor) -> Tensor:
    at_least_float32 = vectors if vectors.dtype == torch.float64 else vectors.float()
    return functional.normalize(at_least_float32, dim=-1, eps=1e-8)


def _candidate_cosines(codes: Tensor, sentences: Tensor, candidates: Tensor) -> Tensor:
    """Cosines of unit ``codes`` (B, D) with the unit ``sentences`` (N, D) that ``candidates`` (B, K) pick."""
    rows = max(1, _BLOCK_ELEMENTS // (candidates.shape[1] * codes.shape[1]))
    # Product and sum instead of a matrix product: each cosine is then rounded alike wherever it stands, so
    # that equal captions tie exactly and the batch size changes no bit.
    if codes.device.type == "cpu":
        # NumPy does both in one pass, and needs no second thread.
        table, own, picked = (x.detach().numpy() for x in (sentences, codes, candidates))
        parts = [slice(start, start + rows) for start in range(0, len(own), rows)]
        found = [np.einsum("bkd,bd->bk", table[picked[part]], own[part]) for part in parts]
        return torch.from_numpy(np.concatenate(found))
    return torch.cat(
        [(sentences[ids] * code[:, None]).sum(-1) for code, ids in zip(codes.split(rows), candidates.split(rows))]
    )


def r_precision_cosines(codes: Tensor, sentences: Tensor, true_ids: Tensor, negative_ids: Tensor) -> Tensor:
    """Cosines of images with their candidate captions.

    Args:
        codes: (B, D), image vectors.
        sentences: (N, D), sentence vectors of all captions.
        true_ids: int64 (B,), the row of the image's own caption.
        negative_ids: int64 (B, K), rows of mismatching captions.

    Returns:
        (B, 1 + K), the true caption first; float64 where both inputs are, else float32.
    """
    candidates = torch.cat([true_ids[:, None], negative_ids], dim=1)
    return _candidate_cosines(_unit(codes), _unit(sentences), candidates)


def _hits(cosines: Tensor) -> Tensor:
    return cosines[:, 0] >= cosines[:, 1:].amax(1)


def r_precision_hits(codes: Tensor, sentences: Tensor, true_ids: Tensor, negative_ids: Tensor) -> Tensor:
    """Whether the true caption has the largest cosine; a tie counts as success, as in the code of DM-GAN.

    Args and shapes as :func:`r_precision_cosines`.

    Returns:
        bool (B,).
    """
    return _hits(r_precision_cosines(codes, sentences, true_ids, negative_ids))


def fold_statistics(hits: Tensor, folds: int = 10, mode: FoldMode = "exact") -> tuple[Tensor, Tensor]:
    """Mean and population standard deviation of the success rate over folds, in the order given.

    Args:
        hits: (N,), 0/1 or bool.
        folds: number of folds.
        mode: ``exact`` uses every trial, fold k being [k N // folds, (k + 1) N // folds). ``dmgan-2999``
            does what the code of DM-GAN does: folds of N // folds trials, the last trial of each left out
            (2,999 of 3,000).

    Returns:
        Two float64 scalars.

    Raises:
        UserError: too few trials for the folds.
    """
    if mode not in get_args(FoldMode):
        raise UserError(f"fold_mode: {mode!r} is unknown, choose one of {', '.join(get_args(FoldMode))}")
    count, needed = len(hits), folds * (2 if mode == "dmgan-2999" else 1)
    if folds < 1 or count < needed:
        raise UserError(f"R-precision: {count} trials are too few for {folds} folds ({mode}): lower `folds`")
    if mode == "exact":
        edges = [(k * count // folds, (k + 1) * count // folds) for k in range(folds)]
    else:
        size = count // folds
        edges = [(k * size, (k + 1) * size - 1) for k in range(folds)]
    rates = torch.stack([hits[a:b].double().mean() for a, b in edges])
    return rates.mean(), rates.std(correction=0)


class RPrecision(IndexedMetric):
    """R-precision (R = 1) over trials of one true and ``candidates - 1`` mismatching captions.

    Every caption of the split is encoded once and handed to :meth:`set_captions`; a trial then only looks its
    candidates up. The candidates of a trial depend on (seed, trial, true caption) alone, and the trials are
    ordered by number and shuffled with the seed before they are cut into folds, so batches and processes
    leave no trace.

    Args:
        class_ids: (N,), class of each caption of the split.
        image_ids: (N,), image of each caption.
        candidates: captions per trial, the true one included.
        folds: over which mean and standard deviation are taken.
        fold_mode: see :func:`fold_statistics`.
        negatives: see :class:`t2igan.metrics.negatives.NegativeCaptions`.
        seed: of the candidates and of the shuffling before the folds.
        kwargs: options of :class:`torchmetrics.Metric`.
    """

    higher_is_better = True

    def __init__(
        self,
        class_ids: Sequence[int] | np.ndarray,
        image_ids: Sequence[int] | np.ndarray,
        candidates: int = 100,
        folds: int = 10,
        fold_mode: FoldMode = "exact",
        negatives: NegativesPolicy = "other-class",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if candidates < 2:
            raise UserError(f"R-precision: candidates must be at least 2, got {candidates}")
        self.candidates, self.folds, self.fold_mode, self.seed = candidates, folds, fold_mode, seed
        self._captions = len(class_ids)
        self._negatives = NegativeCaptions(class_ids, image_ids, negatives, seed)
        self._sentences: Tensor | None = None

    def set_captions(self, sentences: Tensor) -> None:
        """Give the sentence vectors of all captions of the split, once.

        Args:
            sentences: (N, D), in the order of ``class_ids``.

        Raises:
            UserError: a vector is not finite.
        """
        if sentences.ndim != 2 or len(sentences) != self._captions:
            raise ValueError(f"sentences must be ({self._captions}, D), got {tuple(sentences.shape)}")
        if not sentences.isfinite().all():
            raise UserError("R-precision: sentence vectors are not finite: check the text encoder's weights")
        self._sentences = _unit(sentences.detach()).to(self.device)

    def update(self, codes: Tensor, caption_ids: Tensor, trial: Tensor) -> None:
        """Add trials.

        Args:
            codes: (B, D), image vectors.
            caption_ids: int64 (B,), the captions that the images were made from.
            trial: int64 (B,), number of each trial; no number may come twice.

        Raises:
            UserError: a code is not finite.
        """
        if self._sentences is None:
            raise RuntimeError("call set_captions before update")
        if codes.ndim != 2 or codes.shape[1] != self._sentences.shape[1]:
            raise ValueError(f"codes must be (B, {self._sentences.shape[1]}), got {tuple(codes.shape)}")
        if not codes.isfinite().all():
            raise UserError("R-precision: image vectors are not finite: check image encoder and images")
        if len(codes) == 0:
            return
        self._sentences = self._sentences.to(codes.device)
        true_ids = caption_ids.cpu()
        negatives = self._negatives.draw(trial.cpu().numpy(), true_ids.numpy(), self.candidates - 1)
        candidates = torch.cat([true_ids[:, None], torch.from_numpy(negatives)], dim=1)
        cosines = _candidate_cosines(_unit(codes), self._sentences, candidates.to(codes.device))
        tied = cosines[:, 0] == cosines[:, 1:].amax(1)
        self._record(trial, torch.stack([_hits(cosines), tied], dim=1))

    def compute(self) -> tuple[Tensor, Tensor]:
        """Mean and population standard deviation over the folds, float64 scalars between 0 and 1.

        Raises:
            UserError: too few trials for the folds, or a trial given twice.
        """
        hits, tied = self._ordered_rows().T
        if tied.mean() > _SUSPICIOUS_TIES:
            rank_zero_warn(
                f"R-precision: {tied.mean():.0%} of the trials are ties, which count as success: "
                "many captions have equal sentence vectors, or the image encoder has collapsed"
            )
        order = np.random.default_rng([_SHUFFLE_STREAM, self.seed]).permutation(len(hits))
        return fold_statistics(hits[torch.from_numpy(order).to(hits.device)], self.folds, self.fold_mode)

    def hits(self) -> Tensor:
        """float32 (N,), 1 for each trial that found its caption, in the order of the trials."""
        return self._ordered_rows()[:, 0]
