import pytest
import torch
from torch import nn
from torchvision.models import resnet152

from t2igan.models.damsm import InceptionImageEncoder, SmallImageEncoder
from t2igan.nn.folding import fold_batch_norms


def with_statistics(network):
    """Batch norms that have seen something."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.weight.data, part.bias.data, part.running_mean):
                tensor.uniform_(0.5, 1.5)
            part.running_var.uniform_(0.5, 2)
    return network.double().eval().requires_grad_(False)


def outputs(network, images):
    out = network(images)
    return torch.cat([each.flatten() for each in (out if isinstance(out, tuple) else (out,))])


@pytest.mark.parametrize(
    ("make", "size", "norms"),
    [
        (lambda: SmallImageEncoder(dim=8, channels=4, image_size=32), 32, 4),
        (lambda: InceptionImageEncoder(weights="random"), 64, 94),
        (lambda: resnet152(weights=None), 64, 155),
    ],
)
def test_every_norm_is_folded_and_nothing_changes(make, size, norms):
    torch.manual_seed(0)
    network = with_statistics(make())
    images = torch.rand(2, 3, size, size, dtype=torch.float64, requires_grad=True)
    before = outputs(network, images)
    slope = torch.autograd.grad(before.square().sum(), images)[0]
    assert fold_batch_norms(network) == norms
    assert not [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    after = outputs(network, images)
    assert torch.allclose(after, before, rtol=1e-10, atol=1e-10 * float(before.abs().max()))
    again = torch.autograd.grad(after.square().sum(), images)[0]
    assert torch.allclose(again, slope, rtol=1e-8, atol=1e-9 * float(slope.abs().max()))


def test_what_is_trained_is_refused():
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    with pytest.raises(ValueError, match="frozen"):
        fold_batch_norms(network.eval())
    with pytest.raises(ValueError, match="eval mode"):
        fold_batch_norms(network.train().requires_grad_(False))
