import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from t2igan.nn.spectral import SpectralConv2d

SHAPE = (4, 6, 3, 2, 1)


@pytest.fixture
def make():
    """Makes a convolution in float64 with several singular values, u and v as drawn: far from converged."""

    def build(**options):
        torch.manual_seed(1)
        conv = SpectralConv2d(*SHAPE, **options).double()
        with torch.no_grad():
            conv.weight_bar.normal_()
            for vector in (conv.weight_u, conv.weight_v):
                vector.copy_(F.normalize(torch.randn_like(vector), dim=0))
        return conv

    return build


@pytest.fixture(params=[8, 4], ids=["more than weights", "fewer than weights"])
def features(request):
    side = request.param
    return torch.randn(2, 4, side, side, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def vectors(conv):
    return torch.cat([conv.weight_u, conv.weight_v]).clone()


def test_division_is_by_the_largest_singular_value_in_the_end(make, features):
    conv = make()
    for _ in range(300):
        drawn = conv(features)
    largest = torch.linalg.matrix_norm(conv.weight_bar.flatten(1), ord=2)
    want = F.conv2d(features, conv.weight_bar / largest, conv.bias, 2, 1)
    assert torch.allclose(drawn, want, rtol=1e-9)


def test_forward_and_gradient_are_those_of_torchs_spectral_norm(make, features):
    """With converged vectors, where the order of the two half steps makes no difference."""
    conv = make()
    theirs = nn.Conv2d(*SHAPE).double()
    theirs.load_state_dict({"weight": conv.weight_bar, "bias": conv.bias})
    theirs = spectral_norm(theirs, n_power_iterations=300)
    for _ in range(300):
        conv(features)
    outputs = [conv(features), theirs(features)]
    for output in outputs:
        (output**2).sum().backward()
    assert torch.allclose(*outputs, rtol=1e-9)
    assert torch.allclose(conv.weight_bar.grad, theirs.parametrizations.weight.original.grad, rtol=1e-9)


def test_a_fresh_convolution_has_norm_one_in_eval_mode_already(features):
    conv = SpectralConv2d(*SHAPE).eval()
    rows = conv.weight_bar.flatten(1)
    assert torch.allclose(rows @ rows.T, torch.eye(6), atol=1e-5)
    want = F.conv2d(features.float(), conv.weight_bar, conv.bias, 2, 1)
    assert torch.allclose(conv(features.float()), want, atol=1e-5)
    assert conv.bias.abs().max() <= 1 / 6


def test_vectors_are_saved_as_parameters_that_no_gradient_moves(make, features):
    conv = make()
    assert list(conv.state_dict()) == ["weight_bar", "bias", "weight_u", "weight_v"]
    conv(features).sum().backward()
    assert {name for name, value in conv.named_parameters() if value.grad is None} == {"weight_u", "weight_v"}


def test_eval_mode_leaves_no_trace(make, features):
    conv = make().eval()
    before, first = vectors(conv), conv(features)
    assert torch.equal(conv(features), first)
    assert torch.equal(vectors(conv), before)
    conv.train()(features)
    assert not torch.equal(vectors(conv), before)


def test_the_legacy_iteration_goes_on_in_eval_mode(make, features):
    conv = make(legacy_power_iteration=True).eval()
    before, first = vectors(conv), conv(features)
    assert not torch.equal(vectors(conv), before)
    assert not torch.allclose(conv(features), first, rtol=1e-3)


@pytest.mark.parametrize("legacy", [False, True])
def test_gradient_of_two_forwards(make, features, legacy):
    """By hand: d(W / sigma) against a fixed G is G / sigma - <G, W> / sigma^2 uv', with whose u and v?"""
    conv = make(legacy_power_iteration=legacy)
    drawn, seen = [], []
    for _ in range(2):
        drawn.append(conv(features).sum())
        seen.append((conv.weight_u.clone(), conv.weight_v.clone()))
    sum(drawn).backward()

    matrix = conv.weight_bar.detach().flatten(1)
    plain = conv.weight_bar.detach().clone().requires_grad_()
    F.conv2d(features, plain, None, 2, 1).sum().backward()
    against, want = plain.grad.flatten(1), torch.zeros_like(matrix)
    for own in seen:
        sigma = own[0] @ matrix @ own[1]
        u, v = seen[-1] if legacy else own
        want += against / sigma - (against * matrix).sum() / sigma**2 * torch.outer(u, v)
    assert torch.allclose(conv.weight_bar.grad.flatten(1), want, rtol=1e-9)


def test_sigma_is_found_in_full_precision_under_autocast(make, features):
    plain, mixed = make().float(), make().float()
    want = plain(features.float())
    with torch.autocast("cpu", torch.bfloat16):
        got = mixed(features.float())
    assert got.dtype == torch.bfloat16
    assert torch.equal(vectors(plain), vectors(mixed))
    assert torch.allclose(got.float(), want, rtol=0.02, atol=0.05)


def test_the_memory_layout_changes_nothing(make, features):
    plain = make()
    other = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    assert torch.allclose(plain(features), other(features), rtol=1e-12)
    assert torch.allclose(vectors(plain), vectors(other), rtol=1e-12)
