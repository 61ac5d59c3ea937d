import re

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import RichProgressBar
from torch.utils.data import DataLoader

from t2igan.callbacks.progress import LineProgress, StepBar


class Line(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        loss = self.layer(batch).square().mean()
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def printed(tmp_path, capsys, **options):
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=3,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[LineProgress(**options)],
    )
    trainer.fit(Line(), DataLoader(torch.ones(3, 1)))
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("step")]


def test_a_line_says_where_training_is(tmp_path, capsys):
    lines = printed(tmp_path, capsys, every_seconds=0, first_seconds=0)
    assert len(lines) == 3
    assert re.fullmatch(r"step 2/3, \d+\.\d\d s each, 0\.0 min left, loss \d+\.\d\d", lines[1])


def test_lines_keep_their_distance(tmp_path, capsys):
    """The first comes sooner: who watches wants to know how long it will take."""
    assert printed(tmp_path, capsys, every_seconds=60, first_seconds=60) == []
    first, last = printed(tmp_path, capsys, every_seconds=60, first_seconds=0)
    assert first.startswith("step 1/3, ") and last.startswith("step 3/3, ")  # the end is told at once


def test_the_bar_says_steps_of_how_many(tmp_path):
    """Lightning's own says "Epoch 1/-2" where the steps are limited."""
    descriptions = []

    class Watched(StepBar):
        def on_train_batch_end(self, *arguments):
            super().on_train_batch_end(*arguments)
            descriptions.append(self.progress.tasks[self.train_progress_bar_id].description)

    trainer = pl.Trainer(
        accelerator="cpu", max_steps=4, logger=False, enable_checkpointing=False, callbacks=[Watched()]
    )
    trainer.fit(Line(), DataLoader(torch.ones(3, 1)))
    assert descriptions[0] == "step 1 of 4; epoch 1" and descriptions[3] == "step 4 of 4; epoch 2"


def test_the_bar_reads_losses_where_they_are_logged_alone(monkeypatch):
    """On a GPU each reading waits for the step to end."""
    read, theirs = [], RichProgressBar.get_metrics

    def reading(bar, trainer, module):
        read.append(trainer.global_step)
        return theirs(bar, trainer, module)

    monkeypatch.setattr(RichProgressBar, "get_metrics", reading)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
    trainer = pl.Trainer(accelerator="cpu", max_steps=7, log_every_n_steps=3, callbacks=[StepBar()], **quiet)
    trainer.fit(Line(), DataLoader(torch.ones(7, 1)))
    assert {1, 3, 6} <= set(read) <= {0, 1, 3, 6, 7}
