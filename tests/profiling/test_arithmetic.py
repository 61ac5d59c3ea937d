import pytest
import torch
from torch import nn

from t2igan.profiling.arithmetic import FlopsByPart, measure_peaks
from t2igan.profiling.clock import PartClock

CPU = torch.device("cpu")


def counted(compute):
    counter = FlopsByPart(PartClock(CPU))
    with counter:
        compute()
    return sum(counter.flops.values())


def test_a_convolution_and_its_gradients():
    layer, images = nn.Conv2d(3, 8, 3, padding=1), torch.randn(2, 3, 16, 16, requires_grad=True)
    forward = 2 * 2 * 8 * 16 * 16 * 3 * 9
    assert counted(lambda: layer(images)) == forward
    assert counted(lambda: layer(images).sum().backward()) == 3 * forward


def test_the_backward_of_a_backward_is_counted():
    """A gradient penalty: forward, the images' gradient, and the gradients of both."""
    layer, images = nn.Linear(32, 1, bias=False), torch.randn(4, 32, requires_grad=True)
    forward = 2 * 4 * 32

    def penalty():
        (gradient,) = torch.autograd.grad((layer(images) ** 2).sum(), images, create_graph=True)
        gradient.square().sum().backward()

    # layer; its input's gradient; of that: gradients of weight and incoming; of the layer: of weight and images.
    assert counted(penalty) == 6 * forward


@pytest.mark.parametrize("grad", [False, True])
def test_an_lstm(grad):
    layer, words = nn.LSTM(5, 7, batch_first=True, bias=False), torch.randn(3, 11, 5)
    forward = 2 * 3 * 11 * 4 * 7 * (5 + 7)
    with torch.set_grad_enabled(grad):
        assert counted(lambda: layer(words)) == pytest.approx(forward)
    if grad:
        both = counted(lambda: layer(words)[0].sum().backward())
        assert 2 * forward < both <= 3 * forward  # the words need no gradient


def test_peaks_are_rates():
    peaks = measure_peaks(CPU)
    assert set(peaks) == {"convolution", "matrix"} and all(0.1 < rate < 1e6 for rate in peaks.values())
