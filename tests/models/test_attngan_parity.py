"""AttnGAN against numbers recorded from its released code."""

import itertools
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
from golden_fill import fill_module, load_case

from t2igan.interop.kinds import official_name
from t2igan.losses.adversarial import BCE, Logits
from t2igan.losses.matching import Gammas, damsm_loss
from t2igan.losses.mismatch import mismatched
from t2igan.models.attngan import AttnGAN
from t2igan.networks.attngan import AttnGANDiscriminator, AttnGANGenerator
from t2igan.text import TextEmbedding

pytestmark = pytest.mark.usefixtures("no_orthogonal_weights")

SIZES = (64, 128, 256)


CASES = [
    "gf8_eval",
    "gf8_train",
    "gf8_eval_per_sample",
    "gf8_eval_gain",
    "gf8_train_b3_short",
    "gf8_branch1_train",
    "gf8_branch2_train",
]


def generator_for(case, legacy_mask):
    config = case["config"]
    branches = config["BRANCH_NUM"]
    return AttnGANGenerator(
        image_size=64 * 2 ** (branches - 1),
        stages=branches,
        channels=config["GF_DIM"],
        residual_blocks=config["R_NUM"],
        legacy_mask=legacy_mask,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_generator(name, dtype):
    case = load_case("attngan_generator", name)
    generator = generator_for(case, legacy_mask="per_sample" not in name)
    _, outputs, scalars, grads = draw_recorded(case, generator, "attngan-generator", dtype)
    assert not disagreements(case, outputs, scalars, grads, dtype)


@pytest.mark.wide
@pytest.mark.parametrize("name", ["gf32_eval", "gf32_eval_per_sample"])
def test_generator_at_the_papers_width(name):
    case = load_case("attngan_generator", name)
    generator = generator_for(case, legacy_mask="per_sample" not in name)
    _, outputs, scalars, grads = draw_recorded(case, generator, "attngan-generator")
    assert not disagreements(case, outputs, scalars, grads)


def filled_discriminator(size, channels, dtype, gain=1.0, **options):
    discriminator = AttnGANDiscriminator(size, channels, **options).to(dtype)
    return fill_module(discriminator, partial(official_name, f"attngan-discriminator-{size}"), gain)


MODES = ("eval", "train")
NARROW = [*(f"D_NET{size}_df8_eval" for size in SIZES), *(f"D_NET{size}_df8_train" for size in (64, 256))]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *itertools.product(NARROW, DTYPES),
        *itertools.product((f"D_NET{size}_df64_{mode}" for size in (64, 128) for mode in MODES), [torch.float64]),
        *(pytest.param(f"D_NET256_df64_{mode}", torch.float64, marks=pytest.mark.wide) for mode in MODES),
    ],
)
def test_discriminator(name, dtype):
    case = load_case("attngan_discriminators", name)
    config = case["config"]
    size = int(config["class"].removeprefix("D_NET"))
    discriminator = filled_discriminator(size, config["DF_DIM"], dtype, config["gain"], probabilities=True)
    discriminator.train(config["mode"] == "train")
    images = recorded_input(case, f"images{size}", dtype).requires_grad_()
    sentence = recorded_input(case, "sent_emb", dtype).requires_grad_()
    features = discriminator(images)
    pair, image = discriminator.conditional(features, sentence), discriminator.unconditional(features)
    weights = [recorded_input(case, name, dtype) for name in ("grad_cond", "grad_uncond")]
    loss = (pair * weights[0]).sum() + (image * weights[1]).sum()
    loss.backward()
    grads = {"images": norm(images.grad), "sent_emb": norm(sentence.grad)}
    kind = f"attngan-discriminator-{size}"
    grads |= {official_name(kind, key): norm(value.grad) for key, value in discriminator.named_parameters()}
    grads |= {"buffer:" + official_name(kind, key): norm(value) for key, value in discriminator.named_buffers()}
    outputs = {"features": features, "cond": pair, "uncond": image}
    assert not disagreements(case, outputs, {"loss": loss.item()}, grads, dtype)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *itertools.product(["discriminator_loss_df8", "discriminator_loss_df8_no_uncond"], DTYPES),
        pytest.param("discriminator_loss_df64", torch.float64, marks=pytest.mark.wide),
    ],
)
def test_discriminator_loss(name, dtype):
    case = load_case("attngan_losses", name)
    sentence, classes = recorded_input(case, "sent_emb", dtype), torch.arange(4)
    scalars, grads = {}, {}
    for size in SIZES:
        discriminator = filled_discriminator(
            size, case["config"]["DF_DIM"], dtype, conditional_only=not case["config"]["b_jcu"]
        ).train()
        real = discriminator(recorded_input(case, f"images{size}", dtype))
        fake = discriminator(recorded_input(case, f"fakes{size}", dtype))
        verdicts = [
            discriminator.conditional(real, sentence),
            discriminator.conditional(fake, sentence),
            discriminator.conditional(*mismatched(real, sentence, classes, "neighbour")),
        ]
        real_logits = Logits(verdicts[0], discriminator.unconditional(real))
        fake_logits = Logits(verdicts[1], discriminator.unconditional(fake))
        loss = BCE().discriminator_loss(real_logits, fake_logits, verdicts[2])
        loss.backward()
        scalars[f"errD_D_NET{size}"] = loss.item()
        kind, prefix = f"attngan-discriminator-{size}", f"D_NET{size}."
        for key, value in discriminator.named_parameters():
            grads[prefix + official_name(kind, key)] = norm(value.grad)
        for key, value in discriminator.named_buffers():
            grads["buffer:" + prefix + official_name(kind, key)] = norm(value)
    assert not disagreements(case, {}, scalars, grads, dtype)


