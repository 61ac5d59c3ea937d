import pytest
import torch
from torch import nn
from torchvision.models import vgg19

from t2igan.errors import UserError
from t2igan.losses.adversarial import Logits
from t2igan.models.generator_losses import Discriminated, GeneratorView
from t2igan.models.layout_losses import FeatureMatching, VGGLoss
from t2igan.networks.dfgan import OneWayDiscriminator
from t2igan.networks.synthesis import Synthesis

SIZE = 16


class Shown(nn.Module):
    """Shows layers that are the images times 1, 2 and 1000."""

    image_size, adversarial_weight = SIZE, 0.5

    def verdict(self, images, condition):
        return Logits(images.flatten(1), layers=(images, 2 * images, 1000 * images))


def view_of(discriminator, generated, real):
    discriminated = [Discriminated(discriminator, discriminator.verdict(generated, None), None)]
    return GeneratorView(Synthesis([generated]), None, None, None, lambda size: real, discriminated)


def test_feature_matching_leaves_the_last_layer_out():
    generated, real = torch.zeros(2, 3, SIZE, SIZE), torch.ones(2, 3, SIZE, SIZE)
    assert FeatureMatching(10.0)(view_of(Shown(), generated, real)).item() == pytest.approx(10 * 0.5 * (1 + 2))


def test_feature_matching_refuses_a_discriminator_that_shows_no_layers():
    images = torch.zeros(2, 3, SIZE, SIZE)
    discriminator = OneWayDiscriminator(SIZE, 2, sentence_dim=4)
    view = GeneratorView(
        Synthesis([images]),
        None,
        None,
        None,
        lambda size: images,
        [Discriminated(discriminator, discriminator.verdict(images, torch.zeros(2, 4)), torch.zeros(2, 4))],
    )
    with pytest.raises(UserError, match="OneWayDiscriminator returns no layers"):
        FeatureMatching()(view)


def test_vgg_loss_needs_its_file_and_is_zero_for_equal_images(tmp_path):
    with pytest.raises(UserError, match=r"none\.pth does not exist; download https://.*vgg19.*pth there"):
        VGGLoss(str(tmp_path / "none.pth")).prepare([])
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth is not vgg19"):
        VGGLoss(str(tmp_path / "other.pth")).prepare([])
    torch.manual_seed(0)
    torch.save(vgg19(weights=None).features.state_dict(prefix="features."), tmp_path / "vgg19.pth")
    loss = VGGLoss(str(tmp_path / "vgg19.pth"))
    loss.prepare([])
    generated, real = torch.rand(1, 3, 32, 32, requires_grad=True), torch.rand(1, 3, 32, 32)
    view = GeneratorView(Synthesis([generated]), None, None, None, lambda size: real)
    loss(view).backward()
    assert generated.grad.abs().sum() > 0
    view.real = lambda size: generated
    assert loss(view).item() == 0
    assert set(loss.inputs) == {"vgg"}
