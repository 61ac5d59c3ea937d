"""Training from the command line, as a user types it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
import yaml
from forked import Forked
from small_configs import ssagan_on_trained_damsm

from t2igan.callbacks.run_folder import OF_A_STEP, read_curves
from t2igan.cli.main import main
from t2igan.data.datamodule import DrawnBirds
from t2igan.evaluation.history import read_changes
from t2igan.evaluation.subjects.generated import load_checkpoint_subject
from t2igan.models import adversarial
from t2igan.models.suite_module import content_sha256, load_module, read_checkpoint
from t2igan.nn.levers import EXACT, PLAIN
from t2igan.progress import default_run_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, drawn_birds_store):
    """A folder with the YAML of a small DAMSM, which is trained, and of a small SSA-GAN."""
    home = tmp_path_factory.mktemp("fit")
    config = ssagan_on_trained_damsm(home, drawn_birds_store)
    saving = {"class_path": "RunCheckpoints", "init_args": {"every_n_steps": 4}}
    samples = {"class_path": "SampleGrid", "init_args": {"every_n_steps": 7, "captions": 3}}
    config["trainer"]["callbacks"] = [saving, samples]
    (home / "ssagan.yaml").write_text(yaml.safe_dump(config))
    return home


@pytest.fixture(scope="module")
def uninterrupted(folder):
    main(["fit", "--config", str(folder / "ssagan.yaml"), "--run", str(folder / "whole")])
    return folder / "whole"


def test_a_run_has_one_folder(uninterrupted):
    names = {path.name for path in uninterrupted.iterdir()}
    assert {"config.yaml", "metrics.csv", "checkpoints", "samples", "tensorboard"} <= names
    assert {path.name for path in (uninterrupted / "samples").iterdir()} == {
        f"step_{step}.{kind}" for step in ("000007", "000014") for kind in ("png", "npz")
    }
    rows = read_curves(uninterrupted / "metrics.csv")
    steps = [row["step"] for row in rows if "train/loss_g" in row]
    assert steps == list(range(14))
    assert "val/damsm" in set().union(*rows)
    assert yaml.safe_load((uninterrupted / "config.yaml").read_text())["model"]["init_args"]["text_mode"] == "joint"
    assert load_module(uninterrupted / "checkpoints" / "last.ckpt").vocabulary


@pytest.mark.slow
def test_killed_training_goes_on_as_if_nothing_had_happened(folder, uninterrupted):
    run = folder / "killed"
    command = [sys.executable, "-m", "t2igan", "fit", "--config", str(folder / "ssagan.yaml"), "--run", str(run)]
    process = subprocess.Popen(command, start_new_session=True)
    last = run / "checkpoints" / "last.ckpt"
    while not last.is_file():
        assert process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    main(["fit", "--config", str(folder / "ssagan.yaml"), "--run", str(run), "--ckpt_path", "last"])
    assert curve(run) == curve(uninterrupted)
    one, two = (load_module(each / "checkpoints" / "last.ckpt").state_dict() for each in (run, uninterrupted))
    assert all(value.equal(two[key]) for key, value in one.items())


def curve(run):
    return [
        {key: row[key] for key in row if key.startswith(OF_A_STEP)}
        for row in read_curves(run / "metrics.csv")
        if "train/loss_g" in row
    ]


def test_the_same_command_again_goes_on(folder, uninterrupted, capsys):
    """... and a run that is prolonged equals one that was as long from the start."""
    command = ["fit", "--config", str(folder / "ssagan.yaml"), "--trainer.max_steps", "16"]
    main([*command, "--run", str(uninterrupted)])
    assert "resuming from" in capsys.readouterr().out
    steps = [row["step"] for row in read_curves(uninterrupted / "metrics.csv") if "train/loss_g" in row]
    assert steps == list(range(16))
    main([*command, "--run", str(folder / "longer")])
    assert curve(uninterrupted) == curve(folder / "longer")
    cards = [load_checkpoint_subject(last_of(run), "ema").card for run in (uninterrupted, folder / "longer")]
    training = cards[0].training
    assert (training.steps, training.images_seen, training.global_batch) == (16, 64, 4)
    assert training.config["trainer"]["max_steps"] == 16 and len(training.fingerprint) == 64
    assert training.config["ckpt_path"] is None  # its own: the configuration makes the run anew elsewhere
    assert cards[0].experiment == cards[1].experiment is not None
    damsm = load_module(folder / "damsm" / "checkpoints" / "last.ckpt")
    assert training.inputs == {"damsm": content_sha256(damsm)}


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_a_look_at_a_run_changes_nothing_of_it(folder, uninterrupted, capsys, verb):
    """Its configuration was replaced by the one given, and a row of step 0 added to its curves."""
    before = contents(uninterrupted)
    command = [verb, "--config", str(folder / "ssagan.yaml"), "--trainer.max_steps", "99"]
    main([*command, "--run", str(uninterrupted)])
    assert f"{verb} of {last_of(uninterrupted)}" in capsys.readouterr().out
    assert contents(uninterrupted) == before
    with pytest.raises(SystemExit):
        main([*command, "--run", str(folder / "nowhere")])
    assert f"nowhere holds no checkpoint to {verb} with" in capsys.readouterr().err
    main([*command, "--run", str(folder / "nowhere"), "--ckpt_path", str(last_of(uninterrupted))])
    assert not (folder / "nowhere").exists() and contents(uninterrupted) == before


def contents(run):
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def last_of(run):
    return run / "checkpoints" / "last.ckpt"


def test_predict_generates_for_the_test_captions_in_order(folder, uninterrupted, drawn_birds_store, monkeypatch):
    seen = []

    def keep(self, outputs, batch, batch_idx, dataloader_idx=0):
        assert outputs.shape == (len(batch), 3, 16, 16)
        seen.extend(batch.caption_ids.tolist())

    monkeypatch.setattr(adversarial.AdversarialModule, "on_predict_batch_end", keep)
    main(["predict", "--config", str(folder / "ssagan.yaml"), "--run", str(uninterrupted)])
    assert seen == DrawnBirds(str(drawn_birds_store), image_size=16).first_captions("test") and seen


def test_a_checkpoint_at_the_end_of_a_batch_has_counted_it(folder, uninterrupted):
    """The regular checkpoint before the very last."""
    path = uninterrupted / "checkpoints" / "previous.ckpt"
    training = load_checkpoint_subject(path, "ema").card.training
    assert training.images_seen == 4 * training.steps
    assert load_module(folder / "damsm" / "checkpoints" / "last.ckpt").images_seen == 16


def test_another_model_in_the_same_folder_is_refused(folder, uninterrupted, capsys):
    with pytest.raises(SystemExit):
        main(
            [
                "fit",
                "--config",
                str(folder / "ssagan.yaml"),
                "--run",
                str(uninterrupted),
                "--trainer.max_steps",
                "20",
                "--model.discriminators",
                '[{"class_path": "OneWayDiscriminator", "init_args": '
                '{"image_size": 16, "channels": 3, "sentence_dim": 16}}]',
            ]
        )
    assert "--fresh true" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("--model.lr_generator", "-1", "lr_generator is -1"),
        ("--data.class_path", "CUB", "holds 'drawn-birds', not 'cub'"),
        ("--model.generator.class_path", "SPADEGenerator", "SSAGAN needs layouts"),
        ("--trainer.precision", "16-mixed", "trainer.precision: 16-mixed is not supported"),
        ("--trainer.precision", "64-true", "trainer.precision: 64-true is not supported"),
        ("--trainer.strategy", "fsdp", "trainer.strategy: fsdp is not supported"),
        ("--trainer.accelerator", "tpu", "trainer.accelerator: tpu is not supported"),
        ("--trainer.fast_dev_run", "true", "--trainer.max_steps 2"),
        ("--trainer.max_steps", "0", "trainer.max_steps is 0"),
        ("--trainer.max_epochs", "0", "trainer.max_epochs is 0"),
        ("--trainer.limit_train_batches", "0", "trainer.limit_train_batches is 0"),
        ("--trainer.enable_checkpointing", "false", "remove the key"),
        ("--trainer.default_root_dir", "elsewhere", "with --run"),
    ],
)
def test_a_refused_training_leaves_no_folder(folder, capsys, monkeypatch, key, value, told):
    """Nor is it refused by the processes of its devices: it ends before they are started."""
    monkeypatch.setattr("t2igan.cli.fit.SuiteCLI.fit", lambda *_, **__: pytest.fail("training began"))
    content = yaml.safe_load((folder / "ssagan.yaml").read_text())
    if "generator.class_path" in key:
        content["model"]["init_args"]["generator"] = {"class_path": value, "init_args": {"image_size": 16}}
    config = folder / "refused.yaml"
    config.write_text(yaml.safe_dump(content))
    words = ["--config", str(config), "--run", str(folder / "none")]
    with pytest.raises(SystemExit):
        main(["fit", *words, key, value])
    assert told in capsys.readouterr().err
    assert not (folder / "none").exists()


def test_one_device_trains_with_ddp_as_without(folder):
    """Its networks are trained in turn, with which plain DDP ends."""
    ends = []
    for strategy in ("auto", "ddp"):
        run = folder / f"strategy-{strategy}"
        words = ["--config", str(folder / "ssagan.yaml"), "--run", str(run), "--trainer.max_steps", "2"]
        process = Forked(["fit", *words, "--trainer.strategy", strategy], os.environ)  # DDP leaves its port behind
        printed = process.communicate(300)
        assert process.returncode == 0, printed
        ends.append(read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"])
    torch.testing.assert_close(*ends, rtol=0, atol=0)


def test_two_nodes_train_as_two_devices(folder):
    """Each node types the command; the second took itself for the first, and waited for the run's lock."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["fit", "--config", str(folder / "ssagan.yaml"), "--trainer.max_steps", "2", "--run"]
    cluster = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    nodes = [
        Forked([*words, str(folder / "nodes"), "--trainer.num_nodes", "2"], {**cluster, "NODE_RANK": str(node)})
        for node in range(2)
    ]
    several = ["--trainer.devices", "2", "--trainer.strategy", "ddp_fork"]
    for process in (*nodes, Forked([*words, str(folder / "devices"), *several], os.environ)):
        printed = process.communicate(300)
        assert process.returncode == 0, printed
    ends = [read_checkpoint(folder / run / "checkpoints" / "last.ckpt") for run in ("nodes", "devices")]
    torch.testing.assert_close(*(end["state_dict"] for end in ends), rtol=0, atol=0)


