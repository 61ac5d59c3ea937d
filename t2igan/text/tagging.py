"""Word labelling by tf-idf, IBM model 1 and TReCS's constrained HMM (Koh et al., WACV 2021, sec. 3).

Everything works on numbers: words and labels are indices. One narrative is an int64 array of words; what its image
shows is an array of labels. The paper does not spell out how a word's tf-idf in each narrative becomes one weight,
nor the first state's distribution; here the weight is the mean over the narratives that hold the word, and the
first state is uniform over the allowed labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SHARPENING = 10.0
"""Exponent of the transitions in decoding (TReCS)."""


def tfidf_weights(documents: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Mean tf-idf of each item over the documents with it, float64 (size,); 0 for items in no document.

    Args:
        documents: int64 arrays of items below ``size``, each with at least one.
        size: number of items.
    """
    lengths = np.array([len(document) for document in documents])
    owners = np.repeat(np.arange(len(documents)), lengths)
    pairs, counts = np.unique(np.stack([owners, np.concatenate(documents)]), axis=1, return_counts=True)
    holders = np.bincount(pairs[1], minlength=size)
    frequencies = np.bincount(pairs[1], weights=counts / lengths[pairs[0]], minlength=size)
    present = np.maximum(holders, 1)
    return frequencies / present * np.log(len(documents) / present) * (holders > 0)


def ibm_model_1(
    narratives: Sequence[np.ndarray],
    shown: Sequence[np.ndarray],
    words: int,
    labels: int,
    rounds: int = 10,
    smoothing: float = 0.0,
) -> np.ndarray:
    """P(word | label), float64 (labels, words), by expectation maximisation (Brown et al. 1993, model 1).

    A label in no image has a uniform row.

    Args:
        narratives: words of each.
        shown: labels of each narrative's image, each label once.
        words: size of the vocabulary.
        labels: number of labels.
        rounds: rounds of expectation and maximisation, from the uniform table.
        smoothing: added to each expected count of the last round.
    """
    word, label, count, group = _cooccurrences(narratives, shown)
    cells = label * words + word
    table = np.full(labels * words, 1.0 / words)
    for final in [False] * (rounds - 1) + [True]:
        joint = table[cells]
        expected = count * joint / np.bincount(group, weights=joint)[group]
        counts = np.bincount(cells, weights=expected, minlength=labels * words).reshape(labels, words)
        counts += smoothing if final else 0.0
        sums = counts.sum(axis=1, keepdims=True)
        table = np.where(sums > 0, counts / np.where(sums > 0, sums, 1), 1.0 / words).ravel()
    return table.reshape(labels, words)


