import pytest
import torch
from layout_fixture import told

from t2igan.networks.layout_discriminators import FPSEDiscriminator, PatchDiscriminator


@pytest.mark.parametrize(
    "discriminator", [PatchDiscriminator(32, 4), PatchDiscriminator(32, 4, scale=2), FPSEDiscriminator(32, 4)]
)
def test_discriminators_see_image_and_layout(discriminator):
    images, layout = torch.rand(2, 3, 32, 32), torch.zeros(2, 32, 32, dtype=torch.uint8)
    discriminator.eval()
    maps, others = (discriminator.condition(told(each)) for each in (layout, layout + 7))
    verdict = discriminator.verdict(images, maps)
    assert verdict.conditional.shape[0] == 2
    assert torch.equal(verdict.layers[-1].flatten(1), verdict.conditional)
    assert not torch.allclose(verdict.conditional, discriminator.conditional(images, others))
    assert not torch.allclose(verdict.conditional, discriminator.conditional(images.flip(3), maps))


def test_scales_of_the_pyramid_count_alike():
    discriminator = FPSEDiscriminator(64, 2).eval()
    maps = discriminator.condition(told(torch.zeros(1, 64, 64, dtype=torch.uint8)))
    logits = discriminator.verdict(torch.rand(1, 3, 64, 64), maps).layers[-1]
    assert logits.shape == (1, 3, 16, 16)
    assert torch.equal(logits[:, 0, ::4, ::4], logits[:, 0, 3::4, 3::4])  # the coarsest scale, repeated
