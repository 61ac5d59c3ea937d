"""R-precision: retrieval of an image's caption among mismatching ones (Xu et al. 2018, section 4)."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.utilities import rank_zero_warn

from t2igan.errors import UserError
from t2igan.metrics.bootstrap import mean_replicates
from t2igan.metrics.estimate import Estimate
from t2igan.metrics.indexed import IndexedMetric
from t2igan.metrics.negatives import NegativeCaptions, NegativesPolicy

FoldMode = Literal["exact", "dmgan-2999"]

_SHUFFLE_STREAM = 1  # keeps the shuffling apart from other uses of the same seed
_BLOCK_ELEMENTS = 2**18  # numbers gathered at a time, which fit into the cache of a core
_SUSPICIOUS_TIES = 0.01
_FEW_NEGATIVES = 0.9  # share of the requested candidates
_COLLAPSED = 0.999  # length of the mean of unit vectors, 1 if all are equal


def _unit(vectors: Tensor) -> Tensor:
    at_least_float32 = vectors if vectors.dtype == torch.float64 else vectors.float()
    return functional.normalize(at_least_float32, dim=-1, eps=1e-8)


def candidate_cosines(codes: Tensor, sentences: Tensor, candidates: Tensor) -> Tensor:
    """Cosines of images with their candidate captions.

    Args:
        codes: (B, D), image vectors of length 1.
        sentences: (N, D), sentence vectors of length 1.
        candidates: int64 (B, K), rows of ``sentences``.

    Returns:
        (B, K).
    """
    rows = max(1, _BLOCK_ELEMENTS // (candidates.shape[1] * codes.shape[1]))
    # Product and sum instead of a matrix product: the rounding of a cosine then does not depend on its position,
    # so equal captions tie exactly and the batch size changes no bit.
    if codes.device.type == "cpu":
        # NumPy does both in one pass on one thread.
        table, own, picked = (x.detach().numpy() for x in (sentences, codes, candidates))
        parts = [slice(start, start + rows) for start in range(0, len(own), rows)]
        found = [np.einsum("bkd,bd->bk", table[picked[part]], own[part]) for part in parts]
        return torch.from_numpy(np.concatenate(found))
    return torch.cat(
        [(sentences[ids] * code[:, None]).sum(-1) for code, ids in zip(codes.split(rows), candidates.split(rows))]
    )


def _ranked(cosines: Tensor, absent: Tensor) -> tuple[Tensor, Tensor]:
    """Whether candidate 0 is among the best, and how many others have its cosine; ``absent`` ones do not count."""
    others = cosines[:, 1:].masked_fill(absent, -torch.inf)
    return cosines[:, 0] >= others.amax(1), (others == cosines[:, :1]).sum(1)


def _equal_rows(table: Tensor) -> Tensor:
    """Group number of each row (N, D), the same for equal rows, int64 (N,)."""
    rows = np.ascontiguousarray(table.cpu().numpy())
    whole = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    return torch.from_numpy(np.unique(whole, return_inverse=True)[1].astype(np.int64)).to(table.device)


def _all_one(mean: Tensor) -> bool:
    """Whether unit vectors (or zeros) with this mean are nearly identical."""
    length = mean.norm().item()
    return length > _COLLAPSED or length == 0


def _guesses(groups: Tensor, absent: Tensor) -> tuple[Tensor, Tensor]:
    """Number of different candidates in each trial, and of those equal to candidate 0.

    Args:
        groups: int64 (B, 1 + K), equal for candidates with equal vectors.
        absent: bool (B, K), candidates that do not count.
    """
    first = groups[:, :1]
    others = torch.where(absent, first, groups[:, 1:])
    ordered = torch.cat([first, others], dim=1).sort(dim=1).values
    different = 1 + (ordered[:, 1:] != ordered[:, :-1]).sum(1)
    return different, ((others == first) & ~absent).sum(1)


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

    All captions of the split are encoded once and passed to :meth:`set_captions`, where trials look up their
    candidates. The candidates of a trial depend only on (seed, caption, draw), and the trials are sorted by draw
    and caption and shuffled with the seed before they are divided into folds, so the value does not depend on
    batches, processes or the order of images.

    Args:
        class_ids: (N,), class of each caption of the split.
        image_ids: (N,), image of each caption.
        candidates: captions per trial, the true one included.
        folds: number of folds over which mean and standard deviation are computed.
        fold_mode: see :func:`fold_statistics`.
        negatives: see :class:`t2igan.metrics.negatives.NegativeCaptions`.
        seed: seed of the candidates and of the shuffling before the folds.
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
        self.candidates, self.folds, self.seed = candidates, folds, seed
        self.fold_mode: FoldMode = fold_mode
        self._captions = len(class_ids)
        self._negatives = NegativeCaptions(class_ids, image_ids, negatives, seed)
        self._sentences: Tensor | None = None
        self._groups = torch.zeros(0, dtype=torch.int64)

    def set_captions(self, sentences: Tensor) -> None:
        """Set the sentence vectors of all captions of the split, once.

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
        self._groups = _equal_rows(self._sentences).cpu()
        self.add_state("code_sum", torch.zeros(sentences.shape[1], dtype=torch.float64), dist_reduce_fx="sum")
        self.code_sum = self.code_sum.to(self.device)

    def update(self, codes: Tensor, caption_ids: Tensor, draws: Tensor, ranked_ids: Tensor | None = None) -> None:
        """Add trials.

        Args:
            codes: (B, D), image vectors.
            caption_ids: int64 (B,), the captions that the images were made from.
            draws: int64 (B,), 0 for the first image of a caption, 1 for the second, ...; no image of a caption may
                come twice.
            ranked_ids: int64 (B,), captions to rank instead of the true ones, for the control.

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
        own, draws = caption_ids.cpu(), draws.cpu()
        ranked = own if ranked_ids is None else ranked_ids.cpu()
        negatives = torch.from_numpy(self._negatives.draw(draws.numpy(), own.numpy(), self.candidates - 1))
        candidates = torch.cat([ranked[:, None], negatives], dim=1)
        unit = _unit(codes)
        cosines = candidate_cosines(unit, self._sentences, candidates.to(codes.device))
        absent = negatives == ranked[:, None]
        best, ties = _ranked(cosines, absent.to(codes.device))
        different, same = _guesses(self._groups[candidates], absent)
        counts = torch.stack([best.cpu(), ties.cpu(), different, same], dim=1)
        self._record(draws * self._captions + own, counts.float())
        self.code_sum += unit.double().sum(0).to(self.code_sum.device)

    def compute(self) -> tuple[Tensor, Tensor]:
        """Mean and population standard deviation over the folds, float64 scalars between 0 and 1.

        Raises:
            UserError: too few trials for the folds, or a trial given twice.
        """
        hits = self.hits()
        for words in self._collapses():
            rank_zero_warn(f"R-precision: {words}")
        return self._folded(hits)

    def estimates(self, replicates: int = 0, seed: int = 0) -> dict[str, Estimate]:
        """The mean over the folds, see :class:`IndexedMetric`."""
        hits = self.hits()
        mean, spread = self._folded(hits)
        resampled = mean_replicates(hits, replicates, seed) if replicates else None
        return {"": Estimate(mean, len(hits), spread, "folds", resampled)}

    def _folded(self, hits: Tensor) -> tuple[Tensor, Tensor]:
        order = np.random.default_rng([_SHUFFLE_STREAM, self.seed]).permutation(len(hits))
        return fold_statistics(hits[torch.from_numpy(order).to(hits.device)], self.folds, self.fold_mode)

    def hits(self) -> Tensor:
        """Success of each trial, float64 (N,): 1 if the caption ranks first, 1 / n in a tie of n captions, else 0.

        Trials are sorted by draw, then by caption. The code of DM-GAN counts a tie as a success, so that an encoder
        that has collapsed scores 100 % there.
        """
        best, ties, _, _ = self._ordered_rows().double().T
        return best / (1 + ties)

    def chance(self) -> Tensor:
        """Expected value of random guessing with these candidates, float64 scalar; equal candidates count once."""
        _, _, different, same = self._ordered_rows().double().T
        return (1 / (different * (1 + same))).mean()

    def notes(self) -> list[str]:
        """Notes to the reader about too few different candidates, or a collapsed encoder."""
        notes, (_, _, different, _) = self._collapses(), self._ordered_rows().T
        negatives, wanted = different.mean().item() - 1, self.candidates - 1
        if negatives < _FEW_NEGATIVES * wanted and not notes:
            notes.append(
                f"a trial has {negatives:.1f} different mismatching captions on average, not {wanted}: "
                "the split is small"
            )
        return notes

    def _collapses(self) -> list[str]:
        assert self._sentences is not None
        rows, notes = self._ordered_rows(), []
        ties = (rows[:, 0] * (rows[:, 1] > 0)).mean().item()
        if ties > _SUSPICIOUS_TIES:
            notes.append(f"{ties:.0%} of the trials are ties, which count as their chance to come first")
        if _all_one(self._sentences.double().mean(0)):
            notes.append("all captions have the same vector: the text encoder has collapsed")
        if len(rows) > 1 and _all_one(self.code_sum / len(rows)):
            notes.append("all images have the same vector: the image encoder has collapsed, or the generator")
        return notes

    def _name_of(self, index: int) -> str:
        draw, caption = divmod(index, self._captions)
        return f"image {draw} of caption {caption}"