@pytest.mark.parametrize("damsm", [True, False])
def test_a_vocabulary_of_another_size_is_refused(folder, capsys, damsm):
    """With a DAMSM it was ignored, and stood in config.yaml."""
    content = yaml.safe_load((folder / "ssagan.yaml").read_text())
    content["model"]["init_args"] |= {"vocabulary_size": 9999} | (
        {} if damsm else {"damsm": None, "damsm_weight": 0}
    )
    config = folder / "vocabulary.yaml"
    config.write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--config", str(config), "--run", str(folder / "vocabulary")])
    assert ended.value.code == 2
    assert "vocabulary_size is 9999, but the data have" in capsys.readouterr().err


def test_speed_reaches_the_model(folder, monkeypatch):
    seen, real = [], adversarial.prepare_networks
    monkeypatch.setattr(adversarial, "prepare_networks", lambda module: seen.append(module.levers) or real(module))
    words = ["--config", str(folder / "ssagan.yaml"), "--run", str(folder / "speed"), "--trainer.max_steps", "1"]
    main(["fit", *words])
    main(["fit", *words, "--fresh", "true", "--speed", "plain", "--levers.folding", "true"])
    default, chosen = seen
    assert default == EXACT and chosen == replace(PLAIN, folding=True)


def test_the_command_line_wins_over_the_checkpoint(folder, uninterrupted):
    """One line turns the text mode; a resumed run takes the rate that is asked for now."""
    run = folder / "frozen"
    main(
        [
            "fit",
            "--config",
            str(folder / "ssagan.yaml"),
            "--run",
            str(run),
            "--model.text_mode",
            "frozen",
            "--trainer.max_steps",
            "2",
        ]
    )
    module, damsm = (
        load_module(run / "checkpoints" / "last.ckpt"),
        load_module(folder / "damsm/checkpoints/last.ckpt"),
    )
    assert all(
        one.equal(two) for one, two in zip(module.text_encoder.parameters(), damsm.text_encoder.parameters())
    )


