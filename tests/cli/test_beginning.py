"""With which checkpoint a training begins, and what its records say of it: what people do after a run."""

import shutil

import pytest
import torch
import yaml
from small_configs import ssagan_on_trained_damsm

from t2igan.callbacks.run_folder import read_curves
from t2igan.cli.main import main
from t2igan.data.prepare import prepare
from t2igan.data.sources import make_source
from t2igan.evaluation.history import read_changes, read_history
from t2igan.evaluation.subjects.generated import load_checkpoint_subject
from t2igan.models.digest import seal
from t2igan.models.suite_module import content_sha256, load_module, read_checkpoint


@pytest.fixture(scope="module")
def home(tmp_path_factory, drawn_birds_store):
    """The YAML of a small SSA-GAN, and its run ``old`` of two steps."""
    folder = tmp_path_factory.mktemp("beginning")
    config = ssagan_on_trained_damsm(folder, drawn_birds_store)
    config["trainer"]["max_steps"] = 2
    (folder / "ssagan.yaml").write_text(yaml.safe_dump(config))
    main(["fit", "--config", str(folder / "ssagan.yaml"), "--run", str(folder / "old")])
    return folder


@pytest.fixture
def old(home, tmp_path):
    """A run of its own for a test, whose configuration names another folder, as that of a moved run does."""
    shutil.copytree(home / "old", tmp_path / "old")
    return tmp_path / "old"


def last_of(run):
    return run / "checkpoints" / "last.ckpt"


def fit(*words):
    main(["fit", *map(str, words)])


def training_of(run):
    return load_checkpoint_subject(last_of(run), "ema").card.training


def step_of(run):
    return read_checkpoint(last_of(run))["global_step"]


RATE = {"key": "model.lr_generator", "before": 0.0001, "after": 0.01, "step": 2}


def edit(config):
    config.write_text(config.read_text().replace("lr_generator: 0.0001", "lr_generator: 0.01"))


def test_an_edited_configuration_is_not_what_the_run_was_trained_with(old, capsys):
    """The file that the change was made in was also the one that the change was found by."""
    edit(old / "config.yaml")
    assert training_of(old).config["model"]["init_args"]["lr_generator"] == 0.0001
    fit("--config", old / "config.yaml", "--trainer.max_steps", 3)
    assert "model.lr_generator 0.0001 -> 0.01 from step 2\n" in capsys.readouterr().out
    assert training_of(old).changes == [RATE]
    before = yaml.safe_load(next(old.glob("config-before-*.yaml")).read_text())
    assert before["model"]["init_args"]["lr_generator"] == 0.0001


def test_the_configuration_of_a_moved_run_continues_it_where_it_lies(home, old, capsys):
    """It began anew under the former name, or continued another run there."""
    fit("--config", old / "config.yaml", "--trainer.max_steps", 3)
    told = capsys.readouterr().out
    assert f"names {home / 'old'} as the run's folder; the run lies in {old}" in told
    assert (step_of(old), step_of(home / "old")) == (3, 2)
    assert yaml.safe_load((old / "config.yaml").read_text())["run"] == str(old)
    assert training_of(old).changes == []


def test_a_fresh_start_without_a_checkpoint_is_not_what_the_old_one_was_trained_with(home, old, monkeypatch):
    """Killed before its first checkpoint, it leaves its configuration beside the old run's checkpoint."""
    words = ["--config", home / "ssagan.yaml", "--run", old, "--model.lr_generator", "0.01"]
    with monkeypatch.context() as patch, pytest.raises(KeyError):
        patch.setattr("t2igan.cli.fit.SuiteCLI._guarded", lambda *_, **__: {}["killed"])
        fit(*words, "--fresh", "true")
    edit(old / "config.yaml")  # as its first step has written it
    assert training_of(old).config["model"]["init_args"]["lr_generator"] == 0.0001
    fit(*words, "--trainer.max_steps", 3)
    assert training_of(old).changes == [RATE]


def test_a_run_with_nothing_left_to_do_keeps_its_configuration(home, old, capsys):
    before = {path: path.read_bytes() for path in old.iterdir() if path.suffix in (".yaml", ".jsonl")}
    fit("--config", home / "ssagan.yaml", "--run", old, "--model.lr_generator", "0.01")
    assert "nothing left to do: 2 of 2 steps" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in old.iterdir() if path.suffix in (".yaml", ".jsonl")} == before
    assert training_of(old).changes == []


def test_a_training_that_begins_with_another_runs_checkpoint(home, tmp_path, capsys):
    """The same command again continues it; it began anew. Its records name what it began with, by content too."""
    begun, new = last_of(home / "old"), tmp_path / "new"
    words = ["--config", home / "ssagan.yaml", "--run", new, "--model.lr_generator", "0.01"]
    fit(*words, "--ckpt_path", begun, "--trainer.max_steps", 3)
    capsys.readouterr()
    fit(*words, "--ckpt_path", begun, "--trainer.max_steps", 4)
    assert f"{new} holds a run: resuming from {last_of(new)}" in capsys.readouterr().out
    assert [row["step"] for row in read_curves(new / "metrics.csv") if "train/loss_g" in row] == [1, 2, 3]
    fit(*words, "--trainer.max_steps", 5)  # without its beginning, which is known
    training = training_of(new)
    origin = {"key": "ckpt_path", "before": None, "after": str(begun), "step": 2}
    assert training.changes == [origin, RATE] and training.steps == 5
    assert training.inputs["ckpt_path"] == content_sha256(load_module(begun))
    assert training.config["ckpt_path"] == str(begun)
    fit("--config", new / "config.yaml", "--trainer.max_steps", 6)
    assert step_of(new) == 6 and training_of(new).changes == [origin, RATE]


