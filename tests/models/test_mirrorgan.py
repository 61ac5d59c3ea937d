import json

import pytest
import pytorch_lightning as pl
import torch
from golden_fill import GOLDEN_FOLDER

from t2igan.errors import UserError
from t2igan.interop.kinds import official_name
from t2igan.models.mirrorgan import MirrorGAN
from t2igan.models.stream import STREAM
from t2igan.models.suite_module import load_module
from t2igan.networks.attngan import AttnGANDiscriminator
from t2igan.networks.mirrorgan import GLAM, MirrorGANGenerator, SentenceAttention
from t2igan.networks.stream import SmallCaptionEncoder
from t2igan.nn.config import build, config_of
from t2igan.text import TextEmbedding

DIM = 16
SMALL = {"image_size": 16, "stages": 2, "channels": 4, "noise_dim": 8, "sentence_dim": DIM, "eps_dim": 6}
LENGTHS = torch.tensor([7, 2, 5, 3])


def embedding(lengths=LENGTHS, dim=DIM):
    """Captions of these lengths; a caption's vectors depend on its place in the batch alone."""
    words = torch.randn(len(lengths), dim, 9, generator=torch.Generator().manual_seed(1))
    sentence = torch.randn(len(lengths), dim, generator=torch.Generator().manual_seed(2))
    padding = torch.arange(int(lengths.max())) >= lengths[:, None]
    return TextEmbedding(sentence, words[..., : lengths.max()] * ~padding[:, None], padding)


def draw(text, rows=slice(None), **options):
    """The finest images of a small generator, always of the same weights, in eval mode."""
    torch.manual_seed(0)
    generator = MirrorGANGenerator(**(SMALL | options)).eval()
    random = torch.randn(len(LENGTHS), generator.random_dim, generator=torch.Generator().manual_seed(3))[rows]
    with torch.no_grad():
        return generator.from_random(random, text).images[-1]


def test_tensors_are_those_of_the_released_checkpoint():
    manifest = json.loads((GOLDEN_FOLDER / "manifests" / "mirrorgan.json").read_text())["modules"]
    (released,) = [module for name, module in manifest.items() if name.startswith("G_NET")]
    with torch.device("meta"):
        own = MirrorGANGenerator().state_dict()
    shapes = {official_name("mirrorgan-generator", key): list(value.shape) for key, value in own.items()}
    assert len(shapes) == len(own)
    assert shapes == {key: shape for key, (shape, _) in released["state"].items()}


# A stage has these beside AttnGAN's: the sentence to C, C to C, and the three maps of width C to two.
COCO_STAGE = (100 + 1) * 48 + 48 * 48 + 3 * 48 * 2 * 48


@pytest.mark.parametrize(
    ("options", "parameters"),
    [({}, 7_105_392), ({"channels": 48, "residual_blocks": 3}, 13_811_456 + 2 * COCO_STAGE)],
)
def test_number_of_parameters(options, parameters):
    with torch.device("meta"):
        network = MirrorGANGenerator(**options)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_sentence_attention_sums_to_one_over_what_is_said():
    features, condition = torch.randn(2, 5, 4, 4), torch.randn(2, 3)
    torch.manual_seed(0)
    over_channels = SentenceAttention(5, 3)
    over_places = SentenceAttention(5, 3, softmax="spatial")
    over_places.load_state_dict(over_channels.state_dict())
    context, attention = over_channels(features, condition)
    assert torch.allclose(attention.sum(dim=1), torch.ones(2, 4, 4))
    assert torch.allclose(context, over_channels.project(condition)[:, :, None, None] * attention)
    assert torch.allclose(over_places(features, condition)[1].sum(dim=(2, 3)), torch.ones(2, 5))


def test_glam_reads_the_words_and_the_sentence():
    torch.manual_seed(0)
    glam, text = GLAM(4, DIM, 6), embedding()
    features, condition = torch.randn(4, 4, 3, 3), torch.randn(4, 6)
    of_words, of_sentence, attention = glam(features, text, condition)
    assert of_words.shape == of_sentence.shape == features.shape and attention.shape == (4, 7, 3, 3)
    assert torch.allclose(attention.sum(dim=1), torch.ones(4, 3, 3))
    assert (attention * text.padding[:, :, None, None]).max() == 0
    other_words = TextEmbedding(text.sentence, text.words.flip(0) + 1, text.padding)
    one, other, _ = glam(features, other_words, condition)
    assert torch.equal(other, of_sentence) and not torch.allclose(one, of_words)
    one, other, _ = glam(features, text, condition + 1)
    assert torch.equal(one, of_words) and not torch.allclose(other, of_sentence)


@pytest.mark.parametrize("softmax", ["channels", "spatial"])
def test_an_image_does_not_depend_on_the_other_captions(softmax):
    whole = draw(embedding(), sentence_softmax=softmax)
    order = torch.tensor([2, 0, 3])
    assert torch.allclose(draw(embedding().select(order), order, sentence_softmax=softmax), whole[order], atol=1e-6)
    other_lengths = embedding(torch.tensor([7, 9, 5, 1]))
    assert torch.allclose(draw(other_lengths, sentence_softmax=softmax)[[0, 2]], whole[[0, 2]], atol=1e-6)


def test_with_the_released_mask_it_does():
    whole = draw(embedding(), legacy_mask=True)
    order = torch.tensor([2, 0, 3])
    permuted = draw(embedding().select(order), order, legacy_mask=True)
    assert not torch.allclose(permuted, whole[order], atol=1e-3)
    other_lengths = draw(embedding(torch.tensor([7, 7, 5, 1])), legacy_mask=True)
    assert not torch.allclose(other_lengths[[0, 2]], whole[[0, 2]], atol=1e-3)
    assert not torch.allclose(draw(embedding()), whole, atol=1e-3)


