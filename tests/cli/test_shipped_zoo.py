"""The weights that come with the package are whole, small, scored and able to draw."""

import pkgutil
from pathlib import Path

import pytest
import torch
import yaml

import t2igan
from t2igan.cli.seams import refuse_void
from t2igan.evaluation.record import read_records
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.suite_module import content_sha256
from t2igan.reporting.names import system_name
from t2igan.zoo import CARD, RECORDS, locate, zoo_names

NAMES = zoo_names()
MOST_BYTES = 20_000_000


def test_they_are_small_together():
    assert sum(locate(name).stat().st_size for name in NAMES) < MOST_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_whole(name):
    model, folder = t2igan.load(name, device="cpu"), locate(name).parent
    card = (folder / CARD).read_text(encoding="utf-8")
    assert (folder / "config.yaml").is_file() and (folder / "metrics.csv").is_file()
    assert card.startswith("# ") and name in card
    if not isinstance(model.module, AdversarialModule):
        return
    records = [one for one in read_records(folder / RECORDS) if one.subject.kind == "checkpoint"]
    # What was scored are these very weights, and the card says what they scored.
    assert [one.subject.sha256 for one in records] == [content_sha256(model.module)]
    assert records[0].integrity == "intact" and "R-precision, independent DAMSM" in card


@pytest.mark.parametrize("name", [name for name in NAMES if "gan" in name])
def test_colours_that_a_caption_names_are_there(name):
    """More red for red than for blue, and the other way round, in the mean over some noises."""
    model = t2igan.load(name, device="cpu")
    red, blue = (model.sample(f"a {colour} bird", n=8).images.float().mean((0, 2, 3)) for colour in ("red", "blue"))
    assert red[0] - red[2] > blue[0] - blue[2]
    assert torch.isfinite(red).all()


@pytest.mark.parametrize("name", [name for name in NAMES if "gan" in name])
def test_the_configuration_beside_the_weights_can_be_given_to_fit(name):
    config = yaml.safe_load(locate(name).with_name("config.yaml").read_text(encoding="utf-8"))
    refuse_void(config["model"]["init_args"], pkgutil.resolve_name(config["model"]["class_path"]))
    assert config["ckpt_path"] is None and config["fresh"] is False


def test_the_page_says_what_they_scored():
    """docs/zoo.md has a row for each, made of its record."""
    page = (Path(__file__).parents[2] / "docs" / "zoo.md").read_text(encoding="utf-8")
    for name in [name for name in NAMES if "gan" in name]:
        records = read_records(locate(name).with_name(RECORDS))
        (record,) = [one for one in records if one.subject.kind == "checkpoint"]
        fd, score = (record.metrics[key] for key in ("fd-classifier", "r-precision@damsm-independent (zoo)"))
        numbers = f"{fd.value:.2f} [{fd.low:.2f}, {fd.high:.2f}]"
        share = f"{100 * score.value:.1f} % [{100 * score.low:.1f}, {100 * score.high:.1f}]"
        system, steps = system_name(name.rpartition("/")[2]), record.subject.training.steps
        assert f"| {system} | {steps:,} | {numbers} | {share} |" in page
        assert len(fd.resampled.deviations) == 200, "what pairs the images of two rows"
