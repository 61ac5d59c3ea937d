"""Imported networks compute what the released code computed."""

import pytest
import torch
from cascade_recording import recorded_input, recorded_text
from golden_fill import compare, fill_captions, load_case
from released_weights import assert_same, released_state

from t2igan.interop import from_official, kind_of, to_official
from t2igan.models import Synthesis
from t2igan.text import TextEmbedding

SINGLE = torch.float32


@pytest.fixture(autouse=True)
def no_graph():
    with torch.no_grad():
        yield


def agree(case, **outputs):
    for name, value in outputs.items():
        assert compare(case["outputs"][name], value) == [], name


def cascade(case):
    config = case["config"]
    stages = config["BRANCH_NUM"]
    sizes = {"image_size": 64 * 2 ** (stages - 1), "stages": stages}
    return {**sizes, "channels": config["GF_DIM"], "residual_blocks": config["R_NUM"]}


@pytest.mark.parametrize("component", ["attngan", "mirrorgan", "dmgan"])
@pytest.mark.parametrize("legacy_mask", [True, False])
def test_cascades(component, legacy_mask):
    kind = f"{component}-generator"
    case = load_case(f"{component}_generator", "gf8_eval" if legacy_mask else "gf8_eval_per_sample")
    generator = from_official(kind, released_state(kind, cascade(case)), legacy_mask=legacy_mask)
    inputs = (
        recorded_input(case, "noise", SINGLE),
        recorded_text(case, SINGLE),
        recorded_input(case, "ca_eps", SINGLE),
    )
    generated = generator(*inputs)
    assert isinstance(generated, Synthesis)
    images = {f"image{image.shape[-1]}": image for image in generated.images}
    attention = {f"attention{weights.shape[-1]}": weights for weights in generated.attention}
    agree(case, mu=generated.mu, logvar=generated.logvar, **images, **attention)
    assert (len(images), len(attention)) == (3, 2)


def test_attndcgan_draws_what_attngan_draws_last():
    case = load_case("attngan_generator", "gf8_eval")
    state = released_state("attngan-generator", cascade(case))
    heads = [state.pop(f"img_net{number}.img.0.weight") for number in (1, 2, 3)]
    generator = from_official("attndcgan-generator", state | {"img_net.img.0.weight": heads[-1]}, legacy_mask=True)
    inputs = (
        recorded_input(case, "noise", SINGLE),
        recorded_text(case, SINGLE),
        recorded_input(case, "ca_eps", SINGLE),
    )
    (image,) = generator(*inputs).images
    agree(case, image256=image)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("attngan-discriminator", f"D_NET{size}_df8_eval") for size in (64, 128, 256)),
        *(("dmgan-discriminator", f"D_NET{size}_df8") for size in (64, 128, 256)),
    ],
)
def test_discriminators_of_cascades_give_probabilities(kind, name):
    case = load_case(kind.replace("-", "_") + "s", name)
    size = int(case["config"]["class"].removeprefix("D_NET"))
    discriminator = from_official(kind, released_state(kind, {"image_size": size, "channels": 8}))
    discriminator.train(case["config"]["mode"] == "train")
    features = discriminator(recorded_input(case, f"images{size}", SINGLE))
    conditional = discriminator.conditional(features, recorded_input(case, "sent_emb", SINGLE))
    agree(case, features=features, cond=conditional, uncond=discriminator.unconditional(features))


def test_ssagan_generator():
    case = load_case("ssagan_generator", "nf8_eval")
    state = released_state("ssagan-generator", {"channels": 8}, prefix="module.")
    generated = from_official("ssagan-generator", state)(*noise_and_sentence(case))
    agree(case, image=generated.images[0], **{f"mask{mask.shape[-1]}": mask for mask in generated.masks})
    assert len(generated.masks) == 7


def noise_and_sentence(case):
    sentence = recorded_input(case, "sent_emb", SINGLE)
    text = TextEmbedding(sentence, sentence[..., None], torch.zeros(len(sentence), 1, dtype=torch.bool))
    return recorded_input(case, "noise", SINGLE), text