def test_a_changed_rate_takes_effect_and_is_told(folder, capsys):
    run = folder / "changed"
    words = ["fit", "--config", str(folder / "ssagan.yaml"), "--run", str(run)]
    main([*words, "--trainer.max_steps", "2"])
    last = run / "checkpoints" / "last.ckpt"
    assert rates(last) == [0.0001, 0.0004]
    told = capsys.readouterr().out
    assert "SSAGANGenerator" in told and "trained" in told and "FLOPs" not in told
    main([*words, "--trainer.max_steps", "3", "--model.lr_generator", "0.01"])
    assert "model.lr_generator 0.0001 -> 0.01 from step 2\n" in capsys.readouterr().out
    assert rates(last) == [0.01, 0.0004]
    change = {"key": "model.lr_generator", "before": 0.0001, "after": 0.01, "step": 2}
    assert read_changes(last) == [change]
    main([*words, "--trainer.max_steps", "3", "--model.lr_generator", "0.01"])
    assert "nothing left to do: 3 of 3 steps" in capsys.readouterr().out
    texts = {file.name: file.read_text() for file in run.iterdir() if file.suffix in (".yaml", ".jsonl")}
    wider = "--model.generator.init_args.channels=4"
    with pytest.raises(SystemExit):
        main([*words, "--trainer.max_steps", "4", wider])
    refused = capsys.readouterr()
    assert re.search(r"does not fit this model \(\S+: \[.*\] in the checkpoint, \[.*\] in the model\)", refused.err)
    assert read_changes(last) == [change], "what was refused did not happen"
    assert {file.name: file.read_text() for file in run.iterdir() if file.name in texts} == texts
    assert not [file.name for file in run.glob("config-before-*") if file.name not in texts]


@pytest.mark.slow
def test_a_refusal_is_said_once_not_by_each_device(folder, uninterrupted):
    words = ["fit", "--config", str(folder / "ssagan.yaml"), "--run", str(uninterrupted), "--trainer.devices", "2"]
    wider = ["--trainer.max_steps", "20", "--model.generator.init_args.channels", "4"]
    command = [sys.executable, "-m", "t2igan", *words, *wider]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.count("does not fit this model") == 1, refused.stderr


def rates(checkpoint):
    states = read_checkpoint(checkpoint)["optimizer_states"]
    return [group["lr"] for state in states[:2] for group in state["param_groups"][:1]]


@pytest.mark.parametrize(
    ("config", "run"),
    [
        ("experiments/cub/ssagan.yaml", "runs/cub/ssagan"),
        ("elsewhere/own.yaml", "runs/own"),
        ("runs/cub/ssagan/config.yaml", "runs/cub/ssagan"),
        ("checkpoints/zoo/drawn-birds/ssagan/config.yaml", "runs/ssagan"),
        ("config.yaml", "runs/config"),
    ],
)
def test_default_folder_of_a_run(config, run):
    assert str(default_run_folder([config])) == run
