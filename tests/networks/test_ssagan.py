import itertools
import json
from functools import partial
from pathlib import Path

import pytest
import torch
from golden_fill import GOLDEN_FOLDER, compare, fill_input, fill_module, load_case

from t2igan.interop.kinds import official_name
from t2igan.networks.dfgan import OneWayDiscriminator
from t2igan.networks.ssagan import SentenceMLP, SSAGANGenerator
from t2igan.text import TextEmbedding

# Limit of the golden files for float32 gradients of this generator (float64 is the sharp test).
GRADIENT_NOISE = 5e-2
PRECISIONS = [torch.float32, torch.float64]


def embedding(sentence):
    words = torch.zeros(len(sentence), sentence.shape[1], 1, dtype=sentence.dtype)
    return TextEmbedding(sentence, words, torch.zeros(len(sentence), 1, dtype=torch.bool))


def recorded_input(case, name, dtype):
    spec = case["inputs"][name]
    return torch.from_numpy(fill_input(name, spec["shape"], spec["kind"], spec.get("scale", 1.0))).to(dtype)


def assert_scalars(recorded, measured, float64):
    for name, (single, double, tolerance) in recorded.items():
        if float64:
            want, limit = double, max(1e-9 * abs(double), 1e-9)
        else:
            want, limit = single, max(tolerance, GRADIENT_NOISE * abs(single))
        assert abs(torch.as_tensor(measured[name]).item() - want) <= limit, name


def gradient_norms(module, kind):
    named = module.named_parameters()
    return {official_name(kind, name): (0 if p.grad is None else p.grad.double().norm()) for name, p in named}


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *itertools.product(["nf8_eval", "nf8_train", "nf8_eval_gain"], PRECISIONS),
        pytest.param("nf64_eval", torch.float32, marks=pytest.mark.wide),
    ],
)
def test_generator_equals_the_original(name, dtype):
    case = load_case("ssagan_generator", name)
    config = case["config"]
    generator = SSAGANGenerator(channels=config["ngf"]).to(dtype)
    fill_module(generator, partial(official_name, "ssagan-generator"), config["gain"])
    generator.train(config["mode"] == "train")
    noise, sentence, weight = (recorded_input(case, key, dtype) for key in ("noise", "sent_emb", "grad_image"))
    noise.requires_grad_()
    sentence.requires_grad_()

    generated = generator(noise, embedding(sentence))
    loss = (generated.images[0] * weight).sum()
    loss.backward()

    float64 = dtype == torch.float64
    outputs = {"image": generated.images[0], **{f"mask{mask.shape[-1]}": mask for mask in generated.masks}}
    assert set(case["outputs"]) == set(outputs)
    for key, value in outputs.items():
        assert compare(case["outputs"][key], value, float64=float64) == [], key
    assert_scalars(case["scalars"], {"loss": loss}, float64)
    norms = gradient_norms(generator, "ssagan-generator")
    norms |= {"noise": noise.grad.double().norm(), "sent_emb": sentence.grad.double().norm()}
    buffers = {
        f"buffer:{official_name('ssagan-generator', key)}": b.double().norm()
        for key, b in generator.named_buffers()
        if b.is_floating_point()
    }
    assert_scalars(case["grads"], norms | buffers, float64)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *itertools.product(["nf8", "nf8_gain"], PRECISIONS),
        pytest.param("nf64", torch.float64, marks=pytest.mark.wide),
    ],
)
def test_discriminator_equals_the_original(name, dtype):
    case = load_case("ssagan_discriminator", name)
    discriminator = OneWayDiscriminator(channels=case["config"]["ndf"]).to(dtype)
    fill_module(discriminator, partial(official_name, "ssagan-discriminator"), case["config"]["gain"])
    images, sentence, weight = (recorded_input(case, key, dtype) for key in ("images", "sent_emb", "grad_out"))
    images.requires_grad_()
    sentence.requires_grad_()

    features = discriminator(images)
    logits = discriminator.conditional(features, sentence)
    (logits * weight.flatten()).sum().backward()

    float64 = dtype == torch.float64
    assert compare(case["outputs"]["features"], features, float64=float64) == []
    assert compare(case["outputs"]["logits"], logits.view(-1, 1, 1, 1), float64=float64) == []
    norms = gradient_norms(discriminator, "ssagan-discriminator")
    assert_scalars(
        case["grads"],
        norms | {"images": images.grad.double().norm(), "sent_emb": sentence.grad.double().norm()},
        float64,
    )


@pytest.mark.parametrize(
    ("kind", "network", "module"),
    [
        ("ssagan-generator", SSAGANGenerator, "NetG nf=64"),
        ("ssagan-discriminator", OneWayDiscriminator, "NetD nf=64"),
    ],
)
def test_tensors_are_those_of_the_released_checkpoint(kind, network, module):
    manifest = json.loads(Path(GOLDEN_FOLDER / "manifests" / "ssagan.json").read_text())["modules"][module]
    with torch.device("meta"):
        own = network().state_dict()
    shapes = {official_name(kind, key): list(value.shape) for key, value in own.items()}
    assert shapes == {key: shape for key, (shape, _) in manifest["state"].items()}


@pytest.mark.parametrize("size", [4, 64, 128])
def test_sizes_other_than_the_papers(size):
    generator = SSAGANGenerator(image_size=size, channels=4, sentence_dim=8)
    generated = generator(torch.randn(2, 100), embedding(torch.randn(2, 8)))
    assert generated.images[0].shape == (2, 3, size, size)
    assert [mask.shape[-1] for mask in generated.masks] == [4 * 2**k for k in range(len(generated.masks))]
    assert generated.masks[-1].shape[-1] == size
    discriminator = OneWayDiscriminator(image_size=size, channels=4, sentence_dim=8)
    assert discriminator.conditional(discriminator(generated.images[0]), torch.randn(2, 8)).shape == (2,)


def test_image_size_must_be_a_power_of_two():
    with pytest.raises(ValueError, match="power of two"):
        SSAGANGenerator(image_size=96)


def test_masks_of_the_papers_figure_differ_from_the_released_ones():
    torch.manual_seed(0)
    released = SSAGANGenerator(image_size=32, channels=4).eval()
    figure = SSAGANGenerator(image_size=32, channels=4, mask_from_upsampled=True).eval()
    figure.load_state_dict(released.state_dict())
    noise, text = torch.randn(2, 100), embedding(torch.randn(2, 256))
    ours, theirs = released(noise, text).masks, figure(noise, text).masks
    assert torch.equal(ours[0], theirs[0])
    assert not torch.allclose(ours[1], theirs[1], atol=1e-4)


def test_an_image_does_not_depend_on_its_batch():
    torch.manual_seed(0)
    generator = SSAGANGenerator(image_size=32, channels=4).eval()
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    noise, sentence = torch.randn(5, 100), torch.randn(5, 256)
    whole = generator(noise, embedding(sentence)).images[0]
    order = torch.tensor([3, 0, 4])
    part = generator(noise[order], embedding(sentence[order])).images[0]
    assert torch.allclose(whole[order], part, atol=1e-6)


def test_a_seed_draws_the_sentence_mlp_front_to_back():
    torch.manual_seed(3)
    first = torch.nn.Linear(8, 256).weight
    torch.manual_seed(3)
    assert torch.equal(SentenceMLP(8, 4)[0].weight, first)
