"""Released networks become checkpoints of the suite, and come out of them again."""

from pathlib import Path

import pytest
import torch
from released_weights import SMALL, assert_same, random_fill, released_state

from t2igan.errors import UserError
from t2igan.interop import from_official
from t2igan.interop.assemble import CaptionWords, System, assemble, write_checkpoint
from t2igan.interop.export import network_in, write_official
from t2igan.interop.files import ReleasedNetwork, read_networks, read_weights
from t2igan.interop.kinds import KINDS
from t2igan.interop.networks import LoneNetwork
from t2igan.models.damsm import DAMSM
from t2igan.models.stream import STREAM
from t2igan.models.suite_module import load_module, read_checkpoint
from t2igan.networks.attngan import AttnGANDiscriminator, AttnGANGenerator
from t2igan.networks.stream import SmallCaptionEncoder
from t2igan.nn.config import config_of

WORDS = CaptionWords("captions.pickle", ["<end>", "a", "small", "red", "bird", "with", "blue", "wings", "beak"])
TEXT = {"vocabulary_size": 9, "dim": 8}
DFGAN = SMALL["dfgan"] | {"discriminator": SMALL["dfgan"]["discriminator"] | {"image_size": 32}}


def network(kind, arguments=None, **options):
    made = from_official(kind, released_state(kind, arguments, **options))
    return ReleasedNetwork(kind, made, Path(f"{kind}.pth"), "0" * 64)


def text_encoder(**arguments):
    return network("damsm-text-encoder", TEXT | arguments)


def refused(*networks, words=WORDS):
    with pytest.raises(UserError) as error:
        assemble(networks, words)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.module])
def test_generator_and_text_encoder_make_the_papers_module(kind, tmp_path):
    generated, text = network(kind, DFGAN if kind == "dfgan" else None), text_encoder()
    generator = generated.network
    # Any discriminator does; that of DF-GAN comes with the generator.
    discriminating = {"image_size": generator.image_sizes[-1], "channels": 2, "sentence_dim": 8}
    discriminators = [] if kind == "dfgan" else [network("ssagan-discriminator", discriminating)]
    system = assemble([generated, *discriminators, text], WORDS)
    assert type(system.module) is KINDS[kind].module[0]
    write_checkpoint(system, tmp_path / "system.ckpt")
    module = load_module(tmp_path / "system.ckpt")
    assert type(module) is type(system.module)
    assert module.vocabulary == WORDS.words
    assert [discriminator.image_size for discriminator in module.discriminators] == [generator.image_sizes[-1]]

    captions, lengths = torch.tensor([[1, 2, 3, 4], [4, 3, 0, 0]]), torch.tensor([4, 2])
    random = torch.randn(2, generator.random_dim)
    with torch.no_grad():
        want = generator.from_random(random, text.network(captions, lengths)).images
        drawn_again = module.synthesise(random, captions, lengths).images
    assert all(torch.equal(one, other) for one, other in zip(want, drawn_again, strict=True))


def test_discriminators_go_in_by_size_and_give_logits():
    generator = network("attngan-generator", SMALL["attngan-generator"] | {"image_size": 128, "stages": 2})
    sizes = {"channels": 4, "sentence_dim": 8}
    finer, coarser = (network("attngan-discriminator", sizes | {"image_size": size}) for size in (128, 64))
    assert finer.network.probabilities
    module = assemble([generator, finer, text_encoder(), coarser], WORDS).module
    assert list(module.discriminators) == [coarser.network, finer.network]
    assert not finer.network.probabilities
    assert not config_of(finer.network)["init_args"]["probabilities"]


def test_text_and_image_encoder_make_a_damsm(tmp_path):
    image, text = network("damsm-image-encoder", {"dim": 8}, fill=random_fill), text_encoder()
    system = assemble([image, text], WORDS)
    write_checkpoint(system, tmp_path / "damsm.ckpt")
    module = load_module(tmp_path / "damsm.ckpt")
    assert isinstance(module, DAMSM)
    assert module.vocabulary == WORDS.words
    assert {place: set(part) for place, part in module.imported.items()} == {
        place: {"kind", "file", "sha256"} for place in ("text_encoder", "image_encoder")
    }
    assert_same(dict(module.text_encoder.state_dict()), dict(text.network.state_dict()))
    assert_same(dict(module.image_encoder.state_dict()), dict(image.network.state_dict()))
    for part, say in ((None, "--part is missing"), ("generator", "no part 'generator'")):
        with pytest.raises(UserError, match=f"{say}; DAMSM has text_encoder, image_encoder"):
            network_in(tmp_path / "damsm.ckpt", part)
    back = network_in(tmp_path / "damsm.ckpt", "text_encoder")
    write_official(back, tmp_path / "text_encoder.pth")
    assert_same(read_weights(tmp_path / "text_encoder.pth"), released_state("damsm-text-encoder", TEXT))


def test_both_halves_of_a_captioner_make_a_stream():
    # Quicker to make than a ResNet-152, and assembled alike.
    encoder = ReleasedNetwork("stream-cnn", SmallCaptionEncoder(dim=6, image_size=16), Path("cnn.ckpt"), "")
    decoder = network("stream-rnn", {"vocabulary_size": 9, "embedding_dim": 6, "hidden_dim": 5})
    module = assemble([decoder, encoder], WORDS).module
    assert isinstance(module, STREAM)
    assert module.vocabulary == WORDS.words
    assert module.encoder is encoder.network
    assert_same(dict(module.decoder.state_dict()), dict(decoder.network.state_dict()))
    assert config_of(module)["init_args"]["hidden_dim"] == 5