@pytest.mark.parametrize(
    ("component", "name", "channels"), [("ssagan_discriminator", "nf8", 8), ("dfgan_legacy", "netD_nf4_256", 4)]
)
def test_one_way_discriminators(component, name, channels):
    case = load_case(component, name)
    discriminator = from_official(
        "ssagan-discriminator", released_state("ssagan-discriminator", {"channels": channels})
    )
    features = discriminator(recorded_input(case, "images", SINGLE))
    logits = discriminator.conditional(features, recorded_input(case, "sent_emb", SINGLE))
    agree(case, features=features, logits=logits.view(-1, 1, 1, 1))
    assert discriminator.unconditional(features) is None


def test_dfgan():
    generating, discriminating = load_case("dfgan", "netG_nf8_64"), load_case("dfgan", "netD_netC_nf32_256")
    arguments = {
        "generator": {"image_size": 64, "channels": 8},
        "discriminator": {"image_size": 256, "channels": 32, "widest": 8},
    }
    networks = from_official("dfgan", released_state("dfgan", arguments, prefix="module."))
    agree(generating, image=networks(*noise_and_sentence(generating)).images[0])
    features = networks.features(recorded_input(discriminating, "images", SINGLE))
    logits = networks.conditional(features, recorded_input(discriminating, "sent_emb", SINGLE))
    agree(discriminating, features=features, logits=logits.view(-1, 1, 1, 1))
    assert networks.unconditional(features) is None


def test_dfgan_legacy():
    case = load_case("dfgan_legacy", "netG_nf4_256")
    generator = from_official("dfgan-legacy-generator", released_state("dfgan-legacy-generator", {"channels": 4}))
    agree(case, image=generator(*noise_and_sentence(case)).images[0])


@pytest.mark.parametrize("name", ["vocab100_unsorted", "vocab100_gru_sorted"])
def test_text_encoder(name):
    case = load_case("damsm_rnn_encoder", name)
    spec = case["inputs"]["captions"]
    arguments = {"vocabulary_size": spec["vocab"], "cell": "gru" if "gru" in name else "lstm"}
    encoder = from_official("damsm-text-encoder", released_state("damsm-text-encoder", arguments))
    captions = torch.from_numpy(fill_captions(spec["lengths"], spec["vocab"], spec["width"]))
    text = encoder(captions, torch.tensor(spec["lengths"]))
    agree(case, words_emb=text.words, sent_emb=text.sentence)
    assert text.lengths.tolist() == spec["lengths"]


def test_image_encoder_there_and_back():
    kind = "damsm-image-encoder"
    state = released_state(kind, {}, gain=1.5, prefix="module.", counters=False)
    for component, align_corners in (("damsm_cnn_encoder", False), ("damsm_cnn_encoder_align_corners", True)):
        case = load_case(component, "eval_64_gain")
        encoder = from_official(kind, state, align_corners=align_corners)
        regions, code = encoder(recorded_input(case, "images", SINGLE))
        agree(case, features=regions, code=code)
        assert regions.shape[1:] == (256, 17, 17)
    assert_same(to_official(encoder), state)
    assert kind_of(state) == kind


def test_caption_encoder_there_and_back():
    case = load_case("mirrorgan_stream", "caption_cnn_eval_64")
    state = released_state("stream-cnn", {}, prefix="module.", counters=False)
    encoder = from_official("stream-cnn", state)
    agree(case, features=encoder(recorded_input(case, "images", SINGLE)))
    assert_same(to_official(encoder), state)
    assert kind_of(state) == "stream-cnn"


def test_caption_decoder():
    case = load_case("mirrorgan_stream", "caption_rnn_vocab100")
    decoder = from_official("stream-rnn", released_state("stream-rnn", {"vocabulary_size": 100}))
    spec = case["inputs"]["captions"]
    captions = torch.from_numpy(fill_captions(spec["lengths"], spec["vocab"], spec["width"]))
    features = recorded_input(case, "features", SINGLE)
    agree(
        case,
        packed_logits=decoder(features, captions, torch.tensor(spec["lengths"])),
        sample=decoder.greedy(features, 20, stop=False),
    )
