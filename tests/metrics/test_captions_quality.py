import math

import pytest
import torch
from nltk.translate.bleu_score import corpus_bleu

from t2igan.metrics.captions import CaptionQuality

CAPTIONS = ["a small red bird with a white belly", "this bird is blue and has a long tail"]
REFERENCES = [
    ["a small red bird with white belly and wings", "a red bird"],
    ["this bird has a long blue tail", "this bird is blue and has a short tail"],
]


def test_words_are_held_against_nltks_bleu_and_tokens_against_the_formula():
    quality = CaptionQuality()
    for place, lengths in enumerate(([2], [4])):
        log_probabilities = torch.full((1, 5), -0.5 * (place + 1)).masked_fill(torch.arange(5) >= lengths[0], 0.0)
        quality.update(log_probabilities, torch.tensor(lengths), [CAPTIONS[place]], [REFERENCES[place]])
    found = quality.compute()
    assert found["loss"] == pytest.approx((2 * 0.5 + 4 * 1.0) / 6)
    assert found["perplexity"] == pytest.approx(math.exp(5 / 6))
    words = [[each.split() for each in texts] for texts in REFERENCES]
    assert found["bleu_4"] == pytest.approx(corpus_bleu(words, [each.split() for each in CAPTIONS]), abs=1e-6)


def test_rouge_is_the_mean_over_captions_of_the_nearest_reference():
    quality, token = CaptionQuality(), (torch.zeros(1, 1), torch.ones(1, dtype=torch.int64))
    quality.update(*token, ["a red bird"], [["a small red bird", "green"]])
    quality.update(torch.zeros(2, 1), torch.ones(2, dtype=torch.int64), ["blue", "blue"], [["red"], ["red"]])
    recall, precision = 3 / 4, 1.0  # of the longest common subsequence
    assert quality.compute()["rouge_l"] == pytest.approx(2 * recall * precision / (recall + precision) / 3)
    quality.reset()
    quality.update(*token, ["a red bird"], [["a red bird"]])
    assert quality.compute()["rouge_l"] == pytest.approx(1.0)
