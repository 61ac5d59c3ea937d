import pytest
import torch
import torch.nn.functional as F

from t2igan.nn.convolution import double
from t2igan.nn.one_way import DownBlock, stage_widths


def test_widths_double_down_to_4x4():
    assert stage_widths(256, 32, widest=8) == [32, 64, 128, 256, 256, 256, 256]
    assert stage_widths(256, 64, widest=16) == [64, 128, 256, 512, 1024, 1024, 1024]
    assert stage_widths(4, 3, widest=8) == [3]


@pytest.mark.parametrize("size", [0, 2, 3, 96, -8])
def test_sizes_that_halving_does_not_bring_to_4_are_refused(size):
    with pytest.raises(ValueError, match=f"power of two and at least 4, not {size}"):
        stage_widths(size, 8, widest=8)


def test_each_pixel_is_repeated():
    features = torch.arange(4.0).view(1, 1, 2, 2)
    assert double(features)[0, 0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]


@pytest.mark.parametrize("out_channels", [4, 8])
def test_down_block_is_a_pooled_shortcut_plus_a_gated_residual(out_channels):
    torch.manual_seed(0)
    block, features = DownBlock(4, out_channels).double(), torch.randn(2, 4, 8, 8, dtype=torch.float64)
    # The order of the released code: the 1x1 convolution before pooling.
    shortcut = F.avg_pool2d(features if out_channels == 4 else block.shortcut(features), 2)
    assert torch.allclose(block(features), shortcut, atol=1e-12)
    torch.nn.init.constant_(block.gain, 0.7)
    assert torch.allclose(block(features), shortcut + 0.7 * block.residual(features), atol=1e-12)


def test_equal_widths_keep_an_unused_convolution():
    block = DownBlock(4, 4)
    block(torch.randn(1, 4, 8, 8)).sum().backward()
    assert block.shortcut.weight.shape == (4, 4, 1, 1) and block.shortcut.weight.grad is None
    assert block.gain.grad is not None
