import itertools

import pytest
import torch

from t2igan.nn.randomness import Dropout, Purpose, StepRandom, step_seed


def test_seeds_of_steps_and_devices_differ():
    numbers = list(itertools.product(range(3), range(20), range(4)))
    assert len({step_seed(*each) for each in numbers}) == len(numbers)


def test_a_sample_has_its_own_numbers_however_the_batch_is_cut():
    whole = StepRandom(1, 2).normal(8, 5)
    assert torch.equal(torch.cat([StepRandom(1, 2).normal(4, 5), StepRandom(1, 2, first=4).normal(4, 5)]), whole)
    assert torch.equal(StepRandom(1, 2).after(6).normal(2, 5), whole[6:])
    assert len({tuple(row) for row in whole.tolist()}) == 8


def test_a_narrower_row_begins_a_wider_one():
    wide = StepRandom(1, 2).uniform(3, 50, Purpose.DROPOUT)
    assert torch.equal(StepRandom(1, 2).uniform(3, 20, Purpose.DROPOUT), wide[:, :20])


@pytest.mark.parametrize("other", [StepRandom(2, 2), StepRandom(1, 3), StepRandom(1, 2, 1)])
def test_seed_step_and_place_give_other_numbers(other):
    assert not torch.isclose(other.normal(1, 5), StepRandom(1, 2).normal(1, 5)).any()


def test_purposes_do_not_share_numbers():
    dropout, mismatch = (StepRandom(1, 2).uniform(1, 5, each) for each in (Purpose.DROPOUT, Purpose.MISMATCH))
    assert not torch.isclose(dropout, mismatch).any()


def test_the_first_draws_are_pinned():
    # A change here changes what every training draws.
    random = StepRandom(seed=3, step=5, first=7)
    noise = torch.tensor([[-1.4368, 0.9595, -0.2133], [-0.5337, -0.3550, 0.8519]])
    torch.testing.assert_close(random.normal(2, 3), noise, atol=1e-4, rtol=0)
    dropout = torch.tensor([[0.3058, 0.1775, 0.6314], [0.2736, 0.6614, 0.6815]])
    torch.testing.assert_close(random.uniform(2, 3, Purpose.DROPOUT), dropout, atol=1e-4, rtol=0)
    assert step_seed(3, 5, 1) == 1033000412234423710


def test_dropout_drops_its_share_and_keeps_the_mean():
    layer, values = Dropout(0.3), torch.ones(50, 200)
    dropped = layer(values, StepRandom(0, 0))
    assert torch.equal(dropped, layer(values, StepRandom(0, 0)))
    assert abs((dropped == 0).float().mean() - 0.3) < 0.02 and abs(dropped.mean() - 1) < 0.02
    assert torch.equal(layer.eval()(values, StepRandom(0, 0)), values)
