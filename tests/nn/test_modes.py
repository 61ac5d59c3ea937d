import pytest
import torch
from torch import nn

from t2igan.nn.modes import evaluating, frozen


def partly_trained():
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    module[0].bias.requires_grad_(False)
    return module


def test_frozen_weights_get_no_gradient_but_pass_it_on():
    module, given = partly_trained(), torch.ones(1, 2, requires_grad=True)
    with frozen(module):
        module(given).sum().backward()
    assert module[0].weight.grad is None
    assert given.grad is not None


def test_what_was_trained_is_trained_again_and_nothing_else():
    module = partly_trained()
    with frozen(module):
        assert not any(parameter.requires_grad for parameter in module.parameters())
    assert module[0].weight.requires_grad
    assert not module[0].bias.requires_grad


def test_frozen_ends_with_an_error_too():
    module = partly_trained()
    with pytest.raises(RuntimeError), frozen(module):
        raise RuntimeError
    assert module[0].weight.requires_grad


def test_every_part_returns_to_the_mode_it_was_in():
    module = partly_trained().train()
    module[1].eval()
    with evaluating(module):
        assert not module[0].training
    assert module[0].training
    assert not module[1].training
