"""SPADE and what it is trained against, on drawn birds with layouts made of their brightness."""

from dataclasses import replace

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from layout_fixture import told, with_quarters
from test_several_devices import fit
from torch import nn

from t2igan.callbacks.samples import SampleGrid
from t2igan.data.datamodule import DrawnBirds
from t2igan.errors import UserError
from t2igan.layout.planes import LABELS
from t2igan.models.spade import SPADEGAN
from t2igan.models.suite_module import load_module
from t2igan.networks.dfgan import OneWayDiscriminator
from t2igan.networks.layout_discriminators import FPSEDiscriminator, PatchDiscriminator
from t2igan.networks.spade import SPADE, SPADEGenerator

SIZE = 16


class BirdsWithLayouts(DrawnBirds):
    """Labels are levels of brightness, segments are the four quarters."""

    def require(self, needed, who):
        """Everything is there."""

    def on_after_batch_transfer(self, batch, dataloader_idx):
        batch = super().on_after_batch_transfer(batch, dataloader_idx)
        labels = (batch.images.float().mean(dim=1) // 32).to(torch.uint8)
        return replace(batch, layouts=with_quarters(labels))


@pytest.fixture
def labels():
    return torch.randint(0, 182, (3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def small(**options):
    torch.manual_seed(0)
    networks = {
        "generator": SPADEGenerator(SIZE, 4, start=4, middle_blocks=1, hidden=4, embed=6),
        "discriminators": [
            PatchDiscriminator(SIZE, 4, layers=2, scale=scale, embed=6, adversarial_weight=0.5) for scale in (1, 2)
        ],
    }
    return SPADEGAN(**(networks | options))


@pytest.fixture
def data(drawn_birds_store):
    return BirdsWithLayouts(str(drawn_birds_store), image_size=SIZE, batch_size=8, num_workers=0)


# ------------------------------------------------------------------------------------------------------- planes


# ---------------------------------------------------------------------------------------------------- generator


def test_the_papers_widths():
    generator = SPADEGenerator(256, 1, hidden=1, embed=1)
    assert [block.conv2.weight_bar.shape[0] for block in generator.blocks] == [16, 16, 16, 8, 4, 2, 1]


def test_without_gamma_and_beta_it_is_plain_normalisation():
    layer, features = SPADE(4, 3, 2), torch.randn(5, 4, 6, 6)
    nn.init.zeros_(layer.modulation.weight)
    nn.init.zeros_(layer.modulation.bias)
    assert torch.allclose(
        layer(features, torch.randn(5, 3, 6, 6)), F.batch_norm(features, None, None, training=True)
    )


@pytest.mark.parametrize("noise_dim", [0, 8])
def test_a_corner_of_the_map_decides_that_corner(labels, noise_dim):
    torch.manual_seed(1)
    generator = SPADEGenerator(64, 8, start=8, middle_blocks=1, hidden=16, noise_dim=noise_dim).eval()
    labels = labels.repeat_interleave(4, 1).repeat_interleave(4, 2)
    changed, noise = labels.clone(), torch.randn(3, noise_dim)
    changed[:, :16, :16] = (changed[:, :16, :16] + 50) % LABELS
    with torch.no_grad():
        one, other = (generator.from_random(noise, told(each)).images[0] for each in (labels, changed))
    moved = (one - other).abs().mean(dim=(0, 1))
    assert moved[:16, :16].mean() > 20 * moved[32:, 32:].mean()


def test_noise_makes_images_of_one_layout_differ(labels):
    generator = SPADEGenerator(SIZE, 4, start=4, hidden=4, noise_dim=8).eval()
    one, other = (generator.from_random(torch.randn(3, 8), told(labels)).images[0] for _ in range(2))
    assert not torch.allclose(one, other)


def test_a_side_that_is_no_doubling_of_the_start_is_refused():
    with pytest.raises(UserError, match="image_size 48 is not start 8 doubled"):
        SPADEGenerator(48)


# ------------------------------------------------------------------------------------------------ discriminators


# -------------------------------------------------------------------------------------------------------- losses


# ------------------------------------------------------------------------------------------------------ training


def test_the_preset_is_the_papers():
    module = SPADEGAN(32, 2, 2, hidden=2, embed=2)
    assert [(each.label, each.adversarial_weight) for each in module.discriminators] == [("32", 0.5), ("16", 0.5)]
    assert module.requires == {"captions", "layouts"}
    assert (module.lr_generator, module.lr_discriminator, module.betas) == (1e-4, 4e-4, (0.0, 0.9))


@pytest.mark.parametrize("name", ["patch", "fpse", "mismatch"])
def test_it_trains_and_logs_each_discriminator(data, train, name):
    module = small(mismatch="roll") if name == "mismatch" else small()
    if name == "fpse":
        data.image_size, data.allow_upsampling = 32, True
        module = small(
            generator=SPADEGenerator(32, 4, hidden=4, embed=6), discriminators=[FPSEDiscriminator(32, 4)]
        )
    before = {key: value.clone() for key, value in module.state_dict().items()}
    trainer = train(module, data, max_steps=2)
    logged = set(trainer.callback_metrics)
    assert {"train/loss_d", "train/loss_g", "train/loss_g_feature_matching"} <= logged
    assert ("train/margin_8" in logged) == (name != "fpse")
    assert ("train/logits_wrong_16" in logged) == (name == "mismatch")
    after = module.state_dict()
    moved = {key.split(".")[0] for key, value in before.items() if not torch.equal(value, after[key])}
    assert {"generator", "discriminators"} <= moved


def test_the_pyramid_needs_a_side_that_can_be_halved_five_times():
    with pytest.raises(UserError, match="image_size is 48, but must be a multiple of 32"):
        FPSEDiscriminator(48)


def test_data_without_layouts_are_refused_by_name(birds, train):
    with pytest.raises(UserError, match="layouts"):
        train(small(), birds())


def test_text_networks_are_refused_where_there_is_no_text():
    with pytest.raises(UserError, match="sentence_dim is 16"):
        small(discriminators=[OneWayDiscriminator(SIZE, 4, sentence_dim=16)])


def test_a_checkpoint_alone_makes_images_of_layouts(data, train, tmp_path, labels):
    train(small(), data, max_steps=1).save_checkpoint(tmp_path / "spade.ckpt")
    module = load_module(tmp_path / "spade.ckpt")
    captions, lengths = torch.ones(3, 2, dtype=torch.long), torch.tensor([2, 1, 2])
    inputs = torch.zeros(3, 0), captions, lengths
    made = module.synthesise(*inputs, layouts=told(labels).layouts).images[0]
    assert made.shape == (3, 3, SIZE, SIZE)
    with pytest.raises(UserError, match="SPADEGenerator generates images from layouts, not from captions"):
        module.synthesise(*inputs)


def test_sheets_show_the_layouts(data, tmp_path):
    shown = []
    samples = SampleGrid(every_n_steps=1, captions=2)
    samples._sheet = lambda *given: shown.append(given) or SampleGrid._sheet(*given)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False, "limit_val_batches": 0}
    trainer = pl.Trainer(accelerator="cpu", max_steps=1, default_root_dir=tmp_path, callbacks=[samples], **quiet)
    trainer.fit(small(), datamodule=data)
    layouts = shown[0][-1]
    assert layouts.labels.shape == (2, SIZE, SIZE)
    without = SampleGrid._sheet(*shown[0][:-1], None)
    assert SampleGrid._sheet(*shown[0]).height > without.height
    assert (tmp_path / "samples" / "step_000001.png").is_file()


def test_two_devices_train_as_one(drawn_birds_store, tmp_path):
    found = []
    for devices in (1, 2):
        pl.seed_everything(0)
        store = str(drawn_birds_store)
        data = BirdsWithLayouts(store, image_size=SIZE, batch_size=16 // devices, num_workers=0)
        found.append(fit(small(), data, tmp_path / f"{devices}.pt", devices))
    one, two = found
    torch.testing.assert_close(one["losses"], two["losses"], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(one["weights"], two["weights"], rtol=1e-9, atol=1e-9)


def test_a_resumed_run_is_the_uninterrupted_one(data, train, tmp_path):
    whole, resumed = small(), small()
    train(whole, data, max_steps=3)
    train(small(), data, max_steps=2).save_checkpoint(tmp_path / "two.ckpt")
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False, "limit_val_batches": 0}
    trainer = pl.Trainer(accelerator="cpu", max_steps=3, default_root_dir=tmp_path, **quiet)
    trainer.fit(resumed, datamodule=data, ckpt_path=tmp_path / "two.ckpt")
    own, theirs = whole.state_dict(), resumed.state_dict()
    assert all(torch.equal(own[key], theirs[key]) for key in own)
