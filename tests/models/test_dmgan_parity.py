"""DM-GAN against numbers recorded from its released code."""

import json
from functools import partial

import pytest
import torch
from cascade_recording import (
    DTYPES,
    WHOLE_ITERATIONS,
    Recorded,
    disagreements,
    draw_recorded,
    filled_damsm,
    norm,
    recorded_input,
    train_recorded,
)
from golden_fill import GOLDEN_FOLDER, fill_module, load_case

from t2igan.data.batch import CaptionedImages
from t2igan.interop.kinds import official_name
from t2igan.models.adversarial import Chunk
from t2igan.models.dmgan import DMGAN
from t2igan.networks.dmgan import DMGANDiscriminator, DMGANGenerator, DynamicMemoryStage
from t2igan.networks.synthesis import Synthesis
from t2igan.nn.attention import attend
from t2igan.text import TextEmbedding

pytestmark = pytest.mark.usefixtures("no_orthogonal_weights")

SIZES = (64, 128, 256)


def keep_outputs(stage, parts, outputs, prefix=""):
    """Has parts of a stage write what they give to ``outputs``, under the recorded names."""
    for recorded, own in parts.items():
        part = getattr(stage, own)
        part.register_forward_hook(lambda _, __, out, name=prefix + recorded: outputs.update({name: out}))


def stage_key(own):
    return official_name("dmgan-generator", f"stages.0.{own}").removeprefix("h_net2.")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["ngf8_size16", "ngf32_size16", "ngf8_size16_eval"])
def test_memory_stage(name, dtype):
    case = load_case("dmgan_memory_stage", name)
    config, outputs = case["config"], {}
    stage = DynamicMemoryStage(config["ngf"], 256, residual_blocks=2, legacy_mask=True).to(dtype)
    fill_module(stage, stage_key).train(config["mode"] == "train")
    gates = {"gate1": "gate_from_word", "gate2": "gate_from_image", "response_gate": "response_gate"}
    keep_outputs(stage, {"key": "key", "value": "value"} | gates, outputs)
    features, words = (recorded_input(case, key, dtype).requires_grad_() for key in ("h_code", "words_emb"))
    padding = torch.arange(18) >= torch.tensor(case["inputs"]["lengths"]["value"])[:, None]

    finer, attention = stage(features, TextEmbedding(None, words, padding), None)
    (finer * recorded_input(case, "grad_out", dtype)).sum().backward()

    outputs |= {"out_code": finer, "attention": attention, "gate2": outputs["gate2"][:, None]}
    outputs["memory_out"] = attend(features, outputs["key"], outputs["value"], padding, legacy_mask=True)[0]
    grads = {stage_key(key): norm(value.grad) for key, value in stage.named_parameters()}
    grads |= {"h_code": norm(features.grad), "words_emb": norm(words.grad)}
    assert not disagreements(case, outputs, {}, grads, dtype)


def draw(name, dtype):
    """A recorded case -> sentences about what differs from the record."""
    case, slots = load_case("dmgan_generator", name), {}
    config = case["config"]
    generator = DMGANGenerator(
        channels=config["GF_DIM"],
        residual_blocks=config["R_NUM"],
        legacy_mask="per_sample" not in name,
    )
    for recorded, stage in zip(("h_net2", "h_net3"), generator.stages):
        keep_outputs(stage, {part: part for part in ("key", "value", "response_gate")}, slots, f"{recorded}.")
    _, outputs, scalars, grads = draw_recorded(case, generator, "dmgan-generator", dtype)
    return disagreements(case, outputs | slots, scalars, grads, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["gf8_eval", "gf8_train", "gf8_eval_per_sample", "gf8_eval_gain"])
def test_generator(name, dtype):
    assert not draw(name, dtype)


@pytest.mark.wide
def test_generator_at_the_papers_width():
    assert not draw("gf64_eval", torch.float64)


def discriminator_key(size):
    return partial(official_name, f"dmgan-discriminator-{size}")


def filled_discriminator(size, channels, dtype, **options):
    discriminator = DMGANDiscriminator(size, channels, legacy_power_iteration=True, **options).to(dtype)
    return fill_module(discriminator, discriminator_key(size))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [8, 32])
