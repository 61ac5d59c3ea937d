"""Small real networks, trained for a step or two on drawn birds."""

import pytest
import pytorch_lightning as pl
import torch
from segment_fixture import toy_batch, train_on_scenes

from t2igan.data.datamodule import DrawnBirds
from t2igan.layout.segments import crop_segments
from t2igan.models.conditioner import all_segments
from t2igan.models.damsm import DAMSM, SmallImageEncoder
from t2igan.models.joint_encoder import SegmentEncoder, load_joint_encoder
from t2igan.models.ssagan import SSAGAN
from t2igan.networks.dfgan import OneWayDiscriminator
from t2igan.networks.ssagan import SSAGANGenerator

DIM = 16


@pytest.fixture
def no_orthogonal_weights(monkeypatch):
    """Networks that recorded numbers will fill are made without orthogonal matrices, which take long."""
    monkeypatch.setattr(torch.nn.init, "orthogonal_", lambda tensor, gain=1.0: tensor)


@pytest.fixture(scope="session")
def birds(drawn_birds_store):
    """Makes data modules of the small store: 16 pixels, batches of 8."""

    def make(**options):
        settings = {"image_size": 16, "batch_size": 8, "num_workers": 0} | options
        return DrawnBirds(str(drawn_birds_store), **settings)

    return make


@pytest.fixture(scope="session")
def damsm_checkpoint(birds, tmp_path_factory):
    """A small DAMSM after two steps."""
    folder = tmp_path_factory.mktemp("damsm")
    pl.seed_everything(0)
    module = DAMSM(SmallImageEncoder(dim=DIM, channels=4, image_size=16))
    trainer = quick_trainer(folder, max_steps=2)
    trainer.fit(module, datamodule=birds())
    trainer.save_checkpoint(folder / "damsm.ckpt")
    return str(folder / "damsm.ckpt")


def quick_trainer(folder, **options):
    settings = {
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "limit_val_batches": 0,
    }
    return pl.Trainer(default_root_dir=folder, **(settings | options))


@pytest.fixture
def small_ssagan(damsm_checkpoint):
    """Makes small SSA-GANs, always from the same initial weights."""

    def make(**options):
        torch.manual_seed(0)
        networks = {
            "generator": SSAGANGenerator(16, 4, noise_dim=8, sentence_dim=DIM),
            "discriminators": [OneWayDiscriminator(16, 4, sentence_dim=DIM)],
        }
        return SSAGAN(**({"damsm": damsm_checkpoint} | networks | options))

    return make


@pytest.fixture
def train(birds, tmp_path):
    """Trains a module for some steps and gives its trainer."""

    def run(module, data=None, ckpt_path=None, **options):
        trainer = quick_trainer(tmp_path, **({"max_steps": 3} | options))
        trainer.fit(module, datamodule=data or birds(), ckpt_path=ckpt_path)
        return trainer

    return run


@pytest.fixture(scope="session")
def encoder_path(tmp_path_factory):
    torch.manual_seed(0)
    return train_on_scenes(SegmentEncoder(dim=16, channels=8, width=24), 80, tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def vectors(encoder_path):
    """Of texts and of crops of unseen scenes, and the texts."""
    encoder, batch = load_joint_encoder(encoder_path), toy_batch(48, 10_000)
    segments = all_segments(batch.layouts)
    crops = crop_segments(batch.images, segments, 32)
    return encoder.caption_vectors(segments.flat_texts), encoder.image_vectors(crops), segments.flat_texts


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory):
    torch.manual_seed(0)
    return str(train_on_scenes(SegmentEncoder(dim=8, channels=4, width=8), 2, tmp_path_factory.mktemp("encoder")))
