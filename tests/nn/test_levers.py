from dataclasses import fields, replace

import pytest
import torch
from torch import nn

from t2igan.models.damsm import InceptionImageEncoder
from t2igan.models.stream import ResNetCaptionEncoder
from t2igan.nn.levers import EXACT, PLAIN, Levers, lay_out, permit_tf32, settle


def test_presets_and_what_is_named_beside_them():
    assert settle("plain", Levers(), cuda=False) == PLAIN and not PLAIN.pulled
    assert settle("exact", Levers(), cuda=False) == EXACT == settle("fast", Levers(), cuda=False)
    # Which networks gain by a layout was measured on a CPU.
    assert settle("exact", Levers(), cuda=True) == replace(EXACT, channels_last=False)
    assert {"bf16", "tf32", "compile"}.isdisjoint(EXACT.pulled)
    assert settle("fast", Levers(), cuda=True).bf16
    assert settle("plain", Levers(doubling=True), cuda=False).pulled == ["doubling"]
    assert "allocator" not in settle("exact", Levers(allocator=False), cuda=False).pulled
    assert not settle("fast", Levers(bf16=False), cuda=True).bf16


def test_each_lever_can_be_pulled_alone():
    for lever in fields(Levers):
        assert settle("plain", Levers(**{lever.name: True}), cuda=False).pulled == [lever.name]


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
