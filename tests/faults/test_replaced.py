"""What took the place of something else: a run never goes on with it, nor passes for another, without a word."""

import shutil
from pathlib import Path

import pytest
import torch
from evaluation_fixtures import write_protocol
from harness import fit_words, last, run

from t2igan.cli.main import main
from t2igan.data.prepare import prepare
from t2igan.data.sources import make_source
from t2igan.evaluation.subjects.chosen import checkpoint_of
from t2igan.models.digest import seal

SAMPLES = ["--trainer.callbacks+=SampleGrid", "--trainer.callbacks.every_n_steps=2"]


@pytest.fixture
def own(homes, tmp_path):
    """An SSA-GAN's configuration that names a DAMSM and a store of its own, and its run of 4 steps."""
    shutil.copy(last(homes.folder / "damsm"), tmp_path / "damsm.ckpt")
    shutil.copy(homes.store, tmp_path / "store.h5")
    text = homes.ssagan.read_text().replace(str(last(homes.folder / "damsm")), str(tmp_path / "damsm.ckpt"))
    config = tmp_path / "own.yaml"
    config.write_text(text.replace(str(homes.store), str(tmp_path / "store.h5")))
    done = run(*fit_words(config, tmp_path / "run", "--trainer.max_steps", 4))
    assert done.returncode == 0, done.stderr
    return config


def goes_on(config: Path, *options: object):
    return run(*fit_words(config, config.parent / "run", "--trainer.max_steps", 6, *options))


def test_another_damsm_in_the_place_of_the_first(homes, tally, tmp_path, own):
    probe = tally("a DAMSM replaced under its name between a kill and the resume: refused by name")
    longer = run(*fit_words(homes.damsm, tmp_path / "longer", "--trainer.max_steps", 4))
    assert longer.returncode == 0, longer.stderr
    shutil.copy(last(tmp_path / "longer"), tmp_path / "damsm.ckpt")
    before = last(tmp_path / "run").read_bytes()
    done = goes_on(own)
    told = f"{tmp_path}/damsm.ckpt is not the damsm that the checkpoint was trained with" in done.stderr
    kept = last(tmp_path / "run").read_bytes() == before
    probe.note(done.returncode == 2 and told and kept, done.stderr)
    shutil.copy(last(tmp_path / "longer"), tmp_path / "other.ckpt")
    done = goes_on(own, "--model.init_args.damsm", tmp_path / "other.ckpt")
    changes = (tmp_path / "run" / "changes.jsonl").read_text()
    probe.note(done.returncode == 0 and "other.ckpt" in changes, f"by another name: {done.stderr} {changes}")
    probe.check()


def test_another_store_in_the_place_of_the_first(tally, tmp_path, own, drawn_birds_root):
    probe = tally("a store replaced under its name between a kill and the resume: refused by name")
    for name in ("store.h5", "other.h5"):  # other pixels, the same words
        prepare(make_source("drawn-birds", drawn_birds_root), tmp_path / name, image_size=72, workers=1)
    done = goes_on(own)
    told = f"{tmp_path}/store.h5 is not the store that the checkpoint was trained on" in done.stderr
    probe.note(done.returncode == 2 and told, done.stderr)
    done = goes_on(own, "--data.init_args.store", tmp_path / "other.h5")
    trained = torch.load(last(tmp_path / "run"), weights_only=True)
    before = torch.load(last(tmp_path / "run").with_name("previous.ckpt"), weights_only=True)
    both = [each["t2igan"]["dataset"]["fingerprint"] for each in (before, trained)]
    named = "other.h5" in (tmp_path / "run" / "changes.jsonl").read_text()
    probe.note(done.returncode == 0 and named and both[0] != both[1], f"by another name: {done.stderr} {both}")
    probe.check()


def test_a_run_that_begins_anew_does_not_pass_for_the_one_before(homes, tally, tmp_path):
    probe = tally("fit --fresh: no best checkpoint, sample or last but one of the run before is left")
    folder = tmp_path / "run"
    assert run(*fit_words(homes.ssagan, folder, "--trainer.max_steps", 8, *SAMPLES)).returncode == 0
    checkpoints = folder / "checkpoints"
    shutil.copy(last(folder), checkpoints / "best-fid.ckpt")
    shutil.copy(last(folder), checkpoints / "mine.ckpt")
    done = run(*fit_words(homes.ssagan, folder, "--trainer.max_steps", 4, "--fresh", "true", *SAMPLES))
    assert done.returncode == 0, done.stderr
    left = sorted(path.name for path in checkpoints.iterdir())
    probe.note(left == ["last.ckpt", "mine.ckpt"], f"{left}")
    probe.note(checkpoint_of(folder) == last(folder), "evaluate takes the best one of the run before")
    steps = sorted(path.stem for path in (folder / "samples").glob("*.png"))
    probe.note(steps == ["step_000002", "step_000004"], f"{steps}")
    assert run(*fit_words(homes.ssagan, folder, "--trainer.max_steps", 6, *SAMPLES)).returncode == 0
    left = sorted(path.name for path in checkpoints.iterdir())
    probe.note(left == ["last.ckpt", "mine.ckpt", "previous.ckpt"], f"resumed: {left}")
    probe.check()


def test_images_that_are_no_numbers_are_not_scored(whole, homes, tally, tmp_path, capsys):
    """Finite weights that a training drove too far draw them; as bytes they are black, and have a score."""
    probe = tally("weights that are finite and draw what is not: sample and evaluate refuse")
    write_protocol(tmp_path / "protocol.yaml", image_size=16)
    checkpoint = torch.load(last(whole), weights_only=True)
    for name, weight in checkpoint["state_dict"].items():
        if "generator" in name and weight.is_floating_point() and weight.dim() > 1:
            weight.fill_(1e30)
    seal(checkpoint)
    torch.save(checkpoint, tmp_path / "far.ckpt")
    for words in (
        ("sample", "--checkpoint", tmp_path / "far.ckpt", "--caption", "a bird", "--out", tmp_path / "drawn"),
        (
            *("evaluate", "--checkpoint", tmp_path / "far.ckpt", "--store", homes.store, "--skip_missing", "true"),
            *("--protocol", tmp_path / "protocol.yaml", "--damsm", last(homes.folder / "damsm")),
        ),
    ):
        with pytest.raises(SystemExit) as exit_:
            main([str(word) for word in words])
        told = "returns values that are not finite" in capsys.readouterr().err
        probe.note(exit_.value.code == 2 and told, words[0])
    probe.check()
