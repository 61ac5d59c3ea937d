"""MirrorGAN against numbers recorded from its released code."""

from functools import partial

import pytest
import torch
from cascade_recording import (
    WHOLE_ITERATIONS,
    Recorded,
    disagreements,
    draw_recorded,
    norm,
    recorded_input,
    train_recorded,
)
from golden_fill import fill_captions, fill_module, load_case

from t2igan.data.batch import CaptionedImages
from t2igan.interop.kinds import official_name
from t2igan.models import Synthesis, redescription
from t2igan.models.adversarial import Chunk
from t2igan.models.damsm import DAMSM, SmallImageEncoder
from t2igan.models.generator_losses import GeneratorView
from t2igan.models.mirrorgan import MirrorGAN
from t2igan.models.stream import STREAM, ResNetCaptionEncoder
from t2igan.networks.mirrorgan import GLAM, MirrorGANGenerator
from t2igan.text import TextEmbedding

pytestmark = pytest.mark.usefixtures("no_orthogonal_weights")

DTYPES = [torch.float64, torch.float32]
SIZES = (64, 128, 256)
VOCABULARY = 100


def glam_name(own):
    """As of a stage of the generator, without the stage."""
    return official_name("mirrorgan-generator", f"stages.0.attention.{own}").removeprefix("h_net2.att.")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["no_mask", "ragged_released", "ragged_per_sample", "idf8_hw8"])
def test_glam(name, dtype):
    case = load_case("mirrorgan_glam", name)
    names = ("h_code", "words_emb", "c_code")
    features, words, condition = (recorded_input(case, key, dtype).requires_grad_() for key in names)
    lengths = torch.tensor(case["inputs"]["lengths"]["value"])
    text = TextEmbedding(None, words, torch.arange(words.shape[2]) >= lengths[:, None])
    glam = GLAM(case["config"]["idf"], case["config"]["cdf"], 100, legacy_mask=name.endswith("released")).to(dtype)
    fill_module(glam, glam_name)

    of_words, of_sentence, attention = glam(features, text, condition)
    targets = [recorded_input(case, key, dtype) for key in ("grad_words", "grad_sentence")]
    ((of_words * targets[0]).sum() + (of_sentence * targets[1]).sum()).backward()

    outputs = {
        "weighted_context": of_words,
        "weighted_sentence": of_sentence,
        "word_attention": attention,
        "sentence_attention": glam.sentence(features, condition)[1],
    }
    grads = {glam_name(key): norm(value.grad) for key, value in glam.named_parameters()}
    grads |= {key: norm(leaf.grad) for key, leaf in zip(names, (features, words, condition))}
    assert not disagreements(case, outputs, {}, grads, dtype)


def draw(name, dtype):
    """Disagreements of a recorded case of the generator, the sentence's part of its stages included."""
    case = load_case("mirrorgan_generator", name)
    config = case["config"]
    released = not name.endswith("per_sample")
    generator = MirrorGANGenerator(channels=config["GF_DIM"], residual_blocks=config["R_NUM"], legacy_mask=released)
    read = []
    for stage in generator.stages:
        stage.attention.sentence.register_forward_hook(lambda module, given, result: read.append(result))
    _, outputs, scalars, grads = draw_recorded(case, generator, "mirrorgan-generator", dtype)
    for number, (context, attention) in enumerate(read, start=2):
        outputs |= {f"h_net{number}.weighted_sentence": context, f"h_net{number}.sentence_attention": attention}
    return disagreements(case, outputs, scalars, grads, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["gf8_eval", "gf8_train", "gf8_eval_per_sample", "gf8_eval_gain"])
def test_generator(name, dtype):
    assert not draw(name, dtype)


@pytest.mark.wide
@pytest.mark.parametrize("name", ["gf32_eval"])
def test_generator_at_the_papers_width(name):
    assert not draw(name, torch.float64)


