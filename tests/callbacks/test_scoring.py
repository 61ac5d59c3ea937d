"""Scores while it trains, on small networks and the small drawn birds."""

import os
import random
import signal
from functools import partial

import numpy as np
import pytest
import torch
import yaml
from evaluation_fixtures import SIZE, evaluate, train_checkpoints, write_protocol
from forked import Forked
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from t2igan.callbacks.run_folder import OF_A_STEP, read_curves
from t2igan.callbacks.scoring import Scores, undisturbed
from t2igan.cli.main import main
from t2igan.data.selection import HeldOutClasses
from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.evaluation.features.networks import load_classifier, load_damsms
from t2igan.evaluation.in_training import smaller
from t2igan.evaluation.protocol import load_protocol
from t2igan.evaluation.record import read_records
from t2igan.evaluation.subjects import generated
from t2igan.evaluation.subjects.chosen import checkpoint_of
from t2igan.evaluation.subjects.generated import load_checkpoint_subject
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.suite_module import load_module, read_checkpoint
from t2igan.reporting.leaderboard import boards

STEPS, EVERY, IMAGES = 6, 2, 60
CURVES = {f"val/{name}@{IMAGES}" for name in ("fd-classifier", "is-classifier", "r-precision")}
INDEPENDENT = f"val/r-precision-independent@{IMAGES}"
FORKS = "ddp_fork_find_unused_parameters_true"


def stopping(number, place):
    """End this process in the midst of the second scoring, or of the step before it."""
    draw, step, scorings, steps = generated.generate_images, AdversarialModule.training_step, 0, 0

    def drawing(*arguments):
        nonlocal scorings
        scorings += 1
        for count, images in enumerate(draw(*arguments)):
            if place == "scoring" and (scorings, count) == (2, 1):
                os.kill(os.getpid(), number)
            yield images

    def stepping(*arguments):
        nonlocal steps
        steps += 1
        if place == "step" and steps == 4:
            os.kill(os.getpid(), number)
        return step(*arguments)

    generated.generate_images, AdversarialModule.training_step = drawing, stepping


@pytest.fixture(scope="module")
def home(tmp_path_factory, drawn_birds_store):
    """A folder with the YAML of a small SSA-GAN, without and with scores, and their protocol."""
    folder = tmp_path_factory.mktemp("scoring")
    networks = train_checkpoints(drawn_birds_store, drawn_birds_store.parent / "checkpoints")
    protocol = write_protocol(folder / "small.yaml")
    sizes = {"image_size": SIZE, "channels": 4, "sentence_dim": 32}
    model = {
        "damsm": str(networks.damsm),
        "generator": {"class_path": "SSAGANGenerator", "init_args": sizes},
        "discriminators": [{"class_path": "OneWayDiscriminator", "init_args": sizes}],
        "text_mode": "joint",
        "ema_decay": 0.5,
        "lr_generator": 0.01,
    }
    data = {"store": str(drawn_birds_store), "image_size": SIZE, "batch_size": 4, "num_workers": 0}
    trainer = {
        "max_steps": STEPS,
        "limit_val_batches": 0,
        "accelerator": "cpu",
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "log_every_n_steps": 1,
    }
    config = {
        "model": {"class_path": "SSAGAN", "init_args": model},
        "data": {"class_path": "DrawnBirds", "init_args": data},
        "trainer": trainer,
    }
    (folder / "plain.yaml").write_text(yaml.safe_dump(config))
    scores = {
        "protocol": str(protocol),
        "images": IMAGES,
        "every_n_steps": EVERY,
        "independent_damsm": [str(networks.other_damsm)],
        "classifier": str(networks.classifier),
        "best": "fd-classifier",
    }
    save = {"class_path": "RunCheckpoints", "init_args": {"every_n_steps": 1}}
    trainer["callbacks"] = [{"class_path": "Scores", "init_args": scores}, save]
    (folder / "scored.yaml").write_text(yaml.safe_dump(config))
    return folder


