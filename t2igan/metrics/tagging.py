"""Quality of word labels."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class TaggingQuality:
    """Measures between 0 and 1, higher is better.

    Attributes:
        token_accuracy: share of words with the right label.
        macro_f1: mean F1 over the labels in the reference.
        content_accuracy: ``token_accuracy`` over content words alone.
        boundary_f1: F1 of the positions where the label changes.
        set_jaccard: Jaccard index of the label sets, mean over narratives; relevant for composition.
    """

    token_accuracy: float
    macro_f1: float
    content_accuracy: float
    boundary_f1: float
    set_jaccard: float

    def as_dict(self) -> dict[str, float]:
        """The measures by name."""
        return asdict(self)


def tagging_quality(
    predicted: Sequence[np.ndarray], true: Sequence[np.ndarray], content: Sequence[np.ndarray]
) -> TaggingQuality:
    """Compare labels of words.

    Args:
        predicted: int64 (T,) of each narrative.
        true: reference labels, int64 (T,) of each narrative.
        content: bool (T,) of each narrative, True for content words.
    """
    guess, wanted, telling = (np.concatenate(each) for each in (predicted, true, content))
    right = guess == wanted
    f1 = [_f1(*(float(each.sum()) for each in (right & (wanted == label), guess == label, wanted == label)))
          for label in np.unique(wanted)]  # fmt: skip
    hits, said, there = np.sum([_boundaries(one, two) for one, two in zip(predicted, true)], axis=0)
    sets = [(set(one.tolist()), set(two.tolist())) for one, two in zip(predicted, true)]
    return TaggingQuality(
        token_accuracy=float(right.mean()),
        macro_f1=float(np.mean(f1)),
        content_accuracy=float(right[telling].mean()) if telling.any() else float("nan"),
        boundary_f1=_f1(hits, said, there),
        set_jaccard=float(np.mean([len(one & two) / len(one | two) for one, two in sets])),
    )


def content_words(
    words: Sequence[np.ndarray], tags: Sequence[np.ndarray], size: int, share: float = 0.5
) -> np.ndarray:
    """Words whose most frequent label covers at least ``share`` of their uses, bool (size,).

    Args:
        words: words of each training narrative.
        tags: their labels.
        size: size of the vocabulary.
        share: see above.
    """
    cells, counts = np.unique(np.stack([np.concatenate(words), np.concatenate(tags)]), axis=1, return_counts=True)
    most = np.zeros(size, np.int64)
    np.maximum.at(most, cells[0], counts)
    uses = np.bincount(cells[0], weights=counts, minlength=size)
    return (uses > 0) & (most >= share * uses)


def _boundaries(predicted: np.ndarray, true: np.ndarray) -> tuple[int, int, int]:
    """Number of positions where both change, where the prediction changes, and where the truth changes."""
    said, there = predicted[1:] != predicted[:-1], true[1:] != true[:-1]
    return int((said & there).sum()), int(said.sum()), int(there.sum())


def _f1(hits: float, said: float, there: float) -> float:
    return 2 * hits / (said + there) if said + there else 1.0
