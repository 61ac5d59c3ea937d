"""Two real processes: Lightning keeps our samplers, shares are disjoint, none is padded."""

import json

import pytest
import pytorch_lightning as pl
import torch

from t2igan.data.datamodule import CaptionedImagesModule

pytestmark = pytest.mark.filterwarnings("ignore")


class Recorder(pl.LightningModule):
    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = {"train": [], "validation": []}

    def configure_optimizers(self):
        return torch.optim.SGD([self.weight], 0.1)

    def training_step(self, batch, batch_index):
        self.seen["train"].append([self.current_epoch, batch.keys, batch.caption_ids.tolist()])
        return self.weight * batch.images.float().mean()

    def validation_step(self, batch, batch_index):
        self.seen["validation"] += batch.caption_ids.tolist()

    def on_train_end(self):
        (self.folder / f"{self.global_rank}.json").write_text(json.dumps(self.seen))


def test_two_processes_share_the_images(tiny_store, tmp_path):
    data = CaptionedImagesModule(str(tiny_store), 32, batch_size=3, num_workers=0, eval_batch_size=4)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp_fork",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(Recorder(tmp_path), data)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    alone = CaptionedImagesModule(str(tiny_store), 32, batch_size=6, num_workers=0)
    expected = []
    for epoch in range(2):
        loader = alone.train_dataloader()
        loader.sampler.set_epoch(epoch)
        expected += [(epoch, batch.keys, batch.caption_ids.tolist()) for batch in loader]
    # In the order of one process, too: sorted by length as a whole, then dealt out.
    together = [(one[0], one[1] + two[1], one[2] + two[2]) for one, two in zip(first["train"], second["train"])]
    assert together == expected and len(first["train"]) == len(second["train"]) == 4
    captions = alone.first_captions()
    assert sorted(first["validation"] + second["validation"]) == sorted(captions * 2), "once per epoch"
