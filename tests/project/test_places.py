"""Where each module is tested: in the file of its name in the folder of its package, else in the one said here."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = {file.stem.removeprefix("test_"): file for file in (ROOT / "tests").rglob("test_*.py")}
# Folders that are one subject each, with one test file of that name.
SUBJECTS = ("demo", "drawn_birds", "launchers", "scenes")
# Test file -> modules that it tests beside, or in place of, the one of its name.
TESTED_IN = {
    "api": ["api", "datasets"],
    "runner": ["benchmark.steps"],
    "damsm": ["models.frozen_trunk"],
    "reading": ["benchmark.files"],
    "orphans": ["benchmark.orphans"],
    "scoring": ["callbacks.best", "evaluation.in_training", "evaluation.subjects.chosen"],
    "compose": ["cli.tag", "evaluation.step_record"],
    "fit": ["cli.config_checks"],
    "identity": ["evaluation.continuing", "evaluation.history"],
    "zoo": ["zoo", "cli.export_zoo", "models.weights_file", "reporting.model_card"],
    "main": ["cli.init"],
    "profile_loader": ["cli.profile_inputs"],
    "profile_training": ["profiling.steps"],
    "quick": ["spelling"],
    "sample": ["cli.sample_folder", "evaluation.images.sampling"],
    "card": ["data.annotation_card"],
    "doctor": ["cli.doctor_findings"],
    "datamodule": ["data.loader", "data.store_module"],
    "requirements": ["data.checksums", "data.tagged"],
    "annotations": ["data.layout", "data.layout_rendering", "data.records", "data.sources.localized"],
    "prepare": ["data.sources.base"],
    "drawn_birds": ["data.sources.drawing", "data.sources.drawn_folder", "data.sources.drawn_text"],
    "evaluation": ["evaluation.processes"],
    "own_metric": ["evaluation.metrics.base", "metrics.feature_sets"],
    "lpips_diversity": ["evaluation.scorers.diversity"],
    "layouts_and_narratives": ["evaluation.metrics.layout_iou"],
    "captions": ["evaluation.metrics.r_precision", "evaluation.scorers.base"],
    "features": [
        "evaluation.metrics.inception_score",
        "evaluation.metrics.kernel_distance",
        "evaluation.metrics.manifold",
    ],
    "told": ["evaluation.metrics.spatext", "evaluation.scorers.segments"],
    "pipeline": ["cli.sample_narratives", "models.trecs"],
    "reference": ["evaluation.subjects.base"],
    "official": [
        "interop.forms",
        "interop.kind",
        "interop.kinds",
        "interop.papers.attngan",
        "interop.papers.damsm",
        "interop.papers.dfgan",
        "interop.papers.dmgan",
        "interop.papers.mirrorgan",
        "interop.papers.ssagan",
        "interop.papers.stream",
    ],
    "assemble": ["interop.networks"],
    "export": ["interop.export"],
    "frechet_sampling": ["metrics.estimate"],
    "joint_encoder": ["models.conditioner"],
    "spatext_diffusion": ["models.drawing"],
    "adversarial": ["models.gan_step", "models.generating", "models.generator_losses", "models.text_conditioned"],
    "earlier": ["earlier", "models.suite_module"],
    "digest": ["models.checkpoint_form"],
    "attngan_parity": ["networks.attngan", "networks.cascade", "nn.gated", "nn.initialise"],
    "dfgan": ["networks.dfgan"],
    "dmgan": ["networks.dmgan"],
    "mirrorgan": ["networks.mirrorgan"],
    "stream": ["networks.stream"],
    "spade": ["models.layout_discriminators", "networks.spade"],
    "spatext": ["networks.spatext"],
    "recomputing": ["nn.recomputing"],
    "redescription": ["nn.across"],
    "several_devices": ["callbacks.several_devices", "nn.synced_norm"],
    "rendering": ["nn.images"],
    "config": ["nn.modules"],
    "wandb_run": ["reporting.tracking"],
    "encoder": ["text.embedding"],
    "bad_values": ["errors"],
}
MODULES = {
    ".".join(file.relative_to(ROOT / "t2igan").with_suffix("").parts)
    for file in (ROOT / "t2igan").rglob("*.py")
    if not file.stem.startswith("__")
}


def has_a_file_of_its_name(module: str) -> bool:
    """Or of the name of its folder, where that is one subject: test_scenes.py is of data/sources/scenes/."""
    *folders, name = module.split(".")
    named = [file for stem, file in TESTS.items() if f"{stem}_".startswith(f"{name.strip('_')}_")]
    if not folders:
        return any(file.parent == ROOT / "tests" for file in named)
    return folders[-1] in SUBJECTS or any(folders[0] in file.relative_to(ROOT / "tests").parts for file in named)


def test_every_module_has_its_place():
    said = {module for modules in TESTED_IN.values() for module in modules}
    assert {module for module in MODULES if not has_a_file_of_its_name(module)} == said


@pytest.mark.parametrize("test", TESTED_IN)
def test_the_places_are_there(test):
    assert test in TESTS and set(TESTED_IN[test]) <= MODULES