@pytest.mark.parametrize("size", SIZES)
def test_discriminator(size, channels, dtype):
    case = load_case("dmgan_discriminators", f"D_NET{size}_df{channels}")
    discriminator = filled_discriminator(size, channels, dtype, probabilities=True)
    images, sentence = (
        recorded_input(case, name, dtype).requires_grad_() for name in (f"images{size}", "sent_emb")
    )
    features = discriminator(images)
    pair, image = discriminator.conditional(features, sentence), discriminator.unconditional(features)
    weights = [recorded_input(case, name, dtype) for name in ("grad_cond", "grad_uncond")]
    loss = (pair * weights[0]).sum() + (image * weights[1]).sum()
    loss.backward()
    grads = {"images": norm(images.grad), "sent_emb": norm(sentence.grad)}
    grads |= {discriminator_key(size)(key): norm(value.grad) for key, value in discriminator.named_parameters()}
    outputs = {"features": features, "cond": pair, "uncond": image}
    assert not disagreements(case, outputs, {"loss": loss.item()}, grads, dtype)


class RecordedDMGAN(Recorded, DMGAN):
    """DM-GAN as released, with the recorded weights."""

    def __init__(self, case, channels=8, dtype=torch.float64):
        legacy = {"legacy_mask": True, "legacy_power_iteration": True}
        super().__init__("recorded", channels=channels, discriminator_channels=case["config"]["DF_DIM"], **legacy)
        self.to(dtype).case = case
        fill_module(self.generator, partial(official_name, "dmgan-generator"))
        for discriminator in self.discriminators:
            fill_module(discriminator, discriminator_key(discriminator.image_size))

    def _load_scorer(self):
        return filled_damsm(self.case["config"]["image_encoder_gain"], align_corners=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [8, 32])
def test_discriminator_loss(channels, dtype):
    """Of the training loop: order and number of its forwards decide where u and v are in the end."""
    case = load_case("dmgan_losses", f"discriminator_loss_df{channels}")
    module = RecordedDMGAN(case, dtype=dtype)
    module.measured = [{}]
    fakes = Synthesis([recorded_input(case, f"fakes{size}", dtype) for size in SIZES])
    batch = CaptionedImages(None, None, None, torch.arange(4), list("abcd"), torch.arange(4))
    told = TextEmbedding(recorded_input(case, "sent_emb", dtype), None, None)
    chunk = Chunk(batch, fakes.images[0], None, None, fakes, told)
    chunk.real = lambda size: recorded_input(case, f"images{size}", dtype)

    module.discriminator_loss(chunk).backward()

    scalars, grads = {}, {}
    for discriminator in module.discriminators:
        size = discriminator.image_size
        scalars[f"errD_D_NET{size}"] = module.measured[0][f"loss_d_{size}"]
        for key, value in discriminator.named_parameters():
            grads[f"D_NET{size}.{discriminator_key(size)(key)}"] = norm(value.grad)
    assert not disagreements(case, {}, scalars, grads, dtype)


@pytest.mark.parametrize("levers", WHOLE_ITERATIONS)
def test_three_iterations(levers):
    case = load_case("dmgan_losses", "train_3_iterations")
    module = RecordedDMGAN(case)
    module.levers = levers
    measured = train_recorded(module, case, 3)
    assert not disagreements(case, {}, measured, {})


@pytest.mark.parametrize(
    ("kind", "network", "recorded"),
    [
        ("dmgan-generator", DMGANGenerator, "G_NET GF_DIM=64 R_NUM=2"),
        *((f"dmgan-discriminator-{k}", partial(DMGANDiscriminator, k), f"D_NET{k} DF_DIM=32") for k in SIZES),
    ],
)
def test_tensors_are_those_of_the_released_checkpoint(kind, network, recorded):
    manifest = json.loads((GOLDEN_FOLDER / "manifests" / "dmgan.json").read_text())["modules"][recorded]
    with torch.device("meta"):
        module = network()
    shapes = {official_name(kind, key): list(value.shape) for key, value in module.state_dict().items()}
    assert shapes == {key: shape for key, (shape, _) in manifest["state"].items()}
    assert sum(parameter.numel() for parameter in module.parameters()) == manifest["parameters"]
