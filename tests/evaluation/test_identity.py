import copy
import dataclasses

import pytest
import yaml
from report_fixtures import write_run

from t2igan.evaluation.continuing import continued, write_history
from t2igan.evaluation.history import history_of_folder
from t2igan.evaluation.identity import LEFT_OUT, SEEDS, experiment_of, read_identity
from t2igan.evaluation.protocol import hash_of
from t2igan.nn.levers import Levers

CONFIG = {
    "seed_everything": 0,
    "run": "runs/a",
    "levers": {},
    "fresh": False,
    "ckpt_path": None,
    "model": {"class_path": "DMGAN", "init_args": {"damsm": "damsm.ckpt", "seed": 0, "generator": {"seed": 3}}},
    "data": {"class_path": "CUB", "init_args": {"store": "cub.h5", "seed": 0, "num_workers": 2, "batch_size": 8}},
    "trainer": {"default_root_dir": "runs/a", "devices": 1, "precision": None, "logger": None, "max_steps": 10},
}


def changed(key, value):
    """The configuration with a dotted key set, as the file has it."""
    config = copy.deepcopy(CONFIG)
    first, *path = key.split(".")
    inner = config
    if path:
        inner = config[first].get("init_args", config[first])
    inner[path[-1] if path else first] = value
    return config


def same(one, two, *fingerprints):
    return hash_of(experiment_of(one, *fingerprints)) == hash_of(experiment_of(two, *fingerprints))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("trainer.devices", 8),
        ("trainer.num_nodes", 2),
        ("trainer.accumulate_grad_batches", 4),
        ("trainer.gradient_clip_val", 1.0),
        ("trainer.overfit_batches", 2),
        ("trainer.precision", "bf16-mixed"),
        ("trainer.max_steps", 20),
        ("trainer.callbacks", [{"class_path": "EarlyStopping"}]),
        ("trainer.an_option_of_next_year", 1),
        ("ckpt_path", "runs/b/checkpoints/last.ckpt"),
        ("model.damsm", "other.ckpt"),
        ("model.generator", {"seed": 4}),
        ("data.batch_size", 16),
        ("data.store", "other.h5"),
    ],
)
def test_whatever_is_not_left_out_makes_another_experiment(key, value):
    assert not same(CONFIG, changed(key, value))


@pytest.mark.parametrize("key", sorted(LEFT_OUT))
def test_what_is_left_out_makes_none(key):
    assert same(CONFIG, changed(key, "another"))
    assert not same(CONFIG, changed(f"{key}_of_something", "another"))


def test_callbacks_that_look_on_make_none():
    scores, other = {"class_path": "t2igan.callbacks.scoring.Scores"}, {"class_path": "EarlyStopping"}
    assert same(changed("trainer.callbacks", None), changed("trainer.callbacks", [scores]))
    assert same(changed("trainer.callbacks", [other]), changed("trainer.callbacks", [scores, other]))


def test_a_callback_of_ones_own_is_no_onlooker_by_its_name():
    assert not same(
        changed("trainer.callbacks", None), changed("trainer.callbacks", [{"class_path": "mine.Scores"}])
    )


def test_what_was_chosen_otherwise_is_another_experiment(tmp_path):
    """The best of a hundred scorings is no repetition of the best of two; the last checkpoints are."""
    paths = [write_run(tmp_path / str(every), every) for every in (1, 50)]
    for path in paths:
        place = path.parent.parent / "config.yaml"
        config = yaml.safe_load(place.read_text())
        options = {"every_n_steps": config["seed_everything"], "weights": str(tmp_path)}
        config["trainer"]["callbacks"] = [{"class_path": "t2igan.callbacks.scoring.Scores", "init_args": options}]
        config["trainer"]["default_root_dir"] = "somewhere"
        place.write_text(yaml.safe_dump(config))
    last, best = ([read_identity(path, selected=one).experiment for path in paths] for one in (False, True))
    assert last[0] == last[1] != best[0] != best[1]


def test_a_run_that_went_on_is_the_run_that_it_would_have_been():
    assert same(CONFIG, changed("ckpt_path", "runs/a/checkpoints/last.ckpt"))
    assert not same(CONFIG, changed("ckpt_path", "runs/ab/checkpoints/last.ckpt"))


def test_a_run_that_went_on_otherwise_is_no_repetition(tmp_path):
    """Its last configuration is that of a run which never had the first."""
    path, whole = (write_run(tmp_path / name, 0, lr=0.1) for name in ("changed", "whole"))
    for one in (path, whole):
        config = yaml.safe_load((one.parents[1] / "config.yaml").read_text())
        config["trainer"]["default_root_dir"] = "somewhere"
        (one.parents[1] / "config.yaml").write_text(yaml.safe_dump(config))
    assert not continued(history_of_folder(path.parents[1]), config, 5).earlier
    config["trainer"]["max_steps"] += 1
    # prolonged, it is what it would have been
    assert not continued(history_of_folder(path.parents[1]), config, 5).earlier
    config["model"]["init_args"]["lr"] = 0.2
    for one in (path, whole):
        if one == path:
            history = continued(history_of_folder(path.parents[1]), config, 5)
            assert write_history(path.parents[1], history).is_file()
        (one.parents[1] / "config.yaml").write_text(yaml.safe_dump(config))
    assert read_identity(path).experiment != read_identity(whole).experiment


