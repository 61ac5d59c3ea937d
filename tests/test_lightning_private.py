"""Names what a new version of Lightning lacks of what the suite takes from its inside."""

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from t2igan import lightning_private
from t2igan.data.resume import settle_counters, training_position


class Steps(pl.LightningModule):
    """Two optimisers by hand, of which one counts; notes what each hook gives in a step."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.layers = torch.nn.ModuleList(torch.nn.Linear(1, 1) for _ in range(2))
        self.seen: dict[str, list] = {}

    def training_step(self, batch, batch_idx):
        one, two = self.optimizers()
        lightning_private.do_not_count_steps_of(two)
        for optimizer, layer in zip((one, two), self.layers):
            optimizer.zero_grad()
            self.manual_backward(layer(batch).sum())
            optimizer.step()
        self.log("loss", torch.tensor(3.0))
        for name, value in {
            "logged_in_step": float(lightning_private.logged_in_step(self.trainer)["loss"]),
            "step_is_logged": lightning_private.step_is_logged(self.trainer),
            "loggers_step": lightning_private.loggers_step(self.trainer),
            "loops_state": "fit_loop" in lightning_private.loops_state(self.trainer),
            "scales_losses": lightning_private.scales_losses(self.trainer),
            "requeues_itself": lightning_private.requeues_itself(self.trainer),
        }.items():
            self.seen.setdefault(name, []).append(value)

    def configure_optimizers(self):
        return [torch.optim.SGD(layer.parameters(), lr=0.1) for layer in self.layers]

    def train_dataloader(self):
        return DataLoader(torch.ones(4, 1), batch_size=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    module = Steps()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=4,
        log_every_n_steps=2,
        logger=pl.loggers.CSVLogger(tmp_path_factory.mktemp("log")),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module)
    return module, trainer


@pytest.mark.parametrize(
    "hook, values",
    [
        ("logged_in_step", [3.0] * 4),
        ("step_is_logged", [False, True, False, True]),
        ("loggers_step", [0, 1, 2, 3]),
        ("loops_state", [True] * 4),
        ("scales_losses", [False] * 4),
        ("requeues_itself", [False] * 4),
    ],
)
def test_hook_gives_what_the_suite_takes_it_for(trained, hook, values):
    assert trained[0].seen[hook] == values, f"Lightning {pl.__version__}: t2igan.lightning_private.{hook}"


def test_a_second_optimiser_is_not_counted(trained):
    assert trained[1].global_step == 4, (
        f"Lightning {pl.__version__}: t2igan.lightning_private.do_not_count_steps_of"
    )


def test_the_counter_of_loggers_can_be_set(trained):
    lightning_private.set_loggers_step(trained[1], 7)
    assert lightning_private.loggers_step(trained[1]) == 7


def test_the_loops_counters_say_where_training_stands(trained):
    loop = trained[1].fit_loop
    settle_counters(loop)
    assert training_position(loop) == (1, 0), f"Lightning {pl.__version__}: t2igan.data.resume"