def test_the_options_are_part_of_the_config():
    generator = MirrorGANGenerator(**SMALL, legacy_mask=True, sentence_softmax="spatial")
    again = build(config_of(generator))
    assert again.stages[0].attention.words.legacy_mask
    assert again.stages[0].attention.sentence.softmax == "spatial"
    assert again.image_sizes == [8, 16] and again.random_dim == 8 + 6


@pytest.fixture(scope="module")
def captioner(birds, tmp_path_factory):
    """Checkpoint of a small STREAM that has seen enough to care for the image."""
    folder = tmp_path_factory.mktemp("stream")
    pl.seed_everything(0)
    stream = STREAM(SmallCaptionEncoder(dim=8, channels=4, image_size=16), hidden_dim=12, lr=0.03)
    settings = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(accelerator="cpu", max_steps=40, default_root_dir=folder, limit_val_batches=0, **settings)
    trainer.fit(stream, datamodule=birds())
    trainer.save_checkpoint(folder / "stream.ckpt")
    return str(folder / "stream.ckpt")


@pytest.fixture
def small_mirrorgan(damsm_checkpoint, captioner):
    """Makes small MirrorGANs, always from the same initial weights."""

    def make(**options):
        torch.manual_seed(0)
        settings = {"damsm": damsm_checkpoint, "captioner": captioner, "discriminator_channels": 4}
        return MirrorGAN(generator=MirrorGANGenerator(**SMALL), **(settings | options))

    return make


def test_the_defaults_are_those_of_the_released_training():
    module = MirrorGAN(damsm="some.ckpt", captioner="other.ckpt", channels=2, discriminator_channels=2)
    told, divergence = module.generator_losses
    assert (told.name, told.captioner, told.weight, told.reduction) == ("redescription", "other.ckpt", 10, "mean")
    assert (divergence.name, divergence.weight) == ("kl", 1)
    assert [discriminator.image_size for discriminator in module.discriminators] == [64, 128, 256]
    assert all(type(discriminator) is AttnGANDiscriminator for discriminator in module.discriminators)
    assert (module.lr_generator, module.lr_discriminator, module.betas) == (2e-4, 2e-4, (0.5, 0.999))
    assert module.ema_decay == 0.999 and module.text_mode == "frozen"


def test_a_damsm_term_may_be_added():
    module = MirrorGAN("some.ckpt", "other.ckpt", channels=2, discriminator_channels=2, damsm_weight=5)
    assert {loss.name: loss.weight for loss in module.generator_losses} == {
        "redescription": 10,
        "damsm": 5,
        "kl": 1,
    }


def test_a_captioner_is_needed_unless_its_loss_has_no_weight():
    with pytest.raises(UserError, match=r"set model\.init_args\.captioner"):
        MirrorGAN(damsm="some.ckpt", channels=2, discriminator_channels=2)
    module = MirrorGAN(damsm="some.ckpt", channels=2, discriminator_channels=2, redescription_weight=0)
    assert [loss.name for loss in module.generator_losses] == ["kl"]


def test_two_steps_on_drawn_birds(small_mirrorgan, train, tmp_path):
    module = small_mirrorgan()
    before = {name: value.clone() for name, value in module.generator.state_dict().items()}
    trainer = train(module, max_steps=2)
    now = module.generator.state_dict()
    assert not [name for name in before if torch.equal(now[name], before[name]) and "num_batches" not in name]
    values = trainer.callback_metrics
    assert {"train/loss_d_8", "train/loss_d_16", "train/loss_g_redescription", "train/loss_g_kl"} <= set(values)
    assert all(value.isfinite() for value in values.values())

    trainer.save_checkpoint(tmp_path / "mirrorgan.ckpt")
    saved = torch.load(tmp_path / "mirrorgan.ckpt", weights_only=True)["state_dict"]
    assert not [key for key in saved if "stream" in key or key.startswith("judge")]
    again = load_module(tmp_path / "mirrorgan.ckpt")
    noise, captions, lengths = torch.randn(2, 14), torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2])
    generated = [one.synthesise(noise, captions, lengths, "raw").images[-1] for one in (module, again)]
    assert torch.equal(*generated)


def validated(module, train, **options):
    """What validation finds after training."""
    trainer = train(module, limit_val_batches=2, check_val_every_n_epoch=None, **options)
    return trainer.validate(module, datamodule=trainer.datamodule, verbose=False)[0]["val/redescription"]


def test_redescription_makes_images_that_are_told_back_better(small_mirrorgan, train):
    """With and without the loss, from the same weights and noise; both are measured."""
    losses = {0.0: 0.0, 100.0: 0.0}
    for weight in losses:
        for seed in (0, 1):
            options = {"redescription_weight": weight, "lr_generator": 1e-2, "ema_decay": None, "seed": seed}
            losses[weight] += validated(small_mirrorgan(**options), train, max_steps=25, val_check_interval=25)
    assert losses[100.0] < losses[0.0] - 0.002


def test_validation_measures_the_loss_of_a_word(small_mirrorgan, train, birds):
    module = small_mirrorgan(redescription_weight=0.0)
    told = validated(module, train, max_steps=1, val_check_interval=1)
    data = birds()
    data.setup()
    stream, losses, words = load_module(module.generator_losses[0].captioner), 0.0, 0
    for number, batch in enumerate(data.val_dataloader()):
        if number == 2:
            break
        images = module.predict_step(data.on_after_batch_transfer(batch, 0), number)
        with torch.no_grad():
            features = stream.encoder(images)
            losses -= stream.decoder.log_probabilities(features, batch.captions, batch.lengths).sum().item()
        words += int(batch.lengths.sum())
    assert told == pytest.approx(losses / words, rel=1e-5)
