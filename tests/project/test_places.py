"""Where each module is tested: in the file of its name, else in the one that is said here."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = {file.stem.removeprefix("test_"): file for file in (ROOT / "tests").rglob("test_*.py")}
# Test file -> modules that it tests beside, or in place of, the one of its name.
TESTED_IN = {
    "matrix": [
        "benchmark.grid",
        "benchmark.lacking",
        "benchmark.reading",
        "benchmark.trainings",
    ],
    "launchers": [f"benchmark.launchers.{each}" for each in ("base", "local", "ray_cluster", "slurm")],
    "runner": ["benchmark.ledger", "benchmark.logs", "benchmark.steps"],
    "benchmark_stops": ["benchmark.orphans"],
    "scoring": ["callbacks.best", "evaluation.in_training"],
    "guards": ["callbacks.reading", "nn.finite"],
    "watching": ["callbacks.run_folder"],
    "trecs_steps": ["cli.compose", "cli.refine", "cli.retrieve", "cli.tag", "evaluation.step_record"],
    "fit": ["cli.config_checks"],
    "zoo": ["cli.export_zoo", "models.weights_file", "reporting.model_card", "interop.averaged"],
    "main": ["cli.init"],
    "profile": ["cli.process_tree", "cli.profile_inputs", "cli.profile_loader", "profiling.synthetic"],
    "profile_training": ["profiling.steps", "profiling.showing"],
    "quick": ["cli.quick_fit", "spelling"],
    "sample": ["cli.sample_folder", "evaluation.images.sampling"],
    "card": ["data.annotation_card"],
    "datamodule": ["data.batch", "data.loader", "data.workers"],
    "requirements": ["data.checksums", "data.tagged"],
    "augmentation": ["data.jpeg"],
    "annotations": ["data.layout_rendering", "data.records"],
    "prepare": ["data.sources.base", "data.writing"],
    "coco": ["data.sources.coco_files", "data.sources.metadata"],
    "coco_annotations": ["data.sources.coco_segments"],
    "drawn_birds": [
        *("data.sources.drawing", "data.sources.drawn_folder"),
        *(f"data.sources.drawn_birds.{each}" for each in ("figure", "painter", "source", "species")),
    ],
    "scenes": [
        f"data.sources.scenes.{each}" for each in ("painter", "sentences", "shapes", "source", "traces", "world")
    ],
    "demo": ["demo.page", "demo.panels"],
    "feature_cache": ["evaluation.features.feeding", "evaluation.features.embedders"],
    "evaluation": ["evaluation.features.networks", "evaluation.processes", "evaluation.subjects.generated"],
    "own_metric": ["evaluation.metrics.base", "metrics.feature_sets"],
    "optional_metrics": [
        *("evaluation.metrics.clip_score", "evaluation.metrics.lpips_diversity", "evaluation.scorers.diversity")
    ],
    "layouts_and_narratives": ["evaluation.metrics.layout_iou"],
    "captions": ["evaluation.scorers.base"],
    "pipeline": ["cli.sample_narratives", "layout.mask_bank"],
    "reference": ["evaluation.subjects.base", "evaluation.subjects.real"],
    "official": ["interop.forms", "interop.kind", "interop.kinds"],
    "assemble": ["interop.networks"],
    "export": ["interop.onnx"],
    "localized": ["layout.labels", "layout.line_faults"],
    "spade": ["layout.planes", "models.layout_losses", "networks.layout_discriminators"],
    "frechet_sampling": ["metrics.bootstrap", "metrics.estimate"],
    "metrics_distributed": ["metrics.indexed"],
    "joint_encoder": ["models.conditioner", "models.prior"],
    "spatext_diffusion": ["models.drawing", "models.spatext_hosts"],
    "adversarial": ["models.gan_step", "models.generator_losses", "models.text_conditioned", "nn.average"],
    "earlier": ["models.layout_discriminators", "models.suite_module"],
    "attngan_parity": ["networks.cascade", "nn.attention", "nn.conditioning", "nn.gated", "nn.initialise"],
    "redescription": ["nn.across"],
    "huge_networks": ["nn.bounded"],
    "several_devices": ["nn.synced_norm"],
    "rendering": ["nn.images"],
    "config": ["nn.modules"],
    "recompute": ["nn.recomputing"],
    "sheets": ["plotting.sample_file", "reporting.names"],
    "clock": ["profiling.memory"],
    "published": ["reporting.comparison", "reporting.published_tables"],
    "paired": ["reporting.latex"],
    "leaderboard": ["reporting.numbers", "reporting.tables"],
    "html": ["reporting.report_runs", "reporting.scores_csv"],
    "wandb_run": ["reporting.tracking"],
    "wandb_pages": ["reporting.wandb_layout"],
    "encoder": ["text.embedding"],
    "own_module": ["user_modules"],
    "bad_values": ["errors"],
}
MODULES = {
    ".".join(file.relative_to(ROOT / "t2igan").with_suffix("").parts)
    for file in (ROOT / "t2igan").rglob("*.py")
    if not file.stem.startswith("__")
}


def has_a_file_of_its_name(module: str) -> bool:
    name = module.rpartition(".")[2].strip("_")
    return any(test == name or test.startswith(f"{name}_") for test in TESTS)


def test_every_module_has_its_place():
    said = {module for modules in TESTED_IN.values() for module in modules}
    assert {module for module in MODULES if not has_a_file_of_its_name(module)} == said


@pytest.mark.parametrize("test", TESTED_IN)
def test_the_places_are_there(test):
    assert test in TESTS and set(TESTED_IN[test]) <= MODULES
