import copy

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from t2igan.models.dmgan import DMGAN
from t2igan.models.suite_module import load_module
from t2igan.networks.dmgan import DMGANDiscriminator, DMGANGenerator
from t2igan.nn.spectral import SpectralConv2d
from t2igan.text import TextEmbedding

DIM = 16


@pytest.fixture
def small_dmgan(damsm_checkpoint):
    """Makes small DM-GANs of two images, 8 and 16 pixels, always from the same initial weights."""

    def make(**options):
        torch.manual_seed(0)
        generator = DMGANGenerator(16, 2, 4, 1, noise_dim=8, sentence_dim=DIM, eps_dim=4)
        return DMGAN(damsm_checkpoint, generator=generator, discriminator_channels=4, **options)

    return make


def ragged(lengths, width=DIM):
    """Embeddings of captions of different lengths; as in the text encoder, nothing stands in the padding."""
    padding = torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None]
    words = torch.randn(len(lengths), width, max(lengths)).masked_fill(padding[:, None], 0)
    return TextEmbedding(torch.randn(len(lengths), width), words, padding)


def picked(text, rows):
    length = int((~text.padding[rows]).sum(dim=1).max())
    return TextEmbedding(text.sentence[rows], text.words[rows, :, :length], text.padding[rows, :length])


@pytest.mark.parametrize("legacy", [False, True])
def test_an_image_does_not_depend_on_its_batch_unless_asked_to(legacy):
    torch.manual_seed(0)
    generator = DMGANGenerator(32, 3, 4, 1, sentence_dim=DIM, legacy_mask=legacy).eval()
    text, noise, eps = ragged([9, 6, 4, 2]), torch.randn(4, 100), torch.randn(4, 100)
    whole, rows = generator(noise, text, eps), torch.tensor([2, 1, 3])
    part = generator(noise[rows], picked(text, rows), eps[rows])
    assert torch.allclose(whole.images[0][rows], part.images[0], atol=1e-6)
    for finer in (1, 2):
        assert torch.allclose(whole.images[finer][rows], part.images[finer], atol=1e-5) != legacy


def test_sides_of_images_and_attention():
    generated = DMGANGenerator(32, 3, 4, 1, sentence_dim=DIM)(torch.randn(2, 100), ragged([5, 3]))
    assert [image.shape for image in generated.images] == [(2, 3, side, side) for side in (8, 16, 32)]
    assert [weights.shape for weights in generated.attention] == [(2, 5, side, side) for side in (8, 16)]
    assert generated.mu.shape == generated.logvar.shape == (2, 100)


@pytest.mark.parametrize(("residual_blocks", "parameters"), [(2, 21_449_042), (3, 22_335_314)])
def test_size_at_the_widths_of_cub_and_coco(residual_blocks, parameters):
    with torch.device("meta"):
        generator = DMGANGenerator(residual_blocks=residual_blocks)
    assert sum(parameter.numel() for parameter in generator.parameters()) == parameters


def test_memory_is_written_from_words_where_the_gate_is_open_and_from_the_image_where_it_is_shut():
    torch.manual_seed(0)
    stage = DMGANGenerator(16, 2, 4, 1, sentence_dim=DIM).stages[0]
    features, words = torch.randn(2, 4, 8, 8), torch.randn(2, DIM, 3).abs()
    from_words = stage.memory_from_word(words)
    from_image = stage.memory_from_image(features.mean(dim=(2, 3))[..., None]).expand(-1, -1, 3)
    nn.init.zeros_(stage.gate_from_image.weight)
    for strength, want in ((100, from_words), (-100, from_image), (0, (from_words + from_image) / 2)):
        nn.init.constant_(stage.gate_from_word.weight, strength)
        assert torch.allclose(stage.write(features, words), want, atol=1e-6)


def test_a_shut_response_gate_leaves_the_image_alone():
    torch.manual_seed(0)
    stage = DMGANGenerator(16, 2, 4, 1, sentence_dim=DIM).stages[0].eval()
    nn.init.zeros_(stage.response_gate[0].weight)
    features, one, other = torch.randn(2, 4, 8, 8), ragged([5, 3]), ragged([4, 4])
    for bias, same in ((-100.0, True), (0.0, False)):
        nn.init.constant_(stage.response_gate[0].bias, bias)
        assert torch.equal(stage(features, one, None)[0], stage(features, other, None)[0]) == same


