"""TReCS's label refinement: from noisy word labels to the training labels of a tagger."""

from collections.abc import Sequence

import numpy as np

from t2igan.errors import UserError
from t2igan.layout.labels import COCO_STUFF, VOID, LabelSet
from t2igan.text.tagging import SHARPENING, LabelHMM, ibm_model_1, tfidf_weights


def shown_labels(labels: np.ndarray) -> np.ndarray:
    """Distinct labels of a label map, uint8 (H, W), as int64 (K,)."""
    found = np.unique(labels)
    return found[found != VOID].astype(np.int64)


def refine(
    narratives: Sequence[Sequence[str]],
    noisy: Sequence[np.ndarray],
    shown: Sequence[np.ndarray],
    labels: LabelSet = COCO_STUFF,
    rounds: int = 10,
    exponent: float = SHARPENING,
) -> list[tuple[str, ...]]:
    """Refine the label of every word, by name (Koh et al., WACV 2021, sec. 3).

    tf-idf weights of words and labels, IBM model 1 between narratives and the labels of their images, an HMM whose
    moves are counted on the noisy labels, and Viterbi over the labels that each image shows.

    Args:
        narratives: words of each narrative.
        noisy: int64 (T,), noisy labels of each narrative, see :func:`t2igan.layout.hulls.noisy_labels`.
        shown: labels in the image of each narrative, see :func:`shown_labels`.
        labels: names of the labels.
        rounds: rounds of IBM model 1.
        exponent: exponent of the transitions in decoding.

    Raises:
        UserError: all images show the same labels, which makes them uninformative.
    """
    weights = tfidf_weights(shown, len(labels))
    if not weights.any():
        raise UserError(
            "refinement: all images show the same labels; give narratives of more than one kind of image"
        )
    vocabulary = {word: place for place, word in enumerate(sorted({word for each in narratives for word in each}))}
    rows = [np.array([vocabulary[word] for word in each]) for each in narratives]
    translations = ibm_model_1(rows, shown, len(vocabulary), len(labels), rounds, smoothing=1.0)
    telling = tfidf_weights(rows, len(vocabulary))
    hmm = LabelHMM.of_translations(translations, noisy, telling, weights)
    return [tuple(labels.names[value] for value in row) for row in hmm.decode(rows, shown, exponent)]
