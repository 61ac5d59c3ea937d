"""The lever ``compile``: the same training to rounding, the same checkpoints, resumed with and without it."""

from dataclasses import replace
from functools import partialmethod

import pytest
import torch
from segment_fixture import VOCABULARY
from test_no_waiting import KINDS, ON_SCENES, ToyScenes
from torch import nn
from torch._dynamo.utils import counters

from t2igan.nn.levers import EXACT

COMPILED = replace(EXACT, compile=True)


@pytest.fixture(autouse=True)
def without_a_compiler_of_c(monkeypatch):
    """Graphs are taken and differentiated as ever, and run without the minutes that C++ takes to compile."""
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="aot_eager"))
    torch._dynamo.reset()
    counters.clear()


@pytest.fixture
def trained(birds, damsm_checkpoint, train, tmp_path):
    def run(kind, levers, steps=2, checkpoint=None):
        torch.manual_seed(0)
        module = KINDS[kind](damsm_checkpoint)
        module.levers = levers
        train(module, birds(), checkpoint, max_steps=steps).save_checkpoint(tmp_path / f"{kind}-{steps}.ckpt")
        return module.state_dict()

    return run


def close(one, two):
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(value, two[key], rtol=1e-3, atol=2e-3, msg=key)


@pytest.mark.parametrize("kind", ["ssagan", "attngan", "dfgan", "dmgan"])
def test_compiled_networks_train_as_others(kind, trained):
    plain = trained(kind, EXACT)
    assert not counters["stats"]["unique_graphs"]
    compiled = trained(kind, COMPILED)
    assert counters["stats"]["unique_graphs"]
    close(compiled, plain)


def test_so_does_one_with_conditions_of_places(tiny_encoder, train):
    found = []
    for levers in (EXACT, COMPILED):
        torch.manual_seed(0)
        module = ON_SCENES["spatext"](tiny_encoder)
        module.vocabulary, module.levers = VOCABULARY, levers
        train(module, ToyScenes(), max_steps=2)
        found.append(module.state_dict())
    assert counters["stats"]["unique_graphs"]
    close(*found)


def test_a_run_goes_on_compiled_or_not(trained, tmp_path):
    whole = trained("ssagan", EXACT, 4)
    for first, second in ((EXACT, COMPILED), (COMPILED, EXACT)):
        trained("ssagan", first, 2)
        close(trained("ssagan", second, 4, str(tmp_path / "ssagan-2.ckpt")), whole)
