import json
from functools import partial

import pytest
import torch
from golden_fill import GOLDEN_FOLDER, compare, fill_input, fill_module, load_case
from torch import nn

from t2igan.errors import UserError
from t2igan.interop.kinds import official_name
from t2igan.models import dfgan, ssagan
from t2igan.models.dfgan import DFGAN
from t2igan.models.ssagan import SSAGAN
from t2igan.models.suite_module import load_module
from t2igan.networks.dfgan import (
    Affine,
    DFGANGenerator,
    DFGANLegacyGenerator,
    OneWayDiscriminator,
    one_way_discriminators,
)
from t2igan.nn.average import WeightAverage
from t2igan.nn.config import build, config_of
from t2igan.text import TextEmbedding

# Relative limit of float32 gradients (float64 is the sharp test). Much cancels in the gradient of a block's gain:
# on one kind of CPU the original itself is 2e-2 away from what was recorded on another.
GRADIENT_NOISE = 5e-2
PRECISIONS = [torch.float32, torch.float64]
# Current discriminators are two networks in the released container: fill them under those networks' own keys.
CURRENT_D = partial(official_name, "dfgan-discriminator")
DIM = 16


def own_key(name):
    return CURRENT_D(name).partition(".")[2]


def embedding(sentence):
    words = torch.zeros(len(sentence), sentence.shape[1], 1, dtype=sentence.dtype)
    return TextEmbedding(sentence, words, torch.zeros(len(sentence), 1, dtype=torch.bool))


def recorded_input(case, name, dtype):
    spec = case["inputs"][name]
    array = fill_input(name, spec["shape"], spec["kind"], spec.get("scale", 1.0))
    return torch.from_numpy(array).to(dtype).requires_grad_()


def assert_numbers(recorded, measured, dtype, noise=GRADIENT_NOISE):
    """Each recorded [float32, float64, tolerance] against the measured number of the same name."""
    assert set(recorded) == set(measured)
    for name, (single, double, tolerance) in recorded.items():
        if dtype == torch.float64:
            want, limit = double, max(1e-9 * abs(double), 1e-12)
        else:
            want, limit = single, max(tolerance, noise * abs(single))
        assert abs(float(measured[name]) - want) <= limit, name


def gradient_norms(module, rename):
    return {
        rename(name): 0.0 if parameter.grad is None else parameter.grad.double().norm().item()
        for name, parameter in module.named_parameters()
    }


def moved(network):
    """With all that training starts from at zero or one moved away from there."""
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network


GENERATORS = [
    ("dfgan", "netG_nf8_64", DFGANGenerator),
    ("dfgan", "netG_nf8_256", DFGANGenerator),
    pytest.param("dfgan", "netG_nf32_256", DFGANGenerator, marks=pytest.mark.wide),
    ("dfgan_legacy", "netG_nf4_256", DFGANLegacyGenerator),
]


@pytest.mark.parametrize(("component", "name", "network"), GENERATORS)
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_generator_equals_the_original(component, name, network, dtype):
    case = load_case(component, name)
    rename = partial(official_name, component.replace("_", "-") + "-generator")
    generator = network(case["config"]["imsize"], case["config"]["ngf"]).to(dtype)
    fill_module(generator, rename)
    noise, sentence, weight = (recorded_input(case, key, dtype) for key in ("noise", "sent_emb", "grad_image"))

    generated = generator(noise, embedding(sentence))
    (generated.images[0] * weight).sum().backward()

    assert compare(case["outputs"]["image"], generated.images[0], float64=dtype == torch.float64) == []
    norms = gradient_norms(generator, rename)
    norms |= {"noise": noise.grad.double().norm(), "sent_emb": sentence.grad.double().norm()}
    assert_numbers(case["grads"], norms, dtype)


@pytest.mark.parametrize(
    ("component", "name", "widest"), [("dfgan", "netD_netC_nf32_256", 8), ("dfgan_legacy", "netD_nf4_256", 16)]
)
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_discriminator_equals_the_original(component, name, widest, dtype):
    case = load_case(component, name)
    legacy = partial(official_name, "dfgan-legacy-discriminator")
    discriminator = OneWayDiscriminator(256, case["config"]["ndf"], widest=widest).to(dtype)
    fill_module(discriminator, own_key if component == "dfgan" else legacy)
    images, sentence, weight = (recorded_input(case, key, dtype) for key in ("images", "sent_emb", "grad_out"))

    features = discriminator(images)
    logits = discriminator.conditional(features, sentence)
    (logits * weight.flatten()).sum().backward()

    float64 = dtype == torch.float64
    assert compare(case["outputs"]["features"], features, float64=float64) == []
    assert compare(case["outputs"]["logits"], logits.view(-1, 1, 1, 1), float64=float64) == []
    norms = gradient_norms(discriminator, CURRENT_D if component == "dfgan" else legacy)
    norms |= {"images": images.grad.double().norm(), "sent_emb": sentence.grad.double().norm()}
    assert_numbers(case["grads"], norms, dtype)


