"""Activations that are computed again: the same training, bit for bit, in less memory."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from t2igan.errors import UserError
from t2igan.evaluation.identity import experiment_of
from t2igan.models.attngan import AttnGAN, AttnGANGenerator
from t2igan.models.dfgan import DFGAN, DFGANGenerator, DFGANLegacyGenerator, OneWayDiscriminator
from t2igan.models.dmgan import DMGAN, DMGANGenerator
from t2igan.models.spade import SPADEGAN
from t2igan.nn.recomputing import recomputed
from t2igan.text import TextEmbedding

DIM = 16
CASCADE = {"noise_dim": 8, "sentence_dim": DIM, "eps_dim": 4}


@pytest.fixture
def make(small_ssagan, damsm_checkpoint):
    """Makes each kind of GAN, always with the same weights."""

    def module(kind, **options):
        torch.manual_seed(0)
        if kind == "ssagan":
            return small_ssagan(**options)
        if kind in ("attngan", "dmgan"):
            network, gan = {"attngan": (AttnGANGenerator, AttnGAN), "dmgan": (DMGANGenerator, DMGAN)}[kind]
            generator = network(16, 2, 4, 1, **CASCADE)
            return gan(damsm=damsm_checkpoint, generator=generator, discriminator_channels=4, **options)
        network = DFGANGenerator if kind == "dfgan" else DFGANLegacyGenerator
        networks = {
            "generator": network(16, 4, noise_dim=8, sentence_dim=DIM),
            "discriminators": [OneWayDiscriminator(16, 4, sentence_dim=DIM)],
        }
        return DFGAN(damsm=damsm_checkpoint, **networks, **options)

    return module


@pytest.mark.parametrize("kind", ["ssagan", "dfgan", "dfgan-legacy", "attngan", "dmgan"])
def test_the_training_is_the_same_to_the_last_bit(kind, make, train):
    plain, again = make(kind), make(kind, recompute=True)
    for module in (plain, again):
        train(module, max_steps=2)
    for (name, one), other in zip(plain.state_dict().items(), again.state_dict().values()):
        assert torch.equal(one, other), name


@pytest.mark.parametrize("kind", ["ssagan", "attngan"])
def test_what_is_kept_for_the_backward_pass_is_less(kind, make):
    kept = []
    for options in ({}, {"recompute": True}):
        generator, stored = make(kind, **options).generator.train(), {}
        text = TextEmbedding(torch.randn(4, DIM), torch.randn(4, DIM, 5), torch.zeros(4, 5, dtype=torch.bool))
        parameters = {each.data_ptr() for each in generator.parameters()}

        def pack(tensor, stored=stored, parameters=parameters):
            if tensor.data_ptr() not in parameters:
                stored[tensor.data_ptr()] = tensor.untyped_storage()
            return tensor

        with saved_tensors_hooks(pack, lambda tensor: tensor):
            drawn = generator.from_random(torch.randn(4, generator.random_dim), text)
        kept.append(sum(each.nbytes() for each in stored.values()))
        assert drawn.images[-1].requires_grad
    assert kept[1] < 0.5 * kept[0]


def test_statistics_move_once():
    block, features = torch.nn.BatchNorm2d(3), torch.randn(4, 3, 5, 5, requires_grad=True)
    recomputed(block, features).square().sum().backward()
    assert block.num_batches_tracked == 1
    assert torch.allclose(block.running_mean, 0.1 * features.mean((0, 2, 3)), atol=1e-6)


def test_a_generator_that_cannot_is_told(tmp_path):
    with pytest.raises(UserError, match="SPADEGenerator does not support it"):
        SPADEGAN(image_size=16, channels=2, discriminator_channels=2, recompute=True)


def test_it_is_no_other_experiment():
    config = {"model": {"class_path": "SSAGAN", "init_args": {"channels": 4}}}
    again = {"model": {"class_path": "SSAGAN", "init_args": {"channels": 4, "recompute": True}}}
    assert experiment_of(config) == experiment_of(again)
