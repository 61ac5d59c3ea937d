import pytest
import torch
from torch import nn

from t2igan.errors import UserError
from t2igan.networks.dfgan import OneWayDiscriminator
from t2igan.networks.ssagan import SSAGANGenerator
from t2igan.networks.synthesis import Synthesis, check_sentence_dim


def test_a_width_that_does_not_fit_is_named():
    generator = SSAGANGenerator(16, 2, sentence_dim=12)
    check_sentence_dim(12, "x.ckpt", generator, [OneWayDiscriminator(16, 2, 12)])
    with pytest.raises(UserError, match=r"generator: sentence_dim is 12, but the text encoder of x\.ckpt gives 8"):
        check_sentence_dim(8, "x.ckpt", generator, [])
    with pytest.raises(UserError, match=r"discriminators\.0: sentence_dim is 8"):
        check_sentence_dim(12, "x.ckpt", generator, [OneWayDiscriminator(16, 2, 8)])


def test_images_of_a_size_that_is_not_there():
    with pytest.raises(UserError, match=r"images of \[\] px, but 64 px are needed"):
        Synthesis([]).of_size(64)


class Counting(nn.Module):
    """Counts how often it is computed."""

    computed = 0

    def forward(self, value):
        self.computed += 1
        return value.square()


@pytest.mark.parametrize(
    ("recompute", "training", "grad", "computed"),
    [(True, True, True, 2), (False, True, True, 1), (True, False, True, 1), (True, True, False, 1)],
)
def test_a_block_is_computed_again_only_for_a_gradient_in_training(recompute, training, grad, computed):
    generator, block = SSAGANGenerator(16, 2, sentence_dim=12).train(training), Counting()
    generator.keep_activations(not recompute)
    value = torch.ones(3, requires_grad=True)
    with torch.set_grad_enabled(grad):
        found = generator.through(block, value)
    if grad:
        found.sum().backward()
        assert torch.equal(value.grad, 2 * torch.ones(3))
    assert block.computed == computed
