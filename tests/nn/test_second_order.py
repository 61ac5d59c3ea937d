import pytest
import torch
from torch import nn

from t2igan.losses.gradient_penalty import MAGP
from t2igan.networks.dfgan import OneWayDiscriminator
from t2igan.nn import second_order
from t2igan.nn.levers import EXACT, PLAIN, pull


@pytest.fixture
def discriminator():
    torch.manual_seed(0)
    network = OneWayDiscriminator(16, 4, sentence_dim=6).double()
    for name, parameter in network.named_parameters():
        if name.endswith("gain"):
            nn.init.uniform_(parameter, 0.5, 1)
    return network


def gradients(network, levers, loss):
    pull(network, levers)
    network.zero_grad()
    torch.manual_seed(1)
    images = torch.rand(3, 3, 16, 16, dtype=torch.float64).requires_grad_()
    sentence = torch.randn(3, 6, dtype=torch.float64).requires_grad_()
    value = loss(network.conditional(network(images), sentence), images, sentence)
    value.backward()
    return {"loss": value} | {name: each.grad for name, each in network.named_parameters()}


def plain_sum(logits, images, sentence):
    return logits.square().sum()


def without_the_flag(logits, images, sentence):
    """A second derivative that somebody else takes."""
    slopes = torch.autograd.grad(logits.sum(), (images, sentence), create_graph=True)
    return sum(each.square().sum() for each in slopes)


@pytest.mark.parametrize("loss", [plain_sum, MAGP(), without_the_flag])
def test_gradients_are_those_of_pytorchs_own_layers(loss, discriminator):
    wanted = gradients(discriminator, PLAIN, loss)
    got = gradients(discriminator, EXACT, loss)
    for name, value in wanted.items():
        # No gradient and a gradient of zero are not the same to an optimiser.
        assert (value is None) == (got[name] is None), name
        if value is not None:
            assert torch.allclose(got[name], value, rtol=1e-11, atol=1e-13), name


def test_a_penalty_does_not_go_back_through_the_forward_pass(discriminator, monkeypatch):
    wanted = []
    real = second_order._gradients
    monkeypatch.setattr(second_order, "_gradients", lambda *args: wanted.append(args[-1]) or real(*args))
    gradients(discriminator, EXACT, MAGP())
    convolutions = 1 + 3 * len(discriminator.blocks) + len([0, 2])
    unused = sum(not block.uses_shortcut for block in discriminator.blocks)
    # Each convolution's gradient at its input, and then that gradient's at the weight: nothing else.
    assert wanted.count([True, False, False]) == wanted.count([False, True, False]) == convolutions - unused
    assert len(wanted) == 2 * (convolutions - unused)


def test_a_dilated_convolution_is_differentiated_twice():
    torch.manual_seed(0)
    features, weight = (torch.randn(shape, dtype=torch.float64) for shape in ((2, 3, 7, 7), (4, 3, 3, 3)))
    found = []
    for convolve in (second_order.convolve, torch.nn.functional.conv2d):
        leaves = [each.clone().requires_grad_() for each in (features, weight)]
        once = convolve(*leaves, None, 1, 2, 2).sin().sum()
        slopes = torch.autograd.grad(once, leaves, create_graph=True)
        found.append([once, *slopes, *torch.autograd.grad(slopes[0].square().sum(), leaves)])
        without = convolve(*leaves, None, 1, 2, 2).sin().sum()
        found[-1] += torch.autograd.grad(without, leaves)
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-11, atol=1e-11)
