import pytest
import torch
import torch.nn.functional as F
from test_convolution import assert_same, gradients, leaves

from t2igan.nn import doubling
from t2igan.nn.doubling import channels_first, channels_last, convolve_doubled, double


@pytest.fixture(params=["as it lies", "turned"])
def turned(request, monkeypatch):
    monkeypatch.setattr(doubling, "SMALLEST_TURNED_SIDE", 1 if request.param == "turned" else 1000)
    return request.param == "turned"


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_doubling_within_the_convolution_changes_nothing_up_to_the_border(size, bias, turned):
    given = leaves((2, 3, size, size), (4, 3, 3, 3), *([(4,)] if bias else []))
    plain = gradients(lambda features, *weights: F.conv2d(double(features), *weights, padding=1), *given)
    merged = gradients(
        lambda features, *weights: convolve_doubled(features, *weights, *[None] * (not bias)), *given
    )
    assert_same(merged, plain)


def test_a_first_derivative_alone_is_the_same(turned):
    """It takes the quick way between the layouts, which a second one cannot."""
    given = leaves((2, 3, 5, 5), (4, 3, 3, 3), (4,))
    target = torch.randn(2, 4, 10, 10, dtype=torch.float64)
    for wanted in (given, given[:1], given[1:2], given[2:]):
        plain = torch.autograd.grad((F.conv2d(double(given[0]), *given[1:], padding=1) * target).sum(), wanted)
        merged = torch.autograd.grad((convolve_doubled(*given) * target).sum(), wanted)
        assert_same(merged, plain)


def test_the_layout_of_the_features_comes_back(turned):
    features, weight = torch.randn(2, 3, 4, 4), torch.randn(5, 3, 3, 3)
    assert convolve_doubled(features, weight, None).is_contiguous()
    laid = features.to(memory_format=torch.channels_last)
    assert convolve_doubled(laid, weight, None).is_contiguous(memory_format=torch.channels_last)


def spied(monkeypatch):
    calls, real = [], doubling.channels_last
    monkeypatch.setattr(doubling, "channels_last", lambda features: calls.append(1) or real(features))
    return calls


def test_only_large_features_that_do_not_lie_so_already_are_turned(monkeypatch):
    calls = spied(monkeypatch)
    monkeypatch.setattr(doubling, "SMALLEST_TURNED_SIDE", 8)
    weight = torch.randn(5, 3, 3, 3)
    for side, layout, wanted in [(4, 0, 0), (8, 1, 0), (8, 0, 1)]:
        features = torch.randn(2, 3, side, side)
        convolve_doubled(features.to(memory_format=torch.channels_last) if layout else features, weight, None)
        assert len(calls) == wanted
    with torch.autocast("cpu", torch.bfloat16):
        assert convolve_doubled(torch.randn(2, 3, 8, 8), weight, None).dtype == torch.bfloat16
    assert len(calls) == 1


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 3, 3), (2, 5, 1, 1), (3, 70, 9, 9)])
@pytest.mark.parametrize("graph", [False, True])
def test_turning_moves_no_value(shape, graph):
    features = torch.randn(shape)
    with torch.set_grad_enabled(graph):
        last = channels_last(features)
        first = channels_first(last)
        sliced = channels_last(torch.cat([features, features], dim=1)[:, : shape[1]])
    assert torch.equal(last, features) and torch.equal(first, features) and torch.equal(sliced, features)
    assert last.is_contiguous(memory_format=torch.channels_last) and first.is_contiguous()
    assert sliced.is_contiguous(memory_format=torch.channels_last)
