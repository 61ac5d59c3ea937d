from itertools import pairwise

import numpy as np
import pytest

from t2igan.text.tagging import LabelHMM, ibm_model_1, tfidf_weights

WORDS, LABELS = 12, 4


@pytest.fixture
def planted():
    """Narratives in which label c says the words 2c and 2c + 1; words from 8 on are said of everything."""
    rng = np.random.default_rng(0)
    narratives, shown, truth = [], [], []
    for _ in range(200):
        labels = rng.permutation(LABELS)[: rng.integers(2, 4)]
        about = np.repeat(labels, rng.integers(3, 6, len(labels)))
        words = np.where(
            rng.random(len(about)) < 0.4,
            rng.integers(8, WORDS, len(about)),
            2 * about + rng.integers(0, 2, len(about)),
        )
        narratives.append(words)
        shown.append(np.sort(labels))
        truth.append(about)
    return narratives, shown, truth


def test_tfidf_by_hand():
    weights = tfidf_weights([np.array([0, 0, 1]), np.array([0, 2])], 4)
    # 0 is in both documents: ln 1 = 0; 1 is a third of the only one that holds it, 2 a half.
    assert np.allclose(weights, [0, np.log(2) / 3, np.log(2) / 2, 0])


def test_ibm_1_finds_a_planted_dictionary(planted):
    narratives, shown, _ = planted
    table = ibm_model_1(narratives, shown, WORDS, LABELS, rounds=20)
    assert np.allclose(table.sum(axis=1), 1)
    assert all(table[:, word].argmax() == word // 2 for word in range(8))


def test_ibm_1_equals_its_definition_in_loops():
    narratives = [np.array([0, 1, 0]), np.array([1, 2])]
    shown = [np.array([0, 1]), np.array([1])]
    table = np.full((3, 3), 1 / 3)
    for _ in range(3):
        counts = np.zeros((3, 3))
        for words, labels in zip(narratives, shown):
            for word in words:
                for label in labels:
                    counts[label, word] += table[label, word] / table[labels, word].sum()
        sums = counts.sum(axis=1, keepdims=True)
        table = np.divide(counts, sums, out=np.full((3, 3), 1 / 3), where=sums > 0)
    assert np.allclose(ibm_model_1(narratives, shown, 3, 3, rounds=3), table)
    smooth = ibm_model_1(narratives, shown, 3, 3, rounds=1, smoothing=1.0)
    assert np.allclose(smooth[1], (np.array([1.0, 1.5, 1.0]) + 1) / 6.5)


def refined(planted, exponent):
    narratives, shown, truth = planted
    rng = np.random.default_rng(1)
    noisy = [
        np.where(rng.random(len(each)) < 0.3, rng.choice(own, len(each)), each) for each, own in zip(truth, shown)
    ]
    translations = ibm_model_1(narratives, shown, WORDS, LABELS, smoothing=1.0)
    model = LabelHMM.of_translations(
        translations, noisy, tfidf_weights(narratives, WORDS), tfidf_weights(shown, LABELS)
    )
    return model.decode(narratives, shown, exponent), noisy


def agreement(one, two):
    return (np.concatenate(one) == np.concatenate(two)).mean()


def runs(sequences):
    return sum(1 + int((each[1:] != each[:-1]).sum()) for each in sequences)


def test_refinement_is_better_than_what_it_was_made_from(planted):
    _, shown, truth = planted
    decoded, noisy = refined(planted, exponent=1.0)
    assert agreement(decoded, truth) > agreement(noisy, truth) + 0.05
    assert all(set(each) <= set(own) for each, own in zip(decoded, shown))


def test_a_larger_exponent_makes_longer_runs(planted):
    assert runs(refined(planted, 10.0)[0]) < runs(refined(planted, 1.0)[0])


def test_viterbi_is_the_best_of_all_paths():
    rng = np.random.default_rng(2)
    model = LabelHMM(np.log(rng.dirichlet(np.ones(5), 3)), np.log(rng.dirichlet(np.ones(3), 3)))
    narratives = [rng.integers(0, 5, length) for length in (4, 1, 3, 5)]
    allowed = [np.array([0, 1, 2]), np.array([1]), np.array([0, 2]), np.array([0, 1, 2])]
    for words, own, path in zip(narratives, allowed, model.decode(narratives, allowed, exponent=2.0)):

        def score(states, words=words):
            steps = sum(2 * model.transitions[a, b] for a, b in pairwise(states))
            return steps + sum(model.emissions[state, word] for state, word in zip(states, words))

        every = np.stack(np.meshgrid(*[own] * len(words), indexing="ij"), -1).reshape(-1, len(words))
        assert score(path) == pytest.approx(max(score(states) for states in every))
        assert len(path) == len(words)


def test_a_word_of_every_narrative_speaks_for_no_label():
    narratives = [np.array([0, 1]), np.array([0, 2])]
    shown = [np.array([0]), np.array([1])]
    model = LabelHMM.of_translations(
        ibm_model_1(narratives, shown, 3, 2, smoothing=1.0), shown, tfidf_weights(narratives, 3), np.ones(2)
    )
    assert np.ptp(model.emissions[:, 0]) == 0
    assert np.isfinite(model.emissions).all() and np.isfinite(model.transitions).all()
