import copy

import pytest
import torch
from torch import nn

from t2igan.nn.in_turn import BatchNorm2d, in_turn, take_turns
from t2igan.nn.synced_norm import separate, synchronise


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("training", [True, False])
def test_parts_of_a_batch_are_normalised_as_in_passes_of_their_own(momentum, training):
    torch.manual_seed(0)
    apart = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, momentum=momentum)).double()
    together = nn.Sequential(copy.deepcopy(apart[0]), BatchNorm2d(4, momentum=momentum)).double()
    together.load_state_dict(apart.state_dict())
    for network in (apart, together):
        network.train(training)
    first, second = torch.randn(2, 3, 5, 5).double(), 3 * torch.randn(3, 3, 5, 5).double() + 1
    passes = [apart(first), apart(second)]
    with in_turn(together, [2, 3]):
        joint = together(torch.cat([first, second]))
    for ours, theirs in zip(joint.split([2, 3]), passes, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    joint.sin().sum().backward()
    sum(out.sin().sum() for out in passes).backward()
    for ours, theirs in zip(together.parameters(), apart.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, rtol=1e-12, atol=1e-12)
    for name, theirs in apart.state_dict().items():
        assert torch.allclose(together.state_dict()[name], theirs, rtol=1e-12, atol=1e-12), name


def test_the_batch_is_one_before_and_afterwards():
    norm = BatchNorm2d(4)
    batch = torch.randn(4, 4, 3, 3)
    whole = norm(batch)
    with pytest.raises(ZeroDivisionError), in_turn(norm, [2, 2]):
        assert not torch.allclose(norm(batch), whole)
        raise ZeroDivisionError
    assert torch.equal(norm(batch), whole)
    assert torch.equal(whole, nn.BatchNorm2d(4)(batch))


def test_who_can_take_turns():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), BatchNorm2d(4))
    assert take_turns(network) and take_turns(nn.Linear(1, 1))
    assert not take_turns(nn.Sequential(network, nn.BatchNorm2d(4)))
    synchronise(network)
    assert not take_turns(network)
    separate(network)
    assert take_turns(network)
