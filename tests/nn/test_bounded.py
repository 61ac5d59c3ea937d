import pytest
import torch
from torch import nn

from t2igan.errors import UserError
from t2igan.nn.bounded import NoLargerThan, refuse_what_no_memory_holds


@pytest.mark.parametrize(
    "build",
    [lambda: nn.Linear(10**5, 10**5), lambda: nn.Embedding(10**9, 300), lambda: torch.zeros(10**9)],
    ids=["linear", "embedding", "zeros"],
)
def test_a_tensor_is_refused_before_it_is_there(build):
    with pytest.raises(UserError, match="far larger than its weights"), NoLargerThan([torch.zeros(100)]):
        build()


def test_millions_of_layers():
    with pytest.raises(UserError, match="far larger than its weights"), NoLargerThan([torch.zeros(100)]):
        nn.ModuleList(nn.Linear(1, 1) for _ in range(10**6))


def test_networks_as_large_as_their_weights():
    weights = nn.Linear(5000, 5000).state_dict()
    with NoLargerThan(weights.values()):
        assert nn.Linear(5000, 5000).weight.numel() == 25_000_000


def test_counting_makes_nothing_and_draws_nothing():
    """A configuration that fits goes through to its end, without a number in it, and the same training follows."""
    made, state = [], torch.get_rng_state()
    refuse_what_no_memory_holds(lambda: made.append(nn.Linear(20_000, 20_000)), "too large")
    assert made[0].weight.is_meta
    assert torch.get_rng_state().equal(state)