@pytest.mark.parametrize("kind", ["attngan-generator", "dmgan-discriminator", "stream-rnn"])
def test_a_network_by_itself_is_kept(kind, tmp_path):
    write_checkpoint(assemble([network(kind)]), tmp_path / "lone.ckpt")
    module = load_module(tmp_path / "lone.ckpt")
    assert isinstance(module, LoneNetwork)
    assert not module.training
    assert_same(dict(module.network.state_dict()), dict(network(kind).network.state_dict()))


@pytest.mark.parametrize("kind", ["ssagan-generator", "dfgan"])
def test_a_checkpoint_remembers_the_form_of_the_file(kind, tmp_path):
    released = released_state(kind, prefix="module.", counters=False)
    torch.save(released, tmp_path / "released.pth")
    torch.save(released_state("damsm-text-encoder", TEXT), tmp_path / "text.pth")
    alone = assemble(read_networks([tmp_path / "released.pth"]))
    write_checkpoint(alone, tmp_path / "alone.ckpt")
    said = read_checkpoint(tmp_path / "alone.ckpt")["t2igan"]["imported"]["network"]
    assert (said["kind"], said["file"], len(said["sha256"])) == (kind, "released.pth", 64)
    tensors = write_official(network_in(tmp_path / "alone.ckpt"), tmp_path / "back.pth")
    back = read_weights(tmp_path / "back.pth")
    want = released if kind != "dfgan" else {"model": released["model"]}
    assert_same(back, want)
    assert tensors == len(alone.module.network.official.names)


def test_a_container_comes_back_from_its_system(tmp_path):
    system = assemble([network("dfgan", DFGAN), text_encoder()], WORDS)
    write_checkpoint(system, tmp_path / "dfgan.ckpt")
    write_official(network_in(tmp_path / "dfgan.ckpt"), tmp_path / "back.pth")
    assert_same(read_weights(tmp_path / "back.pth"), {"model": released_state("dfgan", DFGAN)["model"]})


def test_averaged_weights_are_handed_back(tmp_path):
    module = KINDS["attngan-generator"].module[0](
        generator=AttnGANGenerator(16, 2, 2, sentence_dim=8),
        discriminators=[AttnGANDiscriminator(16, 4, 8)],
        generator_losses=[],
        text_mode="joint",
        vocabulary_size=9,
    )
    module.configure_model()
    with torch.no_grad():
        module.averages["generator"].module.augmentation.fc.bias.fill_(7)
    write_checkpoint(System(module, {}), tmp_path / "trained.ckpt")
    for weights, value in (("ema", 7), ("raw", 0)):
        write_official(network_in(tmp_path / "trained.ckpt", weights=weights), tmp_path / "netG.pth")
        assert (read_weights(tmp_path / "netG.pth")["ca_net.fc.bias"] == value).all()
    with pytest.raises(UserError, match="none for 16 px"):
        write_official(network_in(tmp_path / "trained.ckpt", "discriminators.0"), tmp_path / "netD.pth")


# ------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(("rows", "count"), [(5450, 5453), (5453, 5450), (9, 8)])
def test_the_vocabulary_must_have_the_encoders_size(rows, count):
    text = text_encoder(vocabulary_size=rows)
    words = CaptionWords("captions.pickle", ["<end>", *map(str, range(count - 1))])
    for others in ([network("attngan-generator")], []):
        said = refused(*others, text, words=words)
        assert f"damsm-text-encoder.pth was trained on {rows:,} words, captions.pickle has {count:,}" in said
        assert ("MirrorGAN's bird_captions.pickle" in said) == (5453 in (rows, count))


def test_systems_need_captions():
    for networks in ([network("attngan-generator"), text_encoder()], [network("dfgan"), text_encoder()]):
        assert "--captions_pickle is missing" in refused(*networks, words=None)


@pytest.mark.parametrize(
    ("networks", "say"),
    [
        (lambda: [text_encoder(), text_encoder()], "more than one text encoder: damsm-text-encoder.pth"),
        (lambda: [network("attngan-generator"), network("ssagan-generator")], "more than one generator"),
        (lambda: [network("attngan-generator"), network("stream-rnn")], "do not form a system"),
        (lambda: [network("attngan-generator")], "give that too; attngan-generator has no words"),
        (lambda: [network("attngan-generator"), text_encoder(dim=10)], "vectors of 8 numbers"),
        (
            lambda: [
                network("attngan-generator"),
                text_encoder(),
                network("ssagan-discriminator", {"channels": 2}),
            ],
            "vectors of 256 numbers",
        ),
        (lambda: [network("attngan-generator"), text_encoder(cell="gru")], "this one has gru and 300"),
        (lambda: [network("attngan-generator"), text_encoder(embedding_dim=6)], "this one has lstm and 6"),
    ],
)
def test_what_does_not_belong_together_is_refused(networks, say):
    assert say in refused(*networks())


def test_a_discriminator_of_another_size_is_refused():
    discriminator = network("ssagan-discriminator", {"image_size": 64, "channels": 2, "sentence_dim": 8})
    assert "takes images of 64 px, but the generator returns [16] px" in refused(
        network("ssagan-generator"), text_encoder(), discriminator
    )


def test_a_generator_comes_without_discriminators_that_nobody_gave():
    assert not assemble([network("attngan-generator"), text_encoder()], WORDS).module.discriminators
