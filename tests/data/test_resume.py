"""Interrupted and resumed training sees what uninterrupted training sees, to the last bit of the weights."""

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from t2igan.data.datamodule import CaptionedImagesModule

pytestmark = pytest.mark.filterwarnings("ignore")
BATCHES = 3  # 15 images, 5 a batch


class TwoOptimizers(pl.LightningModule):
    """Two optimiser steps a batch by hand, as a GAN; remembers what it was shown."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def configure_optimizers(self):
        return [torch.optim.Adam([self.weight], 0.1), torch.optim.Adam([self.weight], 0.05)]

    def training_step(self, batch, batch_index):
        pixels = batch.images.float().mean()
        self.seen.append((self.current_epoch, batch_index, batch.keys, batch.caption_ids.tolist(), pixels.item()))
        for optimizer in self.optimizers():
            optimizer.zero_grad()
            self.manual_backward((self.weight - pixels / 255).square())
            optimizer.step()

    def validation_step(self, batch, batch_index):
        pass


class SaveEverywhere(Callback):
    """A checkpoint wherever ModelCheckpoint may write one, numbered by the batches in it."""

    def __init__(self, folder):
        self.folder = folder
        self.saved = []

    def save(self, trainer, place):
        if trainer.sanity_checking:
            return
        done = trainer.fit_loop.epoch_loop.batch_progress.total.processed
        path = self.folder / f"{done}-{place}.ckpt"
        trainer.save_checkpoint(path)
        self.saved.append((done, place, path))

    def on_train_batch_end(self, trainer, *_):
        self.save(trainer, "batch")

    def on_validation_end(self, trainer, *_):
        self.save(trainer, "validation")

    def on_train_epoch_end(self, trainer, *_):
        self.save(trainer, "epoch")


def train(store, folder, checkpoint=None, workers=0, **options):
    folder.mkdir()
    saver, module = SaveEverywhere(folder), TwoOptimizers()
    data = CaptionedImagesModule(str(store), 32, batch_size=5, num_workers=workers)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        accelerator="cpu", devices=1, enable_checkpointing=False, callbacks=[saver], **quiet, **options
    )
    trainer.fit(module, data, ckpt_path=checkpoint)
    return module, saver.saved


LIMITS = {
    "epochs": {"max_epochs": 3},
    "epochs, no validation": {"max_epochs": 3, "limit_val_batches": 0},
    "steps": {"max_steps": 6 * BATCHES, "max_epochs": -1},
    "steps, no validation": {"max_steps": 6 * BATCHES, "max_epochs": -1, "limit_val_batches": 0},
    "validation within the epoch": {"max_epochs": 3, "val_check_interval": 2},
    "part of an epoch": {"max_epochs": 3, "limit_train_batches": 2},
}


@pytest.mark.parametrize("limit", LIMITS)
def test_every_checkpoint_resumes_exactly_even_twice(tiny_store, tmp_path, limit):
    whole, saved = train(tiny_store, tmp_path / "whole", **LIMITS[limit])
    assert len({tuple(keys) for _, _, keys, *_ in whole.seen}) == len(whole.seen), "every batch is another"
    for done, place, path in saved:
        folder = tmp_path / f"again-{done}-{place}"
        resumed, saved_again = train(tiny_store, folder, path, **LIMITS[limit])
        assert resumed.seen == whole.seen[done:], (done, place)
        assert torch.equal(resumed.weight, whole.weight)
        # Killed once more, soon after: the counters that the resumed run wrote must be right, too.
        for done_again, place_again, path_again in saved_again[:2]:
            folder = tmp_path / f"third-{done}-{place}-{done_again}-{place_again}"
            third, _ = train(tiny_store, folder, path_again, **LIMITS[limit])
            assert third.seen == whole.seen[done_again:], (done, place, done_again, place_again)
            assert torch.equal(third.weight, whole.weight)


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_that_fetch_ahead_resume_exactly(tiny_store, tmp_path, workers):
    whole, saved = train(tiny_store, tmp_path / "whole", workers=workers, max_epochs=3)
    done, _, path = next(entry for entry in saved if entry[0] == BATCHES + 1)
    resumed, _ = train(tiny_store, tmp_path / "again", path, workers=2 - workers, max_epochs=3)
    assert resumed.seen == whole.seen[done:] and torch.equal(resumed.weight, whole.weight)


def test_a_run_ended_by_max_steps_is_prolonged_exactly(tiny_store, tmp_path):
    whole, _ = train(tiny_store, tmp_path / "whole", max_epochs=3)
    first, saved = train(tiny_store, tmp_path / "first", max_steps=2 * (BATCHES + 2), max_epochs=-1)
    assert first.seen == whole.seen[: BATCHES + 2]
    done, place, path = saved[-1]
    assert (done, place) == (BATCHES + 2, "epoch"), "written at an epoch's end that was none"
    for name, limit in (("steps", {"max_steps": 6 * BATCHES, "max_epochs": -1}), ("epochs", {"max_epochs": 3})):
        rest, _ = train(tiny_store, tmp_path / name, path, **limit)
        assert rest.seen == whole.seen[done:], name
        assert torch.equal(rest.weight, whole.weight)


def test_another_batch_size_is_said_aloud(tiny_store, tmp_path):
    _, saved = train(tiny_store, tmp_path / "whole", max_epochs=1)
    data = CaptionedImagesModule(str(tiny_store), 32, batch_size=4, num_workers=0)
    trainer = pl.Trainer(accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False)
    with pytest.warns(UserWarning, match="images per batch 5 -> 4"):
        trainer.fit(TwoOptimizers(), data, ckpt_path=saved[0][2])


def test_overfit_batches_is_refused(tiny_store):
    from t2igan.errors import UserError

    data = CaptionedImagesModule(str(tiny_store), 32, batch_size=5, num_workers=0)
    trainer = pl.Trainer(
        accelerator="cpu", overfit_batches=1, max_epochs=1, logger=False, enable_checkpointing=False
    )
    with pytest.raises(UserError, match="limit_train_batches"):
        trainer.fit(TwoOptimizers(), data)
