import pytest
import torch
import torch.nn.functional as F

from t2igan.nn.convolution import Conv2d, DoublingConv2d, RepeatedConv2d, convolve_by_matrix


def gradients(function, *leaves):
    """What comes out, its gradients, and those of the gradients' squares: penalties differentiate twice."""
    out = function(*leaves)
    target = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    first = torch.autograd.grad((out * target).sin().sum(), leaves, create_graph=True)
    second = torch.autograd.grad(sum(each.square().sum() for each in first), leaves)
    return [out, *first, *second]


def assert_same(one, two):
    for mine, theirs in zip(one, two, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-11, atol=1e-11 * float(theirs.abs().max()))


def leaves(*shapes):
    torch.manual_seed(0)
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (4, 2, 1), (1, 1, 0), (4, 4, 0)])
def test_a_convolution_is_a_matrix_product(kernel, stride, padding):
    given = leaves((2, 3, 8, 8), (4, 3, kernel, kernel), (4,))
    plain = gradients(lambda *args: F.conv2d(*args, stride=stride, padding=padding), *given)
    assert_same(gradients(lambda *args: convolve_by_matrix(*args, stride, padding), *given), plain)


def spied(monkeypatch, name):
    import t2igan.nn.convolution as module

    calls, real = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args: calls.append(1) or real(*args))
    return calls


def test_doubling_is_chosen_by_size_and_only_when_asked_for(monkeypatch):
    calls = spied(monkeypatch, "convolve_doubled")
    convolution = DoublingConv2d(3, 2)
    for merged, side, upsample, wanted in [(0, 8, 1, 0), (1, 4, 1, 0), (1, 8, 0, 0), (1, 8, 1, 1)]:
        convolution.merged = bool(merged)
        out = convolution(torch.zeros(1, 3, side, side), bool(upsample))
        assert out.shape[-1] == (2 * side if upsample else side)
        assert len(calls) == wanted


def test_the_matrix_is_chosen_for_many_weights_on_few_places(monkeypatch):
    calls = spied(monkeypatch, "convolve_by_matrix")
    wide, narrow = Conv2d(512, 512, 4, stride=2, padding=1, bias=False), Conv2d(8, 8, 3, padding=1)
    for convolution, side, asked, wanted in [(wide, 8, 0, 0), (narrow, 4, 1, 0), (wide, 32, 1, 0), (wide, 8, 1, 1)]:
        convolution.by_matrix = bool(asked)
        with torch.no_grad():
            convolution(torch.zeros(2, convolution.in_channels, side, side))
        assert len(calls) == wanted


def test_features_that_stand_twice_are_taken_once():
    torch.manual_seed(0)
    convolution = RepeatedConv2d(6, 4).double()
    given = leaves((2, 3, 5, 5), (4, 6, 3, 3))

    def convolved(features, weight):
        return torch.func.functional_call(convolution, {"weight": weight}, features)

    plain = gradients(lambda features, weight: F.conv2d(torch.cat([features] * 2, 1), weight, padding=1), *given)
    for summed, channels in [(False, 6), (True, 3)]:
        convolution.summed = summed
        assert_same(gradients(convolved, *given), plain)
        assert seen_channels(convolution, given[0]) == channels


def seen_channels(convolution, features):
    """Of the input of the convolution that was computed."""
    saved = convolution(features).grad_fn
    return saved._saved_input.shape[1]


def test_checkpoints_keep_their_keys():
    assert set(RepeatedConv2d(4, 2).state_dict()) == {"weight"}
    assert set(DoublingConv2d(3, 2).state_dict()) == set(torch.nn.Conv2d(3, 2, 3).state_dict())
