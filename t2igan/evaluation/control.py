"""R-precision's control: the same pictures, each under a caption of another class."""

import numpy as np
import torch
from torch import Tensor

from t2igan.evaluation.metric_specs import CLIPRPrecision
from t2igan.evaluation.metric_specs import RPrecision as RPrecisionOptions
from t2igan.metrics.indexed import IndexedMetric
from t2igan.metrics.negatives import NegativeCaptions
from t2igan.metrics.r_precision import fold_statistics, r_precision_hits

# Keeps the control's draws apart from those of the metric that it controls.
SEED_OFFSET = 1_000_003


class ShuffledRPrecision(IndexedMetric):
    """How often a caption that is not the picture's wins against ``candidates - 1`` others that are not either.

    All candidates of a trial, the ranked one included, are of other classes than the picture. None of them is
    distinguished then, however well the judge knows the picture's own class, and the value must be chance,
    1 / candidates. It is above chance where candidates tie, as they do for a judge that has collapsed: ties count
    as success here as they do in R-precision.

    Args:
        class_ids: (N,), class of each caption of the split.
        image_ids: (N,), image of each caption.
        sentences: (N, D), sentence vectors of all captions.
        options: of the R-precision that is controlled.
    """

    def __init__(
        self,
        class_ids: np.ndarray,
        image_ids: np.ndarray,
        sentences: Tensor,
        options: RPrecisionOptions | CLIPRPrecision,
    ) -> None:
        super().__init__()
        self._options, self._sentences = options, sentences
        self._seed = options.seed + SEED_OFFSET
        self._negatives = NegativeCaptions(class_ids, image_ids, options.negatives, self._seed)

    def update(self, codes: Tensor, caption_ids: Tensor, shuffled_ids: Tensor, trial: Tensor) -> None:
        """Add trials.

        Args:
            codes: (B, D), image vectors.
            caption_ids: int64 (B,), the captions that the images were made from.
            shuffled_ids: int64 (B,), captions of other classes, which are ranked in their place.
            trial: int64 (B,), number of each trial.
        """
        count = self._options.candidates - 1
        negatives = self._negatives.draw(trial.cpu().numpy(), caption_ids.cpu().numpy(), count)
        device = codes.device
        hits = r_precision_hits(
            codes, self._sentences, shuffled_ids.to(device), torch.from_numpy(negatives).to(device)
        )
        self._record(trial, hits[:, None])

    def compute(self) -> tuple[Tensor, Tensor]:
        """Mean and population standard deviation over the folds, float64 scalars between 0 and 1."""
        hits = self._ordered_rows()[:, 0]
        order = torch.from_numpy(np.random.default_rng(self._seed).permutation(len(hits)))
        return fold_statistics(hits[order.to(hits.device)], self._options.folds, self._options.fold_mode)

    def hits(self) -> Tensor:
        """float32 (N,), 1 for each trial that was won, in the order of the trials."""
        return self._ordered_rows()[:, 0]