def test_another_runs_checkpoint_is_not_mixed_into_a_run(home, old, capsys):
    with pytest.raises(SystemExit):
        fit("--config", home / "ssagan.yaml", "--run", old, "--ckpt_path", last_of(home / "old"))
    assert f"{old} holds a run that did not begin with {last_of(home / 'old')}" in capsys.readouterr().err
    assert step_of(old) == 2


def test_an_earlier_checkpoint_of_the_run_itself_takes_it_back(home, old):
    """And its configuration does not go on doing so."""
    words = ["--config", home / "ssagan.yaml", "--run", old]
    fit(*words, "--trainer.max_steps", 3, "--model.lr_generator", "0.01")
    fit(*words, "--trainer.max_steps", 3, "--ckpt_path", old / "checkpoints" / "previous.ckpt")
    assert step_of(old) == 3 and training_of(old).changes == [], "what was taken back did not happen"
    assert not (old / "changes.jsonl").exists() and not list(old.glob("config-before-*"))
    assert yaml.safe_load((old / "config.yaml").read_text())["ckpt_path"] is None


def test_a_checkpoint_among_those_of_another_run_says_its_own(home, old, tmp_path):
    """It was recorded with the configuration of the run in whose folder it lay."""
    fit("--config", home / "ssagan.yaml", "--run", old, "--model.lr_generator", "0.01", "--trainer.max_steps", 3)
    for place in (home / "old" / "checkpoints" / "copied.ckpt", tmp_path / "single.ckpt"):
        shutil.copyfile(last_of(old), place)
        card = load_checkpoint_subject(place, "ema").card
        assert card.training == training_of(old) and card.training.changes == [RATE]
        assert card.experiment == load_checkpoint_subject(last_of(old), "ema").card.experiment
        place.unlink()


def test_exported_weights_keep_what_they_were_trained_with(home, old, tmp_path):
    fit("--config", home / "ssagan.yaml", "--run", old, "--model.lr_generator", "0.01", "--trainer.max_steps", 3)
    for words in (["--out", tmp_path / "a.safetensors"], ["--to", "zoo", "--out", tmp_path / "zoo"]):
        main(["export", str(old), *map(str, words)])
    assert yaml.safe_load((tmp_path / "zoo" / "config.yaml").read_text()) == read_history(last_of(old)).config
    for weights in (tmp_path / "a.safetensors", tmp_path / "zoo" / "model.safetensors"):
        assert read_changes(weights) == [RATE] and read_history(weights) == read_history(last_of(old))


def test_so_do_those_of_a_checkpoint_that_holds_none(home, old, tmp_path):
    """Of an earlier version: what its folder said was lost, and the record had no changes."""
    fit("--config", home / "ssagan.yaml", "--run", old, "--model.lr_generator", "0.01", "--trainer.max_steps", 3)
    expected, checkpoint = read_history(last_of(old)), torch.load(last_of(old), weights_only=True)
    del checkpoint["t2igan"]["history"]
    seal(checkpoint)
    torch.save(checkpoint, last_of(old))
    main(["export", str(old), "--to", "zoo", "--out", str(tmp_path / "zoo")])
    found = read_history(tmp_path / "zoo" / "model.safetensors")
    assert found.changes == [RATE] == expected.changes and len(found.earlier) == len(expected.earlier) == 1


def test_another_store_is_told_by_its_content(home, old, drawn_birds_root, tmp_path, capsys):
    """Identities leave out a store's path: the run passed for a repetition of those on the second store alone."""
    store = tmp_path / "other.h5"
    prepare(make_source("drawn-birds", drawn_birds_root), store, image_size=32, workers=1)
    words = ["--config", home / "ssagan.yaml", "--data.store", store, "--trainer.max_steps", 3]
    for run in (old, tmp_path / "whole"):
        fit(*words, "--run", run)
    assert "store has changed since step 2: the run continues with the new one" in capsys.readouterr().out
    assert [each["key"] for each in read_changes(last_of(old))] == ["data.store", "inputs.store"]
    cards = [load_checkpoint_subject(last_of(run), "ema").card for run in (old, tmp_path / "whole")]
    assert cards[0].training.fingerprint == cards[1].training.fingerprint
    assert cards[0].experiment != cards[1].experiment


def test_the_folder_of_exported_weights_is_taken_where_that_of_a_run_is(old, tmp_path, capsys):
    """It said to train with t2igan fit; of ONNX, that it is damaged."""
    main(["export", str(old), "--to", "zoo", "--out", str(tmp_path / "zoo")])
    words = ["--caption", "a small red bird", "--n", "1", "--out", str(tmp_path / "drawn")]
    main(["sample", "--checkpoint", str(tmp_path / "zoo"), *words])
    assert (tmp_path / "drawn" / "c000_s00.png").is_file()
    (tmp_path / "a.onnx").write_bytes(b"")
    with pytest.raises(SystemExit):
        main(["sample", "--checkpoint", str(tmp_path / "a.onnx"), *words])
    assert "a.onnx is for other programs (docs/export.md)" in capsys.readouterr().err