def _cooccurrences(
    narratives: Sequence[np.ndarray], shown: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Word, label, count and (narrative, word) index of every combination of narrative, word and image label."""
    parts, groups = [], 0
    for narrative, labels in zip(narratives, shown, strict=True):
        word, count = np.unique(narrative, return_counts=True)
        group = groups + np.arange(len(word))
        groups += len(word)
        repeated = [np.repeat(each, len(labels)) for each in (word, count, group)]
        parts.append((repeated[0], np.tile(labels, len(word)), repeated[1], repeated[2]))
    word, label, count, group = (np.concatenate(each) for each in zip(*parts))
    return word, label, count, group


@dataclass(frozen=True)
class LabelHMM:
    """Hidden Markov model with labels as states and words as emissions.

    Attributes:
        emissions: float64 (labels, words), log scores.
        transitions: float64 (labels, labels), log scores of transitions from the row's label to the column's.
    """

    emissions: np.ndarray
    transitions: np.ndarray

    @classmethod
    def of_translations(
        cls, translations: np.ndarray, sequences: Sequence[np.ndarray], words: np.ndarray, labels: np.ndarray
    ) -> "LabelHMM":
        """TReCS's refinement: ``e(w|c)`` of weight times translation, ``t(c'|c)`` of weight times smoothed counts.

        A word of weight 0, i.e. one in every narrative, favours no label. Transition counts are smoothed by one, as
        the translations' counts should be.

        Args:
            translations: (labels, words), of :func:`ibm_model_1` with ``smoothing=1``.
            sequences: noisy labels of the words of each narrative.
            words: (words,), tf-idf weights.
            labels: (labels,), tf-idf weights; those of 0 count as the smallest other one.
        """
        emissions = np.zeros_like(translations)
        telling = words > 0
        emissions[:, telling] = _log_rows(words[telling] * translations[:, telling])
        weights = np.maximum(labels, labels[labels > 0].min())
        return cls(emissions, _log_rows(weights * (_moves(sequences, len(labels)) + 1)))

    @classmethod
    def of_counts(
        cls,
        narratives: Sequence[np.ndarray],
        sequences: Sequence[np.ndarray],
        words: int,
        labels: int,
        smoothing: tuple[float, float] = (0.01, 0.1),
    ) -> "LabelHMM":
        """HMM estimated from labelled narratives, with ``smoothing`` of emissions and transitions."""
        cells = np.concatenate(sequences) * words + np.concatenate(narratives)
        emitted = np.bincount(cells, minlength=labels * words).reshape(labels, words)
        return cls(_log_rows(emitted + smoothing[0]), _log_rows(_moves(sequences, labels) + smoothing[1]))

    def decode(
        self,
        narratives: Sequence[np.ndarray],
        allowed: Sequence[np.ndarray] | None = None,
        exponent: float = SHARPENING,
    ) -> list[np.ndarray]:
        """Viterbi decoding of all narratives at once, in log space.

        Args:
            narratives: words of each.
            allowed: allowed labels of each narrative, at least one; None allows all labels.
            exponent: exponent of the transitions; a large one makes long runs.
        """
        labels = len(self.emissions)
        order = np.argsort([-len(narrative) for narrative in narratives], kind="stable")
        decoded: list[np.ndarray] = [np.empty(0, np.int64)] * len(narratives)
        # Narratives of similar length share a batch, which saves padding.
        for start in range(0, len(order), 512):
            batch = order[start : start + 512]
            states = [np.arange(labels) if allowed is None else np.asarray(allowed[place]) for place in batch]
            paths = self._viterbi([narratives[place] for place in batch], states, exponent)
            for place, path in zip(batch, paths):
                decoded[place] = path
        return decoded

    def _viterbi(self, narratives: list[np.ndarray], states: list[np.ndarray], exponent: float) -> list[np.ndarray]:
        lengths = np.array([len(narrative) for narrative in narratives])
        own = _padded(states, -1)
        forbidden = np.where(own < 0, -np.inf, 0.0)
        own = np.maximum(own, 0)
        words = _padded(narratives, 0)
        moves = exponent * self.transitions[own[:, :, None], own[:, None, :]]
        score = self.emissions[own, words[:, :1]] + forbidden
        back = np.zeros((words.shape[1], *own.shape), np.int16)
        for step in range(1, words.shape[1]):
            reached = score[:, :, None] + moves
            back[step] = reached.argmax(axis=1)
            best = reached.max(axis=1) + self.emissions[own, words[:, step : step + 1]] + forbidden
            score = np.where((step < lengths)[:, None], best, score)
        state = score.argmax(axis=1)
        paths = np.zeros_like(words)
        rows = np.arange(len(words))
        for step in range(words.shape[1] - 1, -1, -1):
            paths[:, step] = own[rows, state]
            state = np.where(step < lengths, back[step, rows, state], state)
        return [path[:length] for path, length in zip(paths, lengths)]


def _padded(rows: Sequence[np.ndarray], fill: int) -> np.ndarray:
    """int64 (rows, longest)."""
    whole = np.full((len(rows), max(len(row) for row in rows)), fill, np.int64)
    for place, row in enumerate(rows):
        whole[place, : len(row)] = row
    return whole


def _moves(sequences: Sequence[np.ndarray], labels: int) -> np.ndarray:
    """Number of times the column's label follows the row's, float64 (labels, labels)."""
    cells = np.concatenate([sequence[:-1] * labels + sequence[1:] for sequence in sequences])
    return np.bincount(cells, minlength=labels * labels).reshape(labels, labels).astype(float)


def _log_rows(scores: np.ndarray) -> np.ndarray:
    """Logarithms of rows normalised to sum 1."""
    return np.log(scores / scores.sum(axis=1, keepdims=True))
