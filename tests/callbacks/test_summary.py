"""What is printed of a model before its training."""

import pytorch_lightning as pl
import torch
from torch import nn

from t2igan.callbacks.summary import NetworkSummary, parameters


def test_parameters_that_two_layers_share_count_once():
    one, other = nn.Linear(3, 4), nn.Linear(3, 4)
    other.weight = one.weight
    other.bias.requires_grad_(False)
    assert parameters(nn.ModuleList([one, other])) == (12 + 4 + 4, 12 + 4)


def test_each_network_is_told_with_what_is_trained_of_it(tmp_path, capsys):
    class Two(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.generator, self.damsm = nn.Linear(99, 150), nn.Linear(10, 4).requires_grad_(False)

        def training_step(self, batch, batch_idx):
            return self.generator(batch).mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.generator.parameters(), lr=0.1)

    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(accelerator="cpu", max_steps=1, callbacks=[NetworkSummary()], **options)
    trainer.fit(Two(), torch.utils.data.DataLoader(torch.ones(1, 99)))
    lines = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()]
    assert ["generator", "Linear", "15", "k", "15", "k"] in lines
    assert ["damsm", "Linear", "44", "0"] in lines
    assert ["all", "Two", "15", "k", "15", "k"] in lines
    assert not [line for line in lines if "FLOPs" in line]
