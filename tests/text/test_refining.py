"""The whole refinement on narratives whose true labels are known."""

import numpy as np
import pytest

from t2igan.errors import UserError
from t2igan.layout.labels import LabelSet
from t2igan.text.refining import refine, shown_labels

LABELS = LabelSet(("dog", "bird", "boat", "sky", "grass", "sea"), 3)
NOUNS = {"dog": "terrier", "bird": "gull", "boat": "ship", "sky": "clouds", "grass": "meadow", "sea": "waves"}


def narratives(count, wrong):
    """Words, true and noisy labels of narratives that tell of three labels of each image, one after the other."""
    generator = np.random.default_rng(0)
    words, true, noisy, shown = [], [], [], []
    for _ in range(count):
        own = generator.permutation(len(LABELS))[:4]
        said, tags = [], []
        for label in own[:3]:
            said += ["we", "see", "the", NOUNS[LABELS.names[label]]]
            tags += [label] * 4
        words.append(said)
        true.append(np.array(tags))
        shown.append(own)
        other = own[generator.integers(4, size=3)]
        noisy.append(np.where(generator.random(3) < wrong, other, own[:3]).repeat(4))
    return words, true, noisy, shown


def accuracy(rows, true, of):
    return np.mean((np.concatenate(rows) == np.concatenate(true))[np.concatenate(of)])


def test_refinement_mends_wrong_hulls():
    words, true, noisy, shown = narratives(300, wrong=0.3)
    # Runs of four words are too short for the exponent of TReCS.
    refined = refine(words, noisy, shown, LABELS, exponent=1.0)
    rows = [np.array([LABELS.value(tag) for tag in row]) for row in refined]
    nouns = [np.array([word in NOUNS.values() for word in row]) for row in words]
    assert accuracy(noisy, true, nouns) < 0.85
    assert accuracy(rows, true, nouns) > 0.99
    assert all(set(row) <= set(own) for row, own in zip(rows, shown))


def test_images_that_all_show_the_same_are_refused():
    words, _, noisy, _ = narratives(5, wrong=0.0)
    with pytest.raises(UserError, match="same labels"):
        refine(words, noisy, [np.arange(6)] * 5, LABELS)


def test_void_is_no_label():
    assert shown_labels(np.array([[255, 3], [3, 0]], np.uint8)).tolist() == [0, 3]
