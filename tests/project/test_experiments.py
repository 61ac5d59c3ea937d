"""Every YAML of experiments/ is accepted by the command."""

import importlib
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from t2igan.benchmark.reading import read_plan
from t2igan.cli import fit, parsing
from t2igan.cli.main import VERBS
from t2igan.nn.levers import PLAIN

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "experiments"
MATRICES = sorted(EXPERIMENTS.glob("benchmark/*.yaml"))
PLANS = [*sorted(EXPERIMENTS.glob("*.yaml")), EXPERIMENTS / "zoo" / "drawn-birds.yaml"]
CONFIGS = sorted(set(EXPERIMENTS.glob("*/*.yaml")) - {*MATRICES, *PLANS})


class OnlyParse(fit.SuiteCLI):
    """Parses and builds the model, but runs nothing and looks for no file."""

    def before_instantiate_classes(self):
        self.folder, self.levers = Path("runs"), PLAIN
        self._settle_seams(self.config.fit)

    def instantiate_trainer(self, **kwargs):
        return None

    def _run_subcommand(self, subcommand):
        return None


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: str(path.relative_to(EXPERIMENTS)))
def test_configuration_builds_its_model(config, monkeypatch):
    fit.import_classes()
    monkeypatch.setattr(fit.SuiteCLI, "words", ["t2igan", "fit", "--config", str(config)])
    with torch.device("meta"):  # no weights: some networks have hundreds of megabytes
        cli = OnlyParse(
            pl.LightningModule,
            pl.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            parser_kwargs={"exit_on_error": False},
            args=["fit", "--config", str(config)],
        )
    assert isinstance(cli.model, pl.LightningModule)
    assert cli.config.fit.trainer.max_epochs or cli.config.fit.trainer.max_steps > 0


STEPS = [step for plan in PLANS for step in read_plan(plan).phases[0]()]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_step_of_a_plan_is_a_command_that_is_accepted(step, monkeypatch):
    verb, *rest = step.command
    if verb == "fit":
        assert (ROOT / rest[rest.index("--config") + 1]).is_file()
        return
    module = importlib.import_module(VERBS[verb][0])
    taken = {}
    monkeypatch.setattr(module, "call", lambda *asked: taken.update(parsing.parse(*asked)))
    module.run(verb, rest)
    assert taken


@pytest.mark.parametrize("path", MATRICES, ids=lambda path: path.stem)
def test_matrix_finds_all_that_it_needs(path, tmp_path, monkeypatch, drawn_birds_store):
    """With a store in its place, every model's DAMSM and captioner are found among the experiments."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").symlink_to(EXPERIMENTS)
    plan = read_plan(Path("experiments") / "benchmark" / path.name)
    for step in plan.phases[0]():
        store = tmp_path / step.command[step.command.index("--out") + 1]
        store.parent.mkdir(parents=True)
        store.symlink_to(drawn_birds_store)
    steps = plan.phases[1]()
    trained = {step.cell.rpartition(" ")[2].rpartition("-seed")[0] for step in steps if step.command[0] == "fit"}
    assert {"damsm", "stream", "ssagan", "mirrorgan", "attngan"} <= trained
    assert steps[-1].name == "report"
