"""Scores while it trains, on small networks and the small drawn birds."""

import signal
import subprocess
import sys

import pytest
import yaml
from evaluation_fixtures import SIZE, evaluate, train_checkpoints, write_protocol
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from t2igan.callbacks.run_folder import OF_A_STEP, read_curves
from t2igan.cli.main import main
from t2igan.data.store import open_store
from t2igan.evaluation.in_training import smaller
from t2igan.evaluation.protocol import load_protocol
from t2igan.evaluation.record import read_records
from t2igan.evaluation.scorers import load_classifier, load_judges
from t2igan.evaluation.subjects import load_checkpoint_subject
from t2igan.models.suite_module import load_module, read_checkpoint

STEPS, EVERY, IMAGES = 6, 2, 60
CURVES = {f"val/{name}@{IMAGES}" for name in ("fd-classifier", "is-classifier", "r-precision")}
INDEPENDENT = f"val/r-precision-independent@{IMAGES}"
# Kills its own process, as a power cut would, in the midst of the second scoring.
KILLED = """
import os, signal, sys
from t2igan.cli.main import main
from t2igan.evaluation import subjects
draw, scorings = subjects.draw_pictures, 0
def deadly(*arguments):
    global scorings
    scorings += 1
    for number, images in enumerate(draw(*arguments)):
        if (scorings, number) == (2, 1):
            os.kill(os.getpid(), signal.SIGKILL)
        yield images
subjects.draw_pictures = deadly
main(sys.argv[1:])
"""


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
    save = {"class_path": "ModelCheckpoint", "init_args": {"every_n_train_steps": 1, "save_last": True}}
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
    judges = load_judges([networks.damsm, networks.other_damsm], store)
    classifier = load_classifier(networks.classifier, store)

    def run(folder):
        subject = load_checkpoint_subject(folder / "checkpoints" / "last.ckpt", protocol.weights)
        return evaluate(subject, protocol, store, judges, classifier)

    return run


def test_a_score_is_what_evaluate_gives_of_the_same_weights(scored, evaluated):
    record = evaluated(scored)
    assert record.metrics == read_records(scored / "records.jsonl")[-1].metrics
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


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_a_kill_in_the_midst_of_a_scoring_leaves_no_trace(home, scored, evaluated, devices, tmp_path):
    options = ["--trainer.devices", str(devices)]
    command = ["fit", "--config", str(home / "scored.yaml"), *options, "--run"]
    if devices == 1:
        whole = scored
    else:
        whole = tmp_path / "whole"
        subprocess.run([sys.executable, "-m", "t2igan", *command, str(whole)], check=True)
    script, run = tmp_path / "killed.py", tmp_path / "killed"
    script.write_text(KILLED)
    assert subprocess.run([sys.executable, script, *command, str(run)]).returncode == -signal.SIGKILL
    assert curve(run, INDEPENDENT) == curve(whole, INDEPENDENT)[:1]
    subprocess.run([sys.executable, "-m", "t2igan", *command, str(run)], check=True)
    keys = [*sorted(CURVES), INDEPENDENT, "val/images_seen"]
    assert curve(run, *keys) == curve(whole, *keys)
    assert training_curve(run) == training_curve(whole)
    one, two = (read_records(each / "records.jsonl") for each in (run, whole))
    assert [record.metrics for record in one] == [record.metrics for record in two]
    assert one[-1].metrics == evaluated(run).metrics  # whatever the number of processes
    for name in ("last", "best-fd-classifier"):
        one, two = (load_module(each / "checkpoints" / f"{name}.ckpt").state_dict() for each in (run, whole))
        assert all(value.equal(two[key]) for key, value in one.items())