def manifest(name, *modules):
    """Keys and shapes of released networks; of several, under the container's names."""
    listed = json.loads((GOLDEN_FOLDER / "manifests" / f"{name}.json").read_text())["modules"]
    prefixes = [f"net{module[3]}." if len(modules) > 1 else "" for module in modules]
    return {
        prefix + key: shape
        for prefix, module in zip(prefixes, modules)
        for key, (shape, _) in listed[module]["state"].items()
    }


@pytest.mark.parametrize(
    ("kind", "make", "released"),
    [
        ("dfgan-generator", DFGANGenerator, ("dfgan", "NetG nf=32 imsize=256")),
        (
            "dfgan-discriminator",
            partial(OneWayDiscriminator, channels=32, widest=8),
            ("dfgan", "NetD nf=32 imsize=256", "NetC nf=32"),
        ),
        ("dfgan-legacy-generator", DFGANLegacyGenerator, ("dfgan_legacy", "NetG nf=32")),
        (
            "dfgan-legacy-discriminator",
            partial(OneWayDiscriminator, channels=32),
            ("dfgan_legacy", "NetD nf=32"),
        ),
    ],
)
def test_tensors_are_those_of_the_released_checkpoint(kind, make, released):
    with torch.device("meta"):
        own = make().state_dict()
    shapes = {official_name(kind, key): list(value.shape) for key, value in own.items()}
    assert len(shapes) == len(own)
    assert shapes == manifest(*released)


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (DFGANGenerator, 9_744_131),
        (partial(OneWayDiscriminator, channels=32, widest=8), 6_619_206 + 295_936),
        (DFGANLegacyGenerator, 12_240_010),
        (partial(DFGANLegacyGenerator, channels=64), 31_480_074),
        (partial(OneWayDiscriminator, channels=32), 20_170_566),
        (partial(OneWayDiscriminator, channels=64), 80_379_526),
    ],
)
def test_number_of_parameters(make, parameters):
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in make().parameters()) == parameters


def test_affine_is_the_identity_at_the_start_and_a_function_of_the_condition_later():
    affine = Affine(channels=6, condition_dim=5, hidden=4)
    features, condition = torch.randn(2, 6, 3, 3), torch.randn(2, 5)
    assert torch.equal(affine(features, condition), features)
    moved(affine)
    gamma, beta = affine.gamma(condition), affine.beta(condition)
    want = features * gamma.view(2, 6, 1, 1) + beta.view(2, 6, 1, 1)
    assert torch.allclose(affine(features, condition), want, atol=1e-6)
    assert not torch.allclose(affine(features, condition), affine(features, condition + 1), atol=1e-4)


@pytest.mark.parametrize("network", [DFGANGenerator, DFGANLegacyGenerator])
def test_the_caption_does_not_act_before_training_and_acts_later(network):
    generator = network(image_size=16, channels=4, sentence_dim=8)
    noise, one, other = torch.randn(2, 100), embedding(torch.randn(2, 8)), embedding(torch.randn(2, 8))
    assert torch.equal(generator(noise, one).images[0], generator(noise, other).images[0])
    moved(generator)
    assert not torch.allclose(generator(noise, one).images[0], generator(noise, other).images[0], atol=1e-4)


def test_legacy_residuals_are_off_at_the_start_and_current_ones_are_not():
    legacy, current = DFGANLegacyGenerator(32, channels=4), DFGANGenerator(32, channels=4)
    assert all(block.gain == 0 for block in legacy.blocks)
    assert all(block.gain is None for block in current.blocks)
    assert all(block.gain == 0 for block in OneWayDiscriminator(32, channels=4).blocks)
    noise, text = torch.randn(1, 100), embedding(torch.randn(1, 256))
    with torch.no_grad():
        flat = legacy.blocks[0](legacy.fc(noise).view(1, -1, 4, 4), text.sentence, upsample=False)
        assert torch.equal(flat, legacy.fc(noise).view(1, -1, 4, 4))
        before = current(noise, text).images[0]
        current.blocks[0].fuse2.conv.bias += 1
        assert not torch.allclose(before, current(noise, text).images[0], atol=1e-4)


@pytest.mark.parametrize("network", [DFGANGenerator, DFGANLegacyGenerator])
def test_an_image_does_not_depend_on_its_batch(network):
    torch.manual_seed(0)
    generator = moved(network(image_size=32, channels=4))
    noise, sentence = torch.randn(5, 100), torch.randn(5, 256)
    whole = generator(noise, embedding(sentence)).images[0]
    order = torch.tensor([3, 0, 4])
    part = generator(noise[order], embedding(sentence[order])).images[0]
    assert torch.allclose(whole[order], part, atol=1e-6)