def test_discriminators_are_normalised_spectrally_but_for_their_heads():
    discriminator = DMGANDiscriminator(256, 4, DIM)
    convolutions = [part for part in discriminator.modules() if isinstance(part, (nn.Conv2d, SpectralConv2d))]
    plain = [part for part in convolutions if isinstance(part, nn.Conv2d)]
    assert plain == [discriminator.pair_head, discriminator.picture_head]
    assert len(convolutions) == 11
    assert all(part.bias is not None for part in convolutions)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in discriminator.modules())
    for part in convolutions:
        rows = (part.weight if part in plain else part.weight_bar).detach().flatten(1)
        assert torch.allclose(torch.linalg.svdvals(rows), torch.ones(1), atol=1e-4)


def test_eval_mode_of_the_legacy_discriminator_depends_on_the_number_of_calls():
    torch.manual_seed(0)
    images = torch.randn(2, 3, 16, 16)
    for legacy in (False, True):
        discriminator = DMGANDiscriminator(16, 4, DIM, legacy_power_iteration=legacy).eval()
        for parameter in discriminator.parameters():
            nn.init.normal_(parameter)
        assert torch.equal(discriminator(images), discriminator(images)) != legacy


def power_vectors(module):
    state = module.discriminators.state_dict()
    return {key: value.clone() for key, value in state.items() if key.endswith(("weight_u", "weight_v"))}


@pytest.mark.parametrize(("legacy", "precision"), [(False, "32-true"), (True, "32-true"), (False, "bf16-mixed")])
def test_training_moves_all_weights_and_no_optimiser_touches_the_vectors(small_dmgan, train, legacy, precision):
    module = small_dmgan(legacy_power_iteration=legacy)
    before = copy.deepcopy(module.state_dict())
    trainer = train(module, max_steps=2, precision=precision)
    after = module.state_dict()
    trained = [
        *module.generator.named_parameters("generator"),
        *module.discriminators.named_parameters("discriminators"),
    ]
    for key, value in trained:
        assert value.isfinite().all(), key
        assert not torch.equal(before[key], after[key]), key
        # The generator's phase switches gradients of the discriminators off and on again.
        assert value.requires_grad != key.endswith(("weight_u", "weight_v"))
    discriminators = trainer.optimizers[1]
    held = {id(parameter) for parameter in discriminators.state}
    assert held == {id(value) for value in module.discriminators.parameters() if value.requires_grad}
    for vector in power_vectors(module).values():
        assert vector.norm().item() == pytest.approx(1, abs=1e-5)


def test_a_resumed_run_is_the_uninterrupted_one_vectors_included(small_dmgan, train, birds, tmp_path):
    whole, resumed = small_dmgan(), small_dmgan()
    train(whole, max_steps=3)
    train(small_dmgan(), max_steps=2).save_checkpoint(tmp_path / "two.ckpt")
    kept, found = power_vectors(load_module(tmp_path / "two.ckpt")), {}
    resumed.on_train_start = lambda: found.update(power_vectors(resumed))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False, "limit_val_batches": 0}
    trainer = pl.Trainer(accelerator="cpu", max_steps=3, default_root_dir=tmp_path, **quiet)
    trainer.fit(resumed, datamodule=birds(), ckpt_path=tmp_path / "two.ckpt")
    assert kept.keys() == found.keys()
    assert all(torch.equal(kept[key], found[key]) for key in kept)
    own, theirs = whole.state_dict(), resumed.state_dict()
    assert all(torch.equal(own[key], theirs[key]) for key in own)


def test_a_checkpoint_says_how_its_discriminators_iterate(small_dmgan, train, tmp_path):
    train(small_dmgan(legacy_power_iteration=True), max_steps=1).save_checkpoint(tmp_path / "gan.ckpt")
    loaded = load_module(tmp_path / "gan.ckpt")
    convolutions = [part for part in loaded.discriminators.modules() if isinstance(part, SpectralConv2d)]
    assert convolutions
    assert all(part.legacy_power_iteration for part in convolutions)


def test_loss_is_that_of_attngan(small_dmgan):
    terms = {term.name: term.weight for term in small_dmgan(damsm_weight=50.0).generator_losses}
    assert terms == {"damsm": 50.0, "kl": 1.0}