class RecordedMirrorGAN(Recorded, MirrorGAN):
    """All that it trains, and its text encoder, have the recorded weights."""

    def __init__(self, case, dtype, **options):
        config = case["config"]
        super().__init__(
            damsm="recorded",
            captioner="recorded",
            channels=config.get("GF_DIM", 8),
            discriminator_channels=config["DF_DIM"],
            legacy_mask=True,
            redescription_weight=config["LAMBDA1"],
            **options,
        )
        self.case = case
        fill_module(self.generator, partial(official_name, "mirrorgan-generator"))
        for discriminator in self.discriminators:
            fill_module(discriminator, partial(official_name, f"attngan-discriminator-{discriminator.image_size}"))
        self.to(dtype)

    def _load_scorer(self):
        """Only its text encoder has a part in training."""
        damsm = DAMSM(SmallImageEncoder(channels=4, image_size=16), VOCABULARY)
        damsm.configure_model()
        fill_module(damsm.text_encoder, partial(official_name, "damsm-text-encoder"))
        return damsm.to(self.dtype).eval().requires_grad_(False)


def filled_stream(dtype, gain):
    """STREAM as it stands in MirrorGAN's training."""
    stream = STREAM(ResNetCaptionEncoder(weights="random"), VOCABULARY)
    stream.configure_model()
    fill_module(stream.encoder, partial(official_name, "stream-cnn"), gain)
    fill_module(stream.decoder, partial(official_name, "stream-rnn"))
    return stream.to(dtype).eval().requires_grad_(False)


@pytest.fixture
def stream_file(monkeypatch):
    """Makes the recorded captioner what any checkpoint holds."""

    def give(case, dtype):
        stream = filled_stream(dtype, case["config"]["caption_cnn_gain"])
        monkeypatch.setattr(redescription, "load_module", lambda path: stream)

    return give


def given_batch(case):
    spec = case["inputs"]["captions"]
    captions = torch.from_numpy(fill_captions(spec["lengths"], spec["vocab"], spec["width"]))
    lengths = torch.tensor(spec["lengths"])
    images = torch.zeros(len(captions), 3, 1, 1, dtype=torch.uint8)
    return CaptionedImages(images, captions, lengths, torch.arange(4), list("abcd"), torch.arange(4))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("generator_loss_df8", torch.float64),
        ("generator_loss_df8", torch.float32),
        pytest.param("generator_loss_df64", torch.float64, marks=pytest.mark.wide),
    ],
)
def test_generator_loss(name, dtype, stream_file):
    case = load_case("mirrorgan_losses", name)
    stream_file(case, dtype)
    module = RecordedMirrorGAN(case, dtype, kl_weight=0.0)
    module.measured = [{}]
    for loss in module.generator_losses:
        loss.prepare([])
    fakes = [recorded_input(case, f"fakes{size}", dtype).requires_grad_() for size in SIZES]
    nothing = fakes[0].new_zeros(4, 1)
    text = TextEmbedding(recorded_input(case, "sent_emb", dtype), None, None)
    chunk = Chunk(given_batch(case), fakes[0], None, None, Synthesis(fakes, mu=nothing, logvar=nothing), text)

    told = module.generator_losses[0]
    (of_caption,) = torch.autograd.grad(told(GeneratorView(chunk.synthesis, None, chunk.batch, None)), fakes[-1])
    module.generator_loss(chunk).backward()

    grads = {f"errG_total/fakes{size}": norm(images.grad) for size, images in zip(SIZES, fakes)}
    grads["cap_loss/fakes256"] = norm(of_caption)
    (logged,) = module.measured
    total = logged["loss_g_adversarial"] + logged["loss_g_redescription"]
    scalars = {"errG_total": total, "cap_loss": logged["loss_g_redescription"]}
    # Images of blocks tie in ResNet's max-pool, and rounding breaks the ties: one thread otherwise than two.
    for key in ("errG_total/fakes256", "cap_loss/fakes256"):
        assert grads.pop(key) == pytest.approx(case["grads"].pop(key)[1], rel=1e-3), key
    assert not disagreements(case, {}, scalars, grads, dtype)


@pytest.mark.parametrize("levers", WHOLE_ITERATIONS)
def test_two_iterations(levers, stream_file):
    case = load_case("mirrorgan_losses", "train_2_iterations")
    stream_file(case, torch.float64)
    module = RecordedMirrorGAN(case, torch.float64, ema_decay=None)
    module.levers = levers
    measured = train_recorded(module, case, 2)
    assert not disagreements(case, {}, measured, {})
