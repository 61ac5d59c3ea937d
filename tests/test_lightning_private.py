"""Names what a new version of Lightning lacks of what the suite takes from its inside."""

import ast
import inspect
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.cli import LightningCLI
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.profilers import PassThroughProfiler
from torch.utils.data import DataLoader

import t2igan
from t2igan import lightning_private


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
            "training_batches": lightning_private.training_batches(self.trainer),
        }.items():
            self.seen.setdefault(name, []).append(value)

    def configure_optimizers(self):
        return [torch.optim.SGD(layer.parameters(), lr=0.1) for layer in self.layers]

    def train_dataloader(self):
        return DataLoader(torch.ones(4, 1), batch_size=1)


QUIET = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False, "logger": False}


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
        ("training_batches", [0, 1, 2, 3]),
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
    lightning_private.settle_counters(loop)
    place = lightning_private.training_position(loop)
    assert place == (1, 0), f"Lightning {pl.__version__}: t2igan.lightning_private.training_position"


def test_what_the_trainer_was_given_is_found_in_it(tmp_path):
    given, callback, profiler = pl.LightningDataModule(), pl.Callback(), PassThroughProfiler()
    trainer = pl.Trainer(
        accelerator="cpu", callbacks=[callback], log_every_n_steps=7, overfit_batches=2, default_root_dir=tmp_path
    )
    trainer.datamodule = given
    lightning_private.set_profiler(trainer, profiler)
    seen = {
        "datamodule_of": lightning_private.datamodule_of(trainer) is given,
        "callbacks_of": callback in lightning_private.callbacks_of(trainer),
        "log_every_n_steps": lightning_private.log_every_n_steps(trainer) == 7,
        "overfits": lightning_private.overfits(trainer),
        "set_profiler": trainer.profiler is profiler,
        "resumable_position": callable(lightning_private.resumable_position(trainer)),
    }
    assert all(seen.values()), f"Lightning {pl.__version__}: t2igan.lightning_private: {seen}"


def test_every_hook_has_a_test_here():
    functions = [each for _, each in inspect.getmembers(lightning_private, inspect.isfunction)]
    own = {each.__name__ for each in functions if each.__module__ == lightning_private.__name__}
    tests = Path(__file__).read_text()
    assert not {name for name in own if not name.startswith("_") and name not in tests}


def test_a_module_knows_whether_a_trainer_holds_it(trained):
    held = [lightning_private.has_trainer(module) for module in (trained[0], Steps())]
    assert held == [True, False], f"Lightning {pl.__version__}: t2igan.lightning_private.has_trainer"


@pytest.mark.filterwarnings("ignore")
def test_the_parser_of_one_verb_writes_its_configuration(monkeypatch):
    monkeypatch.setattr("sys.argv", ["t2igan"])
    quick = {**QUIET, "max_steps": 1, "enable_checkpointing": False}
    cli = LightningCLI(Steps, args=["fit"], save_config_callback=None, trainer_defaults=quick)
    written = lightning_private.parser_of(cli, "fit").dump(cli.config["fit"])
    assert "enable_progress_bar: false" in written, (
        f"Lightning {pl.__version__}: t2igan.lightning_private.parser_of"
    )


def test_arguments_of_wandb_can_be_changed_before_its_run_starts(tmp_path):
    logger = WandbLogger(project="before", name="one", offline=True)
    arguments = lightning_private.wandb_arguments(logger)
    arguments.update(project="after", name="two", id="x", dir=str(tmp_path))
    lightning_private.repeat_wandb_arguments(logger)
    seen = (logger.save_dir, logger.name, logger.version, logger._name, lightning_private.wandb_was_started(logger))
    assert seen == (str(tmp_path), "after", "x", "two", False), (
        f"Lightning {pl.__version__}: t2igan.lightning_private.wandb_arguments"
    )


# Private names that are not Lightning's: Python's own and torch's, each in the file where it is explained.
OTHERS = {
    "benchmark/orphans.py": {"_exit"},
    "cli/parsing.py": {"_actions"},
    "data/datasets.py": {"_new_shared"},
    "data/rendering.py": {"_exit"},
    "data/workers.py": {"_exit"},
    "layout/localized.py": {"_replace"},
    "nn/average.py": {"_foreach_lerp_"},
    "nn/recomputing.py": {"_buffers"},
    "profiling/arithmetic.py": {"_overloadpacket"},
    "profiling/repeating.py": {"_replace"},
    "progress.py": {"_Unpickler"},
}


def test_no_other_file_takes_what_is_private():
    package, own, used = Path(t2igan.__file__).parent, set(), {}
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                own.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                own.add(node.id)
            elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
                on_itself = isinstance(node.value, ast.Name) and node.value.id == "self"
                if isinstance(node.ctx, ast.Store) and on_itself:
                    own.add(node.attr)
                else:
                    used.setdefault(str(file.relative_to(package)), set()).add(node.attr)
    del used["lightning_private.py"]
    assert {file: names - own for file, names in used.items() if names - own} == OTHERS
