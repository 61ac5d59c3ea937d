import math

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn
from torch.utils.data import DataLoader

from t2igan.callbacks import watching
from t2igan.callbacks.run_folder import RunCurves, read_curves
from t2igan.callbacks.watching import BestSoFar, GradientNorms, Speed, improved, parameter_counts

SLOPES = torch.tensor([3.0, 4.0])


class TwoNetworks(pl.LightningModule):
    """Loss 3 a + 4 b of the first network, so its gradient's norm is 5, and 2 c of the second; rates fall."""

    def __init__(self, automatic=True):
        super().__init__()
        self.automatic_optimization = automatic
        self.first = nn.Linear(2, 1, bias=False)
        self.second = nn.Linear(1, 1, bias=False)

    def loss(self):
        return (self.first.weight * SLOPES).sum() + 2 * self.second.weight.sum()

    def training_step(self, batch, batch_idx):
        self.log("train/loss", 1.0)
        if self.automatic_optimization:
            return self.loss()
        optimizer = self.optimizers()
        for factor in (1, 10):
            optimizer.zero_grad()
            self.manual_backward(factor * self.loss())
            optimizer.step()
        return None

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", float(10 - self.global_step if self.global_step < 5 else self.global_step))
        self.log("val/unheard_of", 1.0)

    def configure_optimizers(self):
        groups = [{"params": self.first.parameters()}, {"params": self.second.parameters(), "lr": 0.5}]
        optimizer = torch.optim.SGD(groups, lr=0.1)
        if not self.automatic_optimization:
            return optimizer
        fall = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": fall, "interval": "step"}}


def fit(folder, module, callbacks, steps=4, every=1, **options):
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=steps,
        logger=RunCurves(folder),
        log_every_n_steps=every,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        callbacks=callbacks,
        **options,
    )
    loader = DataLoader(torch.ones(6 * 3, 1), batch_size=3)
    trainer.fit(module, loader, DataLoader(torch.ones(1, 1)) if options.get("val_check_interval") else None)
    return trainer, read_curves(folder / "metrics.csv")


def test_norms_are_those_before_clipping_and_rates_those_of_the_step(tmp_path):
    _, rows = fit(tmp_path, TwoNetworks(), [GradientNorms()], gradient_clip_val=1e-3)
    assert [row["gradients/first"] for row in rows] == [5.0] * 4
    assert [row["gradients/second"] for row in rows] == [2.0] * 4
    assert [row["lr/first"] for row in rows] == pytest.approx([0.1 * 0.5**step for step in range(4)])
    assert [row["lr/second"] for row in rows] == pytest.approx([0.5 * 0.5**step for step in range(4)])


def test_two_steps_of_one_optimiser_in_a_batch(tmp_path):
    _, rows = fit(tmp_path, TwoNetworks(automatic=False), [GradientNorms()], steps=2)
    for row in rows:
        assert (row["gradients/first"], row["gradients/first_second"]) == (5.0, 50.0)
        assert row["train/loss"] == 1.0


def test_nothing_is_measured_at_steps_that_are_not_logged(tmp_path, monkeypatch):
    measured = []
    norm = watching.get_total_norm
    monkeypatch.setattr(watching, "get_total_norm", lambda each: measured.append(1) or norm(each))
    _, rows = fit(tmp_path, TwoNetworks(), [GradientNorms(), Speed()], steps=6, every=3)
    assert len(measured) == 2 * 2
    assert [row["step"] for row in rows] == [2, 5]
    assert all("gradients/first" in row and "speed/images_per_second" in row for row in rows)


def test_speed_counts_images_and_tells_waiting_from_working(tmp_path, monkeypatch):
    """A clock that gives 3 s to each step and 1 s to each wait, and much more to the validation after step 2."""
    clock = iter([0, 3, 4, 7, 100, 103, 104, 107])
    monkeypatch.setattr(watching.time, "perf_counter", lambda: next(clock))
    _, rows = fit(tmp_path, TwoNetworks(), [Speed()], every=2, val_check_interval=2)
    rows = [row for row in rows if "speed/images_per_second" in row]
    assert [row["speed/images_per_second"] for row in rows] == pytest.approx([6 / 7, 6 / 7])
    assert [row["speed/waiting_for_data"] for row in rows] == pytest.approx([1 / 7, 1 / 7])


class Pause(Callback):
    """Takes a hundred seconds behind the first step, by the clock that is read."""

    def __init__(self, speed, clock):
        self.speed, self.clock = speed, clock

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 1:
            self.clock.append(self.clock[-1] + 100)
            self.speed.leave_out()


def test_what_is_left_out_is_neither_work_nor_waiting(tmp_path, monkeypatch):
    """Each step takes 3 s, each wait 1 s, and a pause between the first two 100 s."""
    clock, takes = [0.0], iter([0, 3, 1, 3, 1, 3, 1, 3])

    def read():
        clock.append(clock[-1] + next(takes))
        return clock[-1]

    monkeypatch.setattr(watching.time, "perf_counter", read)
    speed = Speed()
    _, rows = fit(tmp_path, TwoNetworks(), [speed, Pause(speed, clock)], every=2)
    first, second = (row for row in rows if "speed/images_per_second" in row)
    assert first["speed/images_per_second"] == pytest.approx(1) and first["speed/waiting_for_data"] == 0
    assert second["speed/images_per_second"] == pytest.approx(6 / 8)


def test_the_best_so_far_survives_a_checkpoint(tmp_path):
    watch = BestSoFar()
    _, rows = fit(tmp_path, TwoNetworks(), [watch], steps=6, val_check_interval=2)
    assert [row["val/loss"] for row in rows if "val/loss" in row] == [8, 6, 6]
    assert [row["best/val/loss"] for row in rows if "best/val/loss" in row] == [8, 6, 6]
    assert not any("best/val/unheard_of" in row for row in rows)
    again = BestSoFar()
    again.load_state_dict(watch.state_dict())
    assert again.best == {"val/loss": 6.0}


def test_better_is_more_or_less_as_the_quantity_has_it():
    best = improved({}, {"val/loss": 2.0, "val/accuracy": 0.5})
    best = improved(best, {"val/loss": 3.0, "val/accuracy": 0.4})
    best = improved(best, {"val/loss": math.nan, "val/accuracy": math.inf})
    assert improved(best, {"val/loss": 1.0, "val/accuracy": 0.6}) == {"val/loss": 1.0, "val/accuracy": 0.6}
    assert best == {"val/loss": 2.0, "val/accuracy": 0.5}


def test_parameters_are_counted_by_network():
    assert parameter_counts(TwoNetworks()) == {"first": 2, "second": 1}