def fit(home, name, config="scored.yaml", *options):
    main(["fit", "--config", str(home / config), "--run", str(home / name), *options])
    return home / name


@pytest.fixture(scope="module")
def scored(home):
    return fit(home, "scored")


def curve(run, *keys):
    """(step, values) of the rows that have the keys."""
    rows = read_curves(run / "metrics.csv")
    return [(row["step"], *(row[key] for key in keys)) for row in rows if keys[0] in row]


def training_curve(run):
    rows = [row for row in read_curves(run / "metrics.csv") if "train/loss_g" in row]
    return [{key: row[key] for key in row if key.startswith(OF_A_STEP)} for row in rows]


def scores_of(record):
    return {name: one.value for name, one in record.metrics.items()}


def rounded(record):
    """Up to what a training's memory layout and another process's batches change in the last digits."""
    return pytest.approx(scores_of(record), rel=1e-5)


def test_training_is_what_it_is_without_scores(home, scored):
    plain = fit(home, "plain", "plain.yaml")
    assert training_curve(scored) == training_curve(plain) and len(training_curve(plain)) == STEPS
    one, two = (read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"] for run in (scored, plain))
    assert one.keys() == two.keys()  # the networks that score are not among them
    assert all(value.equal(two[key]) for key, value in one.items())


def test_values_are_in_every_log_with_step_and_images_seen(scored):
    found = curve(scored, *CURVES, INDEPENDENT, "val/images_seen", "speed/scoring_share")
    assert [row[0] for row in found] == [step - 1 for step in range(EVERY, STEPS + 1, EVERY)]
    assert [row[-2] for row in found] == [4 * step for step in range(EVERY, STEPS + 1, EVERY)]
    assert all(0 < row[-1] < 1 for row in found)
    records = read_records(scored / "records.jsonl")
    assert [one.subject.training.steps for one in records] == [2, 4, 6]
    assert [one.subject.training.images_seen for one in records] == [8, 16, 24]
    protocol = load_protocol(str(scored.parent / "small.yaml"))
    assert {one.protocol for one in records} == {f"small@{IMAGES}"}
    assert {one.protocol_hash for one in records} == {smaller(protocol, IMAGES).hash} != {protocol.hash}
    board = EventAccumulator(str(scored / "tensorboard"))
    board.Reload()
    key = f"val/fd-classifier@{IMAGES}"
    assert [event.value for event in board.Scalars(key)] == pytest.approx([row[1] for row in curve(scored, key)])


@pytest.fixture(scope="module")
def evaluated(home, drawn_birds_store):
    """What ``evaluate`` gives of a run's last checkpoint, in one process."""
    networks = train_checkpoints(drawn_birds_store, drawn_birds_store.parent / "checkpoints")
    store = open_store(drawn_birds_store)
    protocol = smaller(load_protocol(str(home / "small.yaml")), IMAGES)
    damsms = load_damsms([networks.damsm, networks.other_damsm], store)
    classifier = load_classifier(networks.classifier, store)

    def run(folder):
        subject = load_checkpoint_subject(folder / "checkpoints" / "last.ckpt", protocol.weights)
        return evaluate(subject, protocol, store, damsms, classifier)

    return run


def test_a_score_is_what_evaluate_gives_of_the_same_weights(scored, evaluated):
    record = evaluated(scored)
    assert scores_of(read_records(scored / "records.jsonl")[-1]) == rounded(record)
    (last,) = curve(scored, f"val/r-precision@{IMAGES}", INDEPENDENT)[-1:]
    assert last[1:] == tuple(record.metrics[f"r-precision@{label}"].value for label in record.damsm)


def test_the_best_checkpoint_is_that_of_the_best_score(scored):
    key = f"fd-classifier@{IMAGES}"
    values = [value for _, value in curve(scored, f"val/{key}")]
    place = values.index(min(values))
    best = read_checkpoint(scored / "checkpoints" / "best-fd-classifier.ckpt")
    assert best["global_step"] == EVERY * (place + 1)
    expected = {"metric": key, "value": min(values), "step": best["global_step"]}
    assert best["selected"] == expected | {"protocol": f"small@{IMAGES}", "selection": "test"}
    assert "selected" not in read_checkpoint(scored / "checkpoints" / "last.ckpt")
    assert curve(scored, f"best/val/{key}")[-1][1] == min(values)


def test_evaluate_takes_the_best_of_a_run_and_says_what_chose_it(home, scored, drawn_birds_store, capsys):
    networks = train_checkpoints(drawn_birds_store, drawn_birds_store.parent / "checkpoints")
    options = ["--protocol", str(home / "small.yaml"), "--store", str(drawn_birds_store), "--cache", "none"]
    options += ["--damsm", str(networks.damsm), "--classifier", str(networks.classifier)]
    main(["evaluate", "--checkpoint", str(scored), "--records", str(home / "own.jsonl"), *options])
    best = scored / "checkpoints" / "best-fd-classifier.ckpt"
    choice = read_checkpoint(best)["selected"]
    out = capsys.readouterr().out
    assert f"{scored}: takes {best} (fd-classifier@{IMAGES} {choice['value']:.4g} at step {choice['step']}" in out
    assert "selection: test" in out
    (record,) = read_records(home / "own.jsonl")
    assert record.subject.selection == f"test: best fd-classifier@{IMAGES} of small@{IMAGES}"
    assert record.subject.training.steps == choice["step"]
    (table,) = boards([record, *read_records(scored / "records.jsonl")])
    assert [row.kind for row in table.rows] == ["checkpoint"]
    assert f"this checkpoint was chosen by a score ({record.subject.selection})" in " ".join(table.footnotes)


def test_of_a_run_without_a_best_one_the_last_is_taken(home, tmp_path, capsys):
    with pytest.raises(UserError, match="holds no checkpoint"):
        checkpoint_of(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.touch()
    assert checkpoint_of(tmp_path) == checkpoint_of(last) == last
    for name in ("fid", "is"):
        (last.parent / f"best-{name}.ckpt").touch()
    with pytest.raises(UserError, match=r"several best checkpoints.*best-fid\.ckpt"):
        checkpoint_of(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("devices", "number", "place"),
    [
        (1, signal.SIGKILL, "scoring"),
        (2, signal.SIGKILL, "scoring"),
        (1, signal.SIGTERM, "scoring"),
        (1, signal.SIGTERM, "step"),
    ],
)
def test_a_stop_in_the_midst_of_a_scoring_leaves_no_trace(
    home, scored, evaluated, devices, number, place, tmp_path
):
    options = [] if devices == 1 else ["--trainer.devices", "2", "--trainer.strategy", FORKS]
    command = ["fit", "--config", str(home / "scored.yaml"), *options, "--run"]

    def ended(run, before=None):
        process = Forked([*command, str(run)], os.environ, before=before)
        process.communicate()
        return process.returncode

    run, whole = tmp_path / "stopped", scored if devices == 1 else tmp_path / "whole"
    assert devices == 1 or ended(whole) == 0
    assert ended(run, partial(stopping, number, place)) != 0
    assert curve(run, INDEPENDENT) == curve(whole, INDEPENDENT)[:1]
    assert ended(run) == 0
    keys = [*sorted(CURVES), INDEPENDENT, "val/images_seen"]
    assert curve(run, *keys) == curve(whole, *keys)
    assert training_curve(run) == training_curve(whole)
    one, two = (read_records(each / "records.jsonl") for each in (run, whole))
    assert [record.metrics for record in one] == [record.metrics for record in two]
    assert scores_of(one[-1]) == rounded(evaluated(run))  # whatever the number of processes
    for name in ("last", "best-fd-classifier"):
        one, two = (load_module(each / "checkpoints" / f"{name}.ckpt").state_dict() for each in (run, whole))
        assert all(value.equal(two[key]) for key, value in one.items())


def test_held_out_classes_select(home, drawn_birds_store):
    run = home / "val-classes"
    config = yaml.safe_load((home / "scored.yaml").read_text())
    config["data"]["init_args"]["val_classes"] = 3
    (scores, _) = config["trainer"]["callbacks"]
    scores["init_args"] |= {"selection": "val-classes", "best": "r-precision-independent"}
    (home / "val-classes.yaml").write_text(yaml.safe_dump(config))
    fit(home, "val-classes", "val-classes.yaml")
    view = HeldOutClasses(open_store(drawn_birds_store), 3)
    records = read_records(run / "records.jsonl")
    assert {one.fingerprint for one in records} == {view.fingerprint}
    assert {one.n_split for one in records} == {len(view.split("test"))}
    assert records[0].notes == ["scored on 3 training classes that the training leaves out"]
    best = read_checkpoint(run / "checkpoints" / "best-r-precision-independent.ckpt")["selected"]
    # Under a name of their own: they compare with no score on the test split.
    values = [value for _, value in curve(run, f"{INDEPENDENT}-val-classes")]
    assert (best["selection"], best["value"]) == ("val-classes", max(values))
    assert not curve(run, INDEPENDENT)


def test_epochs_are_counted_by_whole_ones(home):
    """24 training images in batches of 4 are 6 steps an epoch."""
    config = yaml.safe_load((home / "scored.yaml").read_text())
    config["trainer"] |= {"max_steps": -1, "max_epochs": 3}
    (scores, _) = config["trainer"]["callbacks"]
    del scores["init_args"]["every_n_steps"]
    scores["init_args"] |= {"every_n_epochs": 2, "metrics": ["r-precision"], "best": None, "images": 20}
    (home / "epochs.yaml").write_text(yaml.safe_dump(config))
    run = fit(home, "epochs", "epochs.yaml")
    assert [row[0] for row in curve(run, "val/r-precision@20")] == [11]
    assert not list((run / "checkpoints").glob("best-*"))


def refused(capsys, home, **changes):
    """The line that a training with changed scores ends with before it begins."""
    config = yaml.safe_load((home / "scored.yaml").read_text())
    config["trainer"]["callbacks"][0]["init_args"] |= changes
    (home / "wrong.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(SystemExit) as caught:
        fit(home, "wrong", "wrong.yaml")
    assert caught.value.code == 2 and not (home / "wrong" / "checkpoints").exists()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("t2igan fit:")]
    return line


def test_what_cannot_be_scored_is_said_before_training(home, capsys):
    assert "val_classes" in refused(capsys, home, selection="val-classes")
    assert "Scores.best: 'fid' is not one of fd-classifier" in refused(capsys, home, best="fid")
    assert "between 2 and the 100 of small" in refused(capsys, home, images=101)
    assert "not all among the metrics of small" in refused(capsys, home, metrics=["kid"])
    assert "every_n_steps or every_n_epochs" in refused(capsys, home, every_n_epochs=1)
    assert "nowhere.ckpt does not exist; train it with a classifier.yaml" in refused(
        capsys, home, classifier="nowhere.ckpt"
    )
    assert "another seed" in refused(capsys, home, independent_damsm=["nowhere.ckpt"])


def test_scoring_leaves_random_numbers_and_precision_as_they_were():
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    try:
        with undisturbed():
            torch.rand(7), random.random(), np.random.rand(7)
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(precision)
    assert torch.get_rng_state().equal(before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]


def test_scores_of_several_protocols_keep_their_own_states(tmp_path):
    small = str(write_protocol(tmp_path / "small.yaml"))
    larger = str(write_protocol(tmp_path / "larger.yaml", images=70))
    scores = [Scores(small, 1), Scores(larger, 1), Scores(small, 1, selection="val-classes")]
    assert len({each.state_key for each in scores}) == 3
    # As checkpoints of before have it.
    assert scores[0].state_key == f"Scores{{'protocol': '{scores[0].protocol.hash}', 'selection': 'test'}}"