@pytest.mark.parametrize("size", [8, 16, 64])
@pytest.mark.parametrize("network", [DFGANGenerator, DFGANLegacyGenerator])
def test_sizes_other_than_the_papers(network, size):
    generator = network(image_size=size, channels=4, sentence_dim=8)
    generated = generator(torch.randn(2, 100), embedding(torch.randn(2, 8)))
    assert generator.image_sizes == [size] and generated.images[0].shape == (2, 3, size, size)
    discriminator = OneWayDiscriminator(image_size=size, channels=4, sentence_dim=8, widest=8)
    assert discriminator.conditional(discriminator(generated.images[0]), torch.randn(2, 8)).shape == (2,)


def test_an_image_without_a_block_is_refused():
    with pytest.raises(ValueError, match="at least 8"):
        DFGANGenerator(image_size=4)


def test_checkpoints_that_name_the_discriminator_as_ssagans_can_be_built():
    assert ssagan.OneWayDiscriminator is dfgan.OneWayDiscriminator
    old = {"image_size": 16, "channels": 4, "sentence_dim": 8}
    discriminator = build({"class_path": "t2igan.models.ssagan.OneWayDiscriminator", "init_args": old})
    assert config_of(discriminator)["init_args"] == old | {"widest": 16}


class TwoSizes(DFGANGenerator):
    def __init__(self):
        super().__init__(16, 4, noise_dim=8, sentence_dim=DIM)
        self.image_sizes = [8, 16]

    def forward(self, noise, text):
        generated = super().forward(noise, text)
        generated.images.insert(0, nn.functional.avg_pool2d(generated.images[0], 2))
        return generated


@pytest.mark.parametrize("system", [DFGAN, SSAGAN])
def test_each_image_size_gets_a_discriminator(system, damsm_checkpoint):
    module = system(damsm=damsm_checkpoint, generator=TwoSizes(), channels=4)
    assert [discriminator.image_size for discriminator in module.discriminators] == [8, 16]
    sentence = torch.randn(2, DIM)
    for discriminator in module.discriminators:
        features = discriminator(torch.randn(2, 3, discriminator.image_size, discriminator.image_size))
        assert discriminator.conditional(features, sentence).shape == (2,)


@pytest.mark.parametrize("legacy", [False, True])
def test_generations_are_those_of_the_released_code(legacy):
    module = DFGAN(damsm="some.ckpt", image_size=64, channels=4, legacy=legacy)
    assert type(module.generator) is (DFGANLegacyGenerator if legacy else DFGANGenerator)
    (discriminator,) = module.discriminators
    assert discriminator.joint[0].in_channels == (16 if legacy else 8) * 4 + 256
    assert (module.penalty.weight, module.penalty.power, module.penalty.separate) == (2, 6, legacy)
    assert module.mismatch == ("neighbour" if legacy else "roll")
    assert (module.lr_generator, module.lr_discriminator, module.betas) == (1e-4, 4e-4, (0.0, 0.9))
    assert module.text_mode == "frozen" and len(module.generator_losses) == 0


def test_what_is_said_goes_before_what_was_released():
    module = DFGAN(damsm="some.ckpt", image_size=16, channels=4, legacy=True, penalty=None, mismatch="roll")
    assert module.penalty is None and module.mismatch == "roll"


def test_a_frozen_text_encoder_comes_from_a_damsm():
    with pytest.raises(UserError, match=r"set model\.init_args\.damsm"):
        DFGAN(image_size=16, channels=4)


@pytest.mark.parametrize("legacy", [False, True])
def test_two_steps_on_drawn_birds(legacy, damsm_checkpoint, train, tmp_path):
    torch.manual_seed(0)
    network = DFGANLegacyGenerator if legacy else DFGANGenerator
    generator = network(16, 4, noise_dim=8, sentence_dim=DIM)
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    module = DFGAN(damsm=damsm_checkpoint, channels=4, legacy=legacy, generator=generator)
    trainer = train(module, max_steps=2)

    changed = [name for name, value in generator.state_dict().items() if not torch.equal(value, before[name])]
    assert any(".affine" in name for name in changed) and "fc.weight" in changed
    assert isinstance(module.averages["generator"], WeightAverage)
    values = trainer.callback_metrics
    assert {"train/loss_d", "train/penalty", "train/loss_g"} <= set(values)
    assert all(value.isfinite() for value in values.values())
    assert values["train/penalty"] > 0

    trainer.save_checkpoint(tmp_path / "dfgan.ckpt")
    again = load_module(tmp_path / "dfgan.ckpt")
    noise, captions, lengths = torch.randn(2, 8), torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2])
    generated = [one.synthesise(noise, captions, lengths, "raw").images[0] for one in (module, again)]
    assert torch.equal(*generated)


def test_default_discriminators_take_the_generators_sentence():
    (discriminator,) = one_way_discriminators(DFGANGenerator(16, 4, sentence_dim=DIM), channels=4, widest=2)
    assert discriminator.joint[0].in_channels == 2 * 4 + DIM
