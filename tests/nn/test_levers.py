from dataclasses import fields, replace

import pytest
import torch
from torch import nn

from t2igan.models.damsm import InceptionImageEncoder
from t2igan.models.stream import ResNetCaptionEncoder
from t2igan.nn.convolution import Conv2d, DoublingConv2d, RepeatedConv2d
from t2igan.nn.levers import EXACT, PLAIN, Levers, lay_out, permit_tf32, pull, settle


def pulled(levers):
    return [each.name for each in fields(Levers) if getattr(levers, each.name)]


def test_presets_and_what_is_named_beside_them():
    assert settle("plain", Levers(), cuda=False) == PLAIN and not pulled(PLAIN)
    assert settle("exact", Levers(), cuda=False) == EXACT == settle("fast", Levers(), cuda=False)
    # Which networks gain by a layout was measured on a CPU.
    assert settle("exact", Levers(), cuda=True) == replace(EXACT, channels_last=False, pointwise=False)
    assert {"bf16", "tf32", "compile"}.isdisjoint(pulled(EXACT))
    assert settle("fast", Levers(), cuda=True).bf16
    assert pulled(settle("plain", Levers(doubling=True), cuda=False)) == ["doubling"]
    assert "allocator" not in pulled(settle("exact", Levers(allocator=False), cuda=False))
    assert not settle("fast", Levers(bf16=False), cuda=True).bf16


def test_each_lever_can_be_pulled_alone():
    for lever in fields(Levers):
        assert pulled(settle("plain", Levers(**{lever.name: True}), cuda=False)) == [lever.name]


def test_tf32_is_off_unless_it_is_named():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        for permitted in (True, False):
            permit_tf32(permitted)
            assert torch.backends.cuda.matmul.allow_tf32 is torch.backends.cudnn.allow_tf32 is permitted
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


class Faster(nn.Conv2d):
    faster_channels_last = True


def are_channels_last(*networks):
    return [network.weight.is_contiguous(memory_format=torch.channels_last) for network in networks]


@pytest.mark.parametrize(
    ("chosen", "laid_out"), [(True, [True, True]), (False, [False, False]), (None, [True, False])]
)
def test_parts_that_gain_by_channels_last_choose_it(chosen, laid_out):
    network = nn.Sequential(Faster(4, 4, 3), nn.Conv2d(4, 4, 3))
    lay_out(network, Levers(channels_last=chosen))
    assert are_channels_last(*network) == laid_out


def step_of(encoder, images):
    """What an encoder gives, the slopes of its trained parameters, and its statistics afterwards."""
    torch.manual_seed(0)
    out = encoder(images)
    regions = list(out) if isinstance(out, tuple) else [out]
    sum(part.square().mean() for part in regions).backward()
    slopes = [parameter.grad for parameter in encoder.trainable()]
    return [*regions, *slopes, *encoder.buffers()]


@pytest.mark.parametrize("kind", [InceptionImageEncoder, ResNetCaptionEncoder])
def test_frozen_trunks_do_the_same_step_channels_last(kind):
    torch.manual_seed(0)
    plain = kind(weights="random").double()
    other = kind(weights="random").double()
    other.load_state_dict(plain.state_dict())
    lay_out(other, EXACT)
    images = torch.rand(4, 3, 64, 64, dtype=torch.float64)
    assert not all(are_channels_last(*convolutions(plain))) and all(are_channels_last(*convolutions(other)))
    for ours, theirs in zip(step_of(other, images), step_of(plain, images), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-7, atol=1e-9)


def convolutions(network):
    return [part for part in network.modules() if isinstance(part, nn.Conv2d)]


def backend(convolution, features):
    geometry = convolution.stride, convolution.padding, convolution.dilation
    chosen = torch._C._select_conv_backend(features, convolution.weight, None, *geometry, False, [0, 0], 1)
    return str(chosen).split(".")[-1]


@pytest.fixture
def on_one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch was built without oneDNN")
def test_a_pointwise_convolution_of_a_small_batch_is_onednns(on_one_thread):
    convolution, features = nn.Conv2d(4, 6, 1), torch.randn(2, 4, 5, 5)
    assert backend(convolution, features) == "Slow2d"
    pull(convolution, EXACT)
    assert backend(convolution, features) == "Mkldnn"
    pull(convolution, PLAIN)
    assert backend(convolution, features) == "Slow2d"


@pytest.mark.parametrize("kind", [nn.Conv2d, Conv2d])
@pytest.mark.parametrize("second_order", [False, True])
def test_a_pointwise_convolution_stays_what_it_is(kind, second_order):
    convolution = kind(4, 6, 1, stride=1).double()
    found = []
    for pointwise in (False, True):
        pull(convolution, Levers(pointwise=pointwise, second_order=second_order))
        features = torch.linspace(-1, 1, 200, dtype=torch.float64).view(2, 4, 5, 5).requires_grad_()
        out = convolution(features)
        slopes = torch.autograd.grad(out.sin().sum(), (features, *convolution.parameters()), create_graph=True)
        found.append([out, *slopes, *torch.autograd.grad(slopes[0].square().sum(), convolution.weight)])
    for one, two in zip(*found, strict=True):
        assert torch.allclose(one, two, rtol=1e-12, atol=1e-12)


def test_a_pointwise_convolution_for_second_derivatives_is_onednns_too():
    convolution, features = Conv2d(4, 6, 1), torch.randn(2, 4, 5, 5)
    for pointwise, dilation in [(False, 1), (True, 2)]:
        pull(convolution, Levers(pointwise=pointwise, second_order=True))
        stride, padding, dilated = convolution(features).grad_fn.geometry
        assert (stride, padding, dilated) == (1, 0, dilation)


def test_each_kind_of_convolution_is_told():
    doubling, repeated, plain = DoublingConv2d(4, 2), RepeatedConv2d(4, 2), Conv2d(4, 2, 3)
    for levers in (PLAIN, EXACT, PLAIN):
        for each in (doubling, repeated, plain):
            pull(each, levers)
        told = (doubling.merged, repeated.summed, plain.by_matrix, plain.second_order)
        assert told == (bool(levers.doubling),) * 4


def test_what_is_no_point_keeps_its_dilation():
    wide, strided = nn.Conv2d(4, 6, 3, dilation=3), nn.Conv2d(4, 6, (1, 3))
    for each in (wide, strided):
        pull(each, EXACT)
    assert wide.dilation == (3, 3) and strided.dilation == (1, 1)
