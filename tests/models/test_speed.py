"""Every lever trains as no lever does: whole steps in float64, to rounding."""

import pytest
import torch

from t2igan.losses.gradient_penalty import MAGP
from t2igan.models import adversarial, gan_step
from t2igan.models.attngan import AttnGAN
from t2igan.models.dfgan import DFGAN
from t2igan.models.dmgan import DMGAN
from t2igan.networks.attngan import AttnGANGenerator
from t2igan.networks.dfgan import DFGANGenerator, OneWayDiscriminator
from t2igan.networks.dmgan import DMGANGenerator
from t2igan.nn import convolution, doubling
from t2igan.nn.images import to_signed
from t2igan.nn.levers import EXACT, PLAIN, Levers, settle

LEVERS = [
    "doubling",
    "repeated",
    "pointwise",
    "by_matrix",
    "folding",
    "fused_adam",
    "channels_last",
    "joint_pass",
    "shared_penalty",
    "second_order",
]


@pytest.fixture
def make(small_ssagan, damsm_checkpoint):
    """Makes each kind of GAN, always with the same weights."""

    def module(kind):
        torch.manual_seed(0)
        if kind == "SSAGAN":
            return small_ssagan(text_mode="joint")
        if kind == "DFGAN":
            networks = {
                "generator": DFGANGenerator(16, 4, noise_dim=8, sentence_dim=16),
                "discriminators": [OneWayDiscriminator(16, 4, sentence_dim=16)],
            }
            return DFGAN(damsm=damsm_checkpoint, penalty=MAGP(separate=False), **networks)
        drawer, model = {"AttnGAN": (AttnGANGenerator, AttnGAN), "DMGAN": (DMGANGenerator, DMGAN)}[kind]
        generator = drawer(16, stages=2, channels=4, noise_dim=8, sentence_dim=16, eps_dim=8)
        return model(damsm=damsm_checkpoint, generator=generator, discriminator_channels=4)

    return module


def trained(module, train, levers):
    module.levers = levers
    trainer = train(module, max_steps=2, precision="64-true")
    return module.state_dict(), {key: float(value) for key, value in trainer.callback_metrics.items()}


@pytest.fixture(autouse=True)
def at_any_size(monkeypatch):
    """Small networks are beneath what the levers are worth."""
    monkeypatch.setattr(convolution, "SMALLEST_DOUBLED_SIDE", 1)
    monkeypatch.setattr(doubling, "SMALLEST_TURNED_SIDE", 1)
    monkeypatch.setattr(convolution, "MANY_WEIGHTS", 1)
    monkeypatch.setattr(convolution, "FEW_PLACES", 10_000)


@pytest.fixture(autouse=True)
def in_double_precision(monkeypatch):
    """In which rounding is told from a difference."""
    for module in (adversarial, gan_step):
        monkeypatch.setattr(module, "to_signed", lambda images: to_signed(images).double())


@pytest.mark.parametrize("kind", ["SSAGAN", "DFGAN", "AttnGAN", "DMGAN"])
@pytest.mark.parametrize("lever", [*LEVERS, "all"])
def test_a_lever_changes_nothing_but_the_time(kind, lever, make, train):
    levers = EXACT if lever == "all" else settle("plain", Levers(**{lever: True}), cuda=False)
    state, logged = trained(make(kind), train, levers)
    plain_state, plain_logged = trained(make(kind), train, PLAIN)
    assert list(state) == list(plain_state)
    assert logged == pytest.approx(plain_logged, rel=1e-9)
    for key, value in plain_state.items():
        assert state[key].shape == value.shape and state[key].dtype == value.dtype
        # Adam's first steps are signs of gradients; where those are zero on paper, rounding decides.
        assert torch.allclose(state[key], value, rtol=1e-7, atol=1e-7), key


@pytest.mark.parametrize("kind", ["SSAGAN", "AttnGAN", "DMGAN"])
def test_real_and_generated_images_share_a_pass_where_nothing_minds(kind, make, train):
    passes = {}
    for joint in (False, True):
        module, seen = make(kind), []
        module.discriminators[0].register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(len(inputs[0])))
        trained(module, train, Levers(**{**vars(PLAIN), "joint_pass": joint}))
        passes[joint] = len(seen), sum(seen)
    # Two steps; with SSA-GAN's penalty, which is a step of its own.
    assert passes[True][1] == passes[False][1]
    assert passes[False][0] - passes[True][0] == (0 if kind == "DMGAN" else 2)
