import pytest
import torch

from t2igan.losses.mismatch import mismatched
from t2igan.nn.randomness import StepRandom

CLASSES = torch.tensor([4, 4, 7, 9, 4, 7])
NUMBERS = torch.arange(6.0)[:, None]


def pairs(policy, classes=CLASSES, random=None):
    """(image, caption) of each pair, by their places in the batch."""
    features, sentence = mismatched(NUMBERS, NUMBERS, classes, policy, random)
    return list(zip(features[:, 0].int().tolist(), sentence[:, 0].int().tolist()))


def test_neighbours_are_the_next_captions():
    assert pairs("neighbour") == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]


def test_rolled_pairs_are_all_around():
    assert sorted(pairs("roll")) == sorted((number, (number - 1) % 6) for number in range(6))


@pytest.mark.parametrize("seeded", [True, False])
def test_captions_of_other_classes_are_of_other_classes_and_each_comes(seeded):
    torch.manual_seed(0)
    found = {
        pair for step in range(200) for pair in pairs("other-class", random=StepRandom(0, step) if seeded else None)
    }
    allowed = {(one, two) for one in range(6) for two in range(6) if CLASSES[one] != CLASSES[two]}
    assert found == allowed


def test_one_class_has_no_captions_of_others():
    assert pairs("other-class", torch.full((6,), 3)) == []
