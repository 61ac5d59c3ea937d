from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from t2igan.callbacks.samples import MOST_ATTENTION, SampleGrid
from t2igan.data.datamodule import DrawnBirds
from t2igan.models import Synthesis

CAPTIONS = 6


class Remembering(WandbLogger):
    """Keeps what would go to wandb."""

    def __init__(self):
        super().__init__(offline=True)
        self.images = {}

    def log_image(self, key, images, step=None, **kwargs):
        self.images[key] = SimpleNamespace(images=images, step=step, **kwargs)


class Painter:
    """Draws grey images; each word looks at the left half, the mask covers all."""

    device = torch.device("cpu")
    generator = SimpleNamespace(random_dim=4)

    def __init__(self, attention=True, masks=True):
        self.attention, self.masks = attention, masks

    def synthesise(self, noise, captions, lengths, layouts=None):
        count, words = captions.shape
        attention = torch.zeros(count, words, 4, 4)
        attention[..., :2] = 1 / 8
        return Synthesis(
            images=[torch.zeros(count, 3, 8, 8), torch.zeros(count, 3, 16, 16)],
            attention=[attention] if self.attention else [],
            masks=[torch.ones(count, 1, 8, 8)] if self.masks else [],
        )


@pytest.fixture
def trainer(drawn_birds_store, tmp_path):
    data = DrawnBirds(str(drawn_birds_store), image_size=16, batch_size=4, num_workers=0)
    loggers = [Remembering(), TensorBoardLogger(str(tmp_path), name="tensorboard", version="")]
    settings = {"global_step": 7, "sanity_checking": False, "default_root_dir": tmp_path}
    return SimpleNamespace(datamodule=data, loggers=loggers, **settings)


def test_wandb_gets_each_image_with_its_caption(trainer, tmp_path):
    SampleGrid(captions=CAPTIONS).on_train_end(trainer, Painter())
    images = trainer.loggers[0].images
    assert set(images) == {"samples", "images", "masks", "attention"}
    assert len(images["images"].images) == len(images["masks"].images) == CAPTIONS
    assert len(images["attention"].images) == MOST_ATTENTION
    split = trainer.datamodule.test_split
    first = split.caption_text(split.captions_of(0)[0])
    for kind in ("images", "masks", "attention"):
        assert len(images[kind].caption) == len(images[kind].images)
        assert images[kind].caption[0] == first
    assert {one.step for one in images.values()} == {7}
    assert images["images"].images[0].size == (16, 16)
    assert images["masks"].images[0].getpixel((8, 8)) != images["images"].images[0].getpixel((8, 8))
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == ["step_000007.npz", "step_000007.png"]


def test_tensorboard_gets_the_sheet_and_where_words_look(trainer, tmp_path):
    SampleGrid(captions=CAPTIONS).on_train_end(trainer, Painter())
    trainer.loggers[1].finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(events.Tags()["images"]) == {"samples", *(f"attention/{n}" for n in range(MOST_ATTENTION))}


def test_a_generator_without_masks_and_attention(trainer):
    SampleGrid(captions=2).on_train_end(trainer, Painter(attention=False, masks=False))
    assert set(trainer.loggers[0].images) == {"samples", "images"}
