from types import SimpleNamespace

import pytest
import torch
import torchvision
from golden_fill import fill_module
from torch.nn import functional

from t2igan.metrics.inception import inception_v3, pooled_features, tf1_resize


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 139, 139, generator=torch.Generator().manual_seed(0))


def pooling_of_tensorflow():
    """torch.nn.functional as the TF graph would have it: padding not counted, and the ninth pool a maximum."""
    calls = []

    def avg_pool2d(x, kernel_size, stride, padding):
        calls.append(tuple(x.shape[1:]))
        if len(calls) == 9:
            return functional.max_pool2d(x, kernel_size, stride, padding)
        inside = functional.avg_pool2d(torch.ones_like(x[:1, :1]), kernel_size, stride, padding)
        return functional.avg_pool2d(x, kernel_size, stride, padding) / inside

    patched = SimpleNamespace(**{**vars(functional), "avg_pool2d": avg_pool2d})
    return patched, calls


@torch.no_grad()
def test_pooling_of_the_tensorflow_graph(images, monkeypatch):
    ours = fill_module(inception_v3(1008, tf_pooling=True), gain=1.7).eval()
    plain = fill_module(inception_v3(1008, tf_pooling=False), gain=1.7).eval()
    assert ours.state_dict().keys() == plain.state_dict().keys()
    found, without = pooled_features(ours, images), pooled_features(plain, images)
    patched, calls = pooling_of_tensorflow()
    monkeypatch.setattr(torchvision.models.inception, "F", patched)
    expected = pooled_features(plain, images)
    assert (calls[0], calls[3], calls[8]) == ((192, 15, 15), (768, 7, 7), (2048, 3, 3))
    # Deep random networks hardly tell images apart, so the limit is a share of the difference between two.
    apart = (expected[0] - expected[1]).abs().mean().item()
    assert apart > 1e-3 * expected.std()
    assert (found - expected).abs().max() < 1e-2 * apart
    assert (found - without).abs().mean() > apart


@torch.no_grad()
def test_trunk_is_torchvisions(images):
    network = fill_module(inception_v3(1000, tf_pooling=False), gain=1.7).eval()
    features = pooled_features(network, images)
    assert features.shape == (2, 2048)
    torch.testing.assert_close(network.fc(features), network(images), rtol=1e-5, atol=1e-5)


def test_resize_of_tensorflow_1():
    row = torch.tensor([10.0, 20.0, 40.0])
    image = row.expand(1, 1, 3, 3)
    # output pixel i lies at i * 3 / 6: no half-pixel shift, the last pixel is repeated
    wide = torch.tensor([10.0, 15, 20, 30, 40, 40])
    torch.testing.assert_close(tf1_resize(image, 6), wide.expand(1, 1, 6, 6))
    torch.testing.assert_close(tf1_resize(image.mT, 6), wide.expand(1, 1, 6, 6).mT)
    # reduction by two keeps every second pixel: no antialias
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(tf1_resize(images, 32), images[..., ::2, ::2])
    assert torch.equal(tf1_resize(images, 64), images)
    tall = torch.rand(1, 1, 10, 4)
    assert tf1_resize(tall, 5).shape == (1, 1, 5, 5)
    torch.testing.assert_close(tf1_resize(tall, 5)[..., 0], tall[..., ::2, 0])
