"""Every YAML of experiments/ is accepted by the command."""

from pathlib import Path

import pytest
import pytorch_lightning as pl

from t2igan.cli import benchmark, fit

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "experiments"
CONFIGS = sorted(path for path in EXPERIMENTS.glob("*/*.yaml"))


class OnlyParse(fit.SuiteCLI):
    """Parses and builds the model, but runs nothing and looks for no file."""

    def before_instantiate_classes(self):
        self.folder = Path("runs")

    def instantiate_trainer(self, **kwargs):
        return None

    def _run_subcommand(self, subcommand):
        return None


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: str(path.relative_to(EXPERIMENTS)))
def test_configuration_builds_its_model(config):
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


@pytest.mark.parametrize("plan", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda path: path.name)
def test_plan_names_verbs_and_files_that_exist(plan):
    steps = benchmark.read_plan(plan).steps
    assert steps
    for step in steps:
        assert step.command[0] in benchmark_verbs()
        for word in step.command:
            if word.endswith(".yaml"):
                assert (ROOT / word).is_file()


def benchmark_verbs():
    from t2igan.cli.main import VERBS

    return VERBS
