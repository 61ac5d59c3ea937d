"""Text retrieval by tf-idf, and recall at k."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy import sparse


class TfidfIndex:
    """Texts as unit vectors of log-damped tf-idf weights.

    Args:
        documents: words of each text to search.
    """

    def __init__(self, documents: Sequence[Sequence[str]]) -> None:
        self._columns = {word: place for place, word in enumerate(sorted({w for each in documents for w in each}))}
        held = Counter(word for each in documents for word in set(each))
        holders = np.array([held[word] for word in self._columns], np.float64)
        # Smoothed as in scikit-learn: a word of every text still counts a little.
        self._weights = np.log((1 + len(documents)) / (1 + holders)) + 1
        self._rows = self._vectors(documents)

    def _vectors(self, texts: Sequence[Sequence[str]]) -> sparse.csr_matrix:
        """(N, words), rows of length 1; those of a text without a known word are 0."""
        counts = [Counter(self._columns[word] for word in each if word in self._columns) for each in texts]
        columns = [place for each in counts for place in each]
        values = [1 + np.log(count) for each in counts for count in each.values()]
        starts = np.cumsum([0, *map(len, counts)])
        rows = sparse.csr_matrix((values, columns, starts), shape=(len(texts), len(self._columns)))
        rows = rows.multiply(self._weights[None, :]).tocsr()
        lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)))
        return rows.multiply(1 / np.where(lengths > 0, lengths, 1)).tocsr()

    def scores(self, queries: Sequence[Sequence[str]]) -> np.ndarray:
        """float64 (queries, documents): cosines.

        Args:
            queries: words of each query.
        """
        return np.asarray((self._vectors(queries) @ self._rows.T).todense())


def ranking(scores: np.ndarray) -> np.ndarray:
    """Columns of scores (Q, N) sorted from the highest, int64 (Q, N); ties keep their order."""
    return np.argsort(-scores, axis=1, kind="stable")


def recall_at(scores: np.ndarray, targets: np.ndarray, ks: Sequence[int] = (1, 5, 10)) -> dict[str, float]:
    """Share of the queries whose own image is among the first k, by value name (``recall@1`` ...).

    In a tie the own image ranks last, so that constant scores have recall 0.

    Args:
        scores: (Q, N).
        targets: int64 (Q,), the right column of each query.
        ks: values of k.
    """
    own = scores[np.arange(len(targets)), targets][:, None]
    before = (scores >= own).sum(axis=1) - 1
    return {f"recall@{k}": float((before < k).mean()) for k in ks}
