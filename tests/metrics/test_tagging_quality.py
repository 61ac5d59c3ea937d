import numpy as np
import pytest

from t2igan.metrics.tagging import content_words, tagging_quality


def test_by_hand():
    true = [np.array([0, 0, 1, 1]), np.array([2, 2])]
    predicted = [np.array([0, 1, 1, 1]), np.array([2, 0])]
    content = [np.array([True, False, True, False]), np.array([False, True])]
    quality = tagging_quality(predicted, true, content)
    assert quality.token_accuracy == pytest.approx(4 / 6)
    # label 0: 1 hit of 2 said and 2 true; 1: 2 of 3 and 2; 2: 1 of 1 and 2
    assert quality.macro_f1 == pytest.approx((2 / 4 + 4 / 5 + 2 / 3) / 3)
    assert quality.content_accuracy == pytest.approx(2 / 3)
    # changes: said after the first word and in the second narrative, true after the second word
    assert quality.boundary_f1 == 0
    assert quality.set_jaccard == pytest.approx((1 + 1 / 2) / 2)


def test_a_perfect_tagger():
    true = [np.array([0, 1, 1])]
    assert set(tagging_quality(true, true, [np.ones(3, bool)]).as_dict().values()) == {1.0}


def test_content_words_have_a_label_of_their_own():
    words = [np.array([0, 0, 0, 1]), np.array([1, 1, 2])]
    tags = [np.array([0, 1, 2, 3]), np.array([3, 4, 5])]
    # 0 has three labels once each, 1 has label 3 twice of three times, 2 always 5, 3 never comes
    assert content_words(words, tags, 4).tolist() == [False, True, True, False]