@pytest.mark.parametrize("name", ["df8_class", "df8_no_class", pytest.param("df64_class", marks=pytest.mark.wide)])
def test_generator_loss(name):
    case = load_case("attngan_losses", f"generator_loss_{name}")
    damsm = filled_damsm(case["config"]["image_encoder_gain"])
    sentence, words = recorded_input(case, "sent_emb"), recorded_input(case, "words_emb")
    lengths = torch.tensor(case["inputs"]["cap_lens"]["value"])
    classes = case["inputs"]["class_ids"]["value"]
    text = TextEmbedding(sentence, words, torch.arange(words.shape[2]) >= lengths[:, None])
    fakes = {size: recorded_input(case, f"fakes{size}").requires_grad_() for size in SIZES}
    total = torch.zeros((), dtype=torch.float64)
    for size, images in fakes.items():
        discriminator = filled_discriminator(size, case["config"]["DF_DIM"], torch.float64).train()
        features = discriminator(images)
        verdict = Logits(discriminator.conditional(features, sentence), discriminator.unconditional(features))
        total = total + BCE().generator_loss(verdict)
    ids = None if classes is None else torch.tensor(classes)
    matching = damsm_loss(*damsm.image_encoder(fakes[256]), text, ids, Gammas(*case["config"]["gamma"]))
    weight = case["config"]["LAMBDA"]
    total = total + weight * matching.total
    total.backward()
    scalars = {
        "errG_total": total.item(),
        "w_loss": weight * (matching.words_to_text + matching.words_to_image).item(),
        "s_loss": weight * (matching.sentence_to_text + matching.sentence_to_image).item(),
    }
    grads = {f"fakes{size}": norm(images.grad) for size, images in fakes.items()}
    # One thread breaks other ties of Inception's max-pools on images of blocks than two threads do.
    assert grads.pop("fakes256") == pytest.approx(case["grads"].pop("fakes256")[1], rel=1e-2)
    assert not disagreements(case, {}, scalars, grads)


class RecordedAttnGAN(Recorded, AttnGAN):
    pass


@pytest.mark.parametrize("levers", WHOLE_ITERATIONS)
def test_three_iterations(levers):
    case = load_case("attngan_losses", "train_3_iterations")
    module = RecordedAttnGAN(damsm="recorded", channels=8, discriminator_channels=8, legacy_mask=True)
    module.levers = levers
    module.recorded_damsm = filled_damsm(case["config"]["image_encoder_gain"])
    fill_module(module.generator, partial(official_name, "attngan-generator"))
    for discriminator in module.discriminators:
        fill_module(discriminator, partial(official_name, f"attngan-discriminator-{discriminator.image_size}"))
    measured = train_recorded(module, case, 3)
    assert not disagreements(case, {}, measured, {})
