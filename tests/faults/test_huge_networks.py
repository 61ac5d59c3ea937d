"""A checkpoint of a few kB that describes networks which fill the memory: refused before they are there."""

import copy

import pytest
import torch
from bad_input import judge
from torch import nn

from t2igan.errors import UserError
from t2igan.models.digest import seal
from t2igan.nn.bounded import NoLargerThan

SIZES = (10**5, 10**8, 2**31, 10**30)


def numbers(content, path=()):
    """Where whole numbers stand in plain data."""
    items = (
        content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    )
    for key, value in items:
        if isinstance(value, int) and not isinstance(value, bool):
            yield (*path, key)
        yield from numbers(value, (*path, key))


def put(content, path, value):
    """``content`` with another value in one place."""
    changed = copy.deepcopy(content)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize("name", ["ssagan", "damsm"])
def test_every_size_that_a_checkpoint_names(good_input, tally, name):
    probe = tally("a checkpoint that describes huge networks: one line, under 10 s, under 1 GB")
    whole = torch.load(f"{name}.ckpt", weights_only=True)
    for path in numbers(whole["t2igan"]["config"]):
        for size in SIZES:
            own = whole["t2igan"] | {"config": put(whole["t2igan"]["config"], path, size)}
            huge = whole | {"t2igan": own}
            seal(huge)
            torch.save(huge, "huge.ckpt")
            outcome = judge(
                "sample", "--checkpoint", "huge.ckpt", "--caption", "a red bird", "--n", 1, "--out", "out"
            )
            fault = outcome.fault(["huge.ckpt"], may_work=True)
            probe.note(not fault, f"{path} {size}: {fault}")
    probe.check()


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
