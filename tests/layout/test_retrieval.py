"""Retrieval by tf-idf, and recall."""

import numpy as np
import pytest

from t2igan.layout.retrieval import TfidfIndex, ranking, recall_at

TEXTS = [["a", "red", "bird"], ["a", "dog", "on", "grass"], ["a", "bird", "on", "the", "sea", "sea"]]


def test_rare_words_decide():
    index = TfidfIndex(TEXTS)
    scores = index.scores([["the", "sea"], ["a", "red", "dog", "dog"], ["never", "heard"]])
    assert scores.shape == (3, 3)
    assert ranking(scores)[:2, 0].tolist() == [2, 1]
    assert not scores[2].any()
    assert np.allclose(np.diag(index.scores(TEXTS)), 1)


def test_cosines_agree_with_a_dense_computation():
    words = sorted({word for each in TEXTS for word in each})
    counts = np.array([[each.count(word) for word in words] for each in TEXTS], float)
    idf = np.log((1 + 3) / (1 + (counts > 0).sum(axis=0))) + 1
    vectors = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0) * idf
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.allclose(TfidfIndex(TEXTS).scores(TEXTS), vectors @ vectors.T)


def test_recall_counts_equals_against_the_query():
    scores = np.array([[0.9, 0.1, 0.2], [0.5, 0.4, 0.3], [0.1, 0.1, 0.1]])
    found = recall_at(scores, np.array([0, 1, 2]), ks=(1, 2, 3))
    assert found == pytest.approx({"recall@1": 1 / 3, "recall@2": 2 / 3, "recall@3": 1})


def test_equals_keep_their_order():
    assert ranking(np.array([[0.0, 1.0, 0.0, 1.0]])).tolist() == [[1, 3, 0, 2]]
