"""Images of the shipped zoo at the head of a report."""

import torch
from report_fixtures import make_record

import t2igan
from t2igan.cli.main import main
from t2igan.evaluation.record import append_record
from t2igan.reporting.zoo_sheets import CAPTIONS, CELL, SEED, zoo_overlays, zoo_samples, zoo_sheet
from t2igan.zoo import zoo_names


def test_every_generator_of_the_zoo_draws_the_captions():
    by_system = zoo_samples("drawn-birds")
    generators = {"AttnGAN", "DF-GAN", "DM-GAN", "MirrorGAN", "SSA-GAN"}
    there = {name.rpartition("/")[2] for name in zoo_names()}
    assert {*by_system} == {name for name in generators if name.replace("-", "").lower() in there}
    captions = CAPTIONS["drawn-birds"]
    for samples in by_system.values():
        assert samples.images.shape == (len(captions), 3, 64, 64)
        assert not any(caption.unknown for caption in samples.captions)
    own = t2igan.load("zoo:drawn-birds/ssagan", device="cpu").sample(list(captions), seed=SEED).images
    assert torch.equal(by_system["SSA-GAN"].images, own)
    assert zoo_sheet(by_system).height > len(by_system) * CELL
    (masks, of_masks), (looks, of_looks) = zoo_overlays(by_system)
    assert of_masks.startswith("SSA-GAN, masks") and of_looks.startswith("AttnGAN, attention")
    assert min(masks.width, looks.width) > 4 * CELL and captions[0] in of_looks


def test_no_images_of_other_data():
    assert zoo_samples("cub") == {}


def test_a_report_on_the_zoo_begins_with_its_sheet(tmp_path):
    path = tmp_path / "records.jsonl"
    append_record(path, make_record("ssagan (zoo)"))
    main(["report", str(path), "--out", str(tmp_path / "without")])
    assert 'id="zoo"' not in (tmp_path / "without" / "index.html").read_text()
    record = make_record("zoo:drawn-birds/ssagan")
    append_record(path, record)
    main(["report", str(path), "--out", str(tmp_path / "with")])
    page = (tmp_path / "with" / "index.html").read_text()
    assert page.index('id="zoo"') < page.index('id="looks"') < page.index("<table")