def test_the_same_change_at_another_step_is_no_repetition(tmp_path):
    found = []
    for name, step in (("early", 5), ("late", 9), ("again", 5)):
        path = write_run(tmp_path / name, 0, lr=0.1)
        config = yaml.safe_load((path.parents[1] / "config.yaml").read_text())
        config["model"]["init_args"]["lr"] = 0.2
        config["trainer"]["default_root_dir"] = "somewhere"
        history = continued(history_of_folder(path.parents[1]), config, step)
        write_history(path.parents[1], history)
        (path.parents[1] / "config.yaml").write_text(yaml.safe_dump(config))
        found.append(read_identity(path).experiment)
    early, late, again = found
    assert early == again != late


def test_a_store_is_known_by_its_fingerprint_wherever_it_lies():
    assert same(CONFIG, changed("data.store", "elsewhere/cub.h5"), "12ab")
    assert hash_of(experiment_of(CONFIG, "12ab")) != hash_of(experiment_of(CONFIG, "34cd"))


def test_another_damsm_at_the_same_place_makes_another_experiment(tmp_path):
    path = write_run(tmp_path / "run", 0)
    first, again, other = (read_identity(path, "12ab", {"damsm": sha256}).experiment for sha256 in "aab")
    assert first == again != other


def test_seeds_are_set_and_left_out_at_the_same_places():
    from t2igan.benchmark.trainings import SEED_KEYS

    config = copy.deepcopy(CONFIG)
    for *path, last in SEED_KEYS:
        inner = config
        for key in path:
            inner = inner[key]
        inner[last] = 7
    assert len(SEED_KEYS) == len(SEEDS) and same(CONFIG, config) and config != CONFIG


def test_a_configuration_may_hold_what_json_does_not(tmp_path):
    path = write_run(tmp_path / "run", 0, decay=float("inf"))
    assert read_identity(path).training_seed == 0
    assert read_identity(path).experiment != read_identity(write_run(tmp_path / "other", 0)).experiment


@pytest.mark.parametrize(
    "damage",
    [
        {"model": 3},
        {"model": {"init_args": 3}},
        {"data": 3},
        {"trainer": [1]},
        {"trainer": {"callbacks": 3}},
        {"trainer": {"default_root_dir": 3}, "ckpt_path": "x"},
        {"trainer": {"default_root_dir": "x"}, "ckpt_path": 3},
        {"levers": "fast"},
    ],
    ids=str,
)
def test_a_damaged_configuration_says_nothing(tmp_path, damage):
    path = write_run(tmp_path / "run", 0)
    file = tmp_path / "run" / "config.yaml"
    whole = yaml.safe_load(file.read_text())
    assert read_identity(path, selected=True).experiment is not None
    file.write_text(yaml.safe_dump(whole | damage))
    assert read_identity(path, selected=True).experiment is None
    assert not continued(history_of_folder(tmp_path / "run"), whole, 5).earlier


def test_defaults_that_had_no_effect_are_no_change(tmp_path):
    """Earlier versions wrote what the model has beside a generator that replaces it."""
    folder = write_run(tmp_path / "run", 0).parents[1]
    now = yaml.safe_load((folder / "config.yaml").read_text())
    before = yaml.safe_load((folder / "config.yaml").read_text())
    before["model"]["init_args"]["channels"] = 32
    (folder / "config.yaml").write_text(yaml.safe_dump(before))
    assert not continued(history_of_folder(folder), now, 5).changes
    another = now | {"model": {"class_path": "Another", "init_args": {}}}
    change = {"key": "model.channels", "before": 32, "after": None, "step": 5}
    assert change in continued(history_of_folder(folder), another, 5).changes


def test_only_levers_that_change_numbers_make_another_experiment():
    levers = {f"levers.{each.name}" for each in dataclasses.fields(Levers)}
    assert {key for key in LEFT_OUT if key.startswith("levers.")} == levers - {"levers.tf32"}
    nothing_said = dict.fromkeys(name.removeprefix("levers.") for name in levers)
    assert same(CONFIG, CONFIG | {"speed": "plain", "levers": nothing_said})
    assert same(CONFIG, CONFIG | {"levers": nothing_said | {"doubling": False, "tf32": False}})
    assert not same(CONFIG, CONFIG | {"levers": nothing_said | {"tf32": True}})
    assert same(CONFIG, CONFIG | {"speed": "exact"})
    # On a GPU it takes TF32 without saying so in the levers.
    assert not same(CONFIG, CONFIG | {"speed": "fast"})
