"""What wandb is told of a run, read back from what it recorded offline."""

import json

import pytest
import torch
import wandb
import yaml
from pytorch_lightning.loggers import WandbLogger
from wandb_reading import OfflineRun

from t2igan.callbacks.run_folder import read_curves
from t2igan.callbacks.wandb_run import settle
from t2igan.cli.main import main
from t2igan.data.store import open_store
from t2igan.models.damsm import DAMSM, SmallImageEncoder
from t2igan.reporting.report_runs import read_run

CLIP = 1e-4
NETWORKS = ("generator", "discriminator", "text_encoder")


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch, tmp_path):
    """Neither a project nor a key nor a mode from outside."""
    for name in ("PROJECT", "RUN_GROUP", "TAGS", "NAME", "RUN_ID", "RESUME", "MODE", "API_KEY", "ENTITY", "DIR"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_SILENT", "true")


@pytest.fixture(scope="module", autouse=True)
def wandb_leaves_nothing_behind():
    yield
    wandb.teardown()


@pytest.fixture(scope="module")
def fit(tmp_path_factory, drawn_birds_store):
    """Runs ``t2igan fit`` of a small SSA-GAN under a DAMSM that has learnt nothing."""
    home = tmp_path_factory.mktemp("wandb")
    damsm = DAMSM(SmallImageEncoder(dim=16, channels=2, image_size=16))
    damsm.vocabulary = list(open_store(drawn_birds_store).vocabulary.words)
    damsm.configure_model()
    checkpoint = {"state_dict": damsm.state_dict()}
    damsm.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, home / "damsm.ckpt")
    sizes = {"image_size": 16, "channels": 2, "sentence_dim": 16}
    model = {
        "damsm": str(home / "damsm.ckpt"),
        "text_mode": "joint",
        "clip": CLIP,
        "generator": {"class_path": "SSAGANGenerator", "init_args": sizes},
        "discriminators": [{"class_path": "OneWayDiscriminator", "init_args": sizes}],
    }
    data = {"store": str(drawn_birds_store), "image_size": 16, "batch_size": 4, "num_workers": 0}
    images = {"class_path": "SampleGrid", "init_args": {"every_n_steps": 2, "captions": 3}}
    trainer = {
        "max_steps": 2,
        "limit_val_batches": 1,
        "val_check_interval": 1,
        "num_sanity_val_steps": 0,
        "accelerator": "cpu",
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "log_every_n_steps": 1,
        "callbacks": [images],
        "logger": "WandbLogger",
    }
    config = {
        "model": {"class_path": "SSAGAN", "init_args": model},
        "data": {"class_path": "DrawnBirds", "init_args": data},
        "trainer": trainer,
    }
    (home / "ssagan.yaml").write_text(yaml.safe_dump(config))

    def run(name, *options):
        wandb.teardown()  # wandb reads the environment once in a process
        main(["fit", "--config", str(home / "ssagan.yaml"), "--run", str(home / name), *options])
        return home / name

    run.home = home
    return run


@pytest.fixture(scope="module")
def run(fit):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        return fit("run")


@pytest.fixture(scope="module")
def recorded(run):
    (folder,) = run.glob("wandb/offline-run-*")
    return OfflineRun(folder)


def test_curves_of_a_run(recorded):
    losses = {f"train/{name}" for name in ("loss_d", "loss_g", "loss_g_adversarial", "loss_g_damsm", "penalty")}
    logits = {f"train/{name}" for name in ("logits_real", "logits_fake", "logits_wrong", "margin")}
    networks = {f"{kind}/{name}" for kind in ("gradients", "lr") for name in NETWORKS}
    validation = {f"{kind}val/{name}" for kind in ("", "best/") for name in ("damsm", "top1_of_batch")}
    speed = {"speed/images_per_second", "speed/waiting_for_data"}
    assert losses | logits | networks | validation | speed <= recorded.keys
    steps = [row for row in recorded.rows if "train/margin" in row]
    assert [row["trainer/global_step"] for row in steps] == [0, 1]
    for row in steps:
        assert row["train/margin"] == pytest.approx(row["train/logits_real"] - row["train/logits_fake"], abs=1e-6)
        assert row["gradients/generator"] > 10 * CLIP  # as it was before clipping
        assert row["lr/discriminator"] == pytest.approx(4e-4)
        assert row["speed/images_per_second"] > 0


def test_the_same_curves_are_in_the_runs_folder(run, recorded):
    written = set().union(*read_curves(run / "metrics.csv"))
    foreign = {"step", "trainer/global_step"}
    curves = {key for key in recorded.keys if key.startswith(("train/", "val/", "best/", "gradients/", "lr/"))}
    assert curves - foreign <= written


def test_the_summary_keeps_the_best_validation(recorded):
    values = [row["val/damsm"] for row in recorded.rows if "val/damsm" in row]
    best = [row["best/val/damsm"] for row in recorded.rows if "best/val/damsm" in row]
    assert len(values) == 2 and best == [values[0], min(values)]
    assert recorded.summary["val/damsm"] == {"min": min(values)}
    assert list(recorded.summary["val/top1_of_batch"]) == ["max"]


def test_images_have_their_captions(run, recorded):
    (row,) = [row for row in recorded.rows if "images/captions" in row or "images" in row]
    images = {key.partition("/")[2]: value for key, value in row.items()} | row.get("images", {})
    assert len(images["captions"]) == images["count"] == 3
    assert all(caption for caption in images["captions"])
    assert all(list(run.glob(f"wandb/offline-run-*/files/{file}")) for file in images["filenames"])
    assert {key.partition("/")[0] for key in recorded.keys} >= {"samples", "images", "masks"}


def test_what_the_run_was(recorded, run, drawn_birds_store):
    config = recorded.config
    assert config["model"]["init_args"]["lr_discriminator"] == 4e-4  # a default that no YAML gave
    # Defaults that the given generator and discriminators replace would name sizes that nothing has.
    assert not {"image_size", "sentence_dim", "channels"} & set(config["model"]["init_args"])
    assert config["command"].startswith("t2igan fit --config ") and str(run) in config["command"]
    fingerprint = open_store(drawn_birds_store).fingerprint
    assert config["dataset"] == {"name": "drawn-birds", "fingerprint": fingerprint}
    assert set(NETWORKS) <= set(config["parameters"]) and min(config["parameters"].values()) > 0
    assert {"t2igan", "python", "torch"} <= set(config["versions"])
    assert (recorded.run.project, recorded.run.run_group, list(recorded.run.tags)) == (
        "t2igan",
        "SSAGAN",
        ["drawn-birds"],
    )
    assert recorded.run.display_name == "run"


def test_the_same_command_again_goes_on_under_the_same_id(fit, run, recorded, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    known = json.loads((run / "wandb.json").read_text())["id"]
    fit("run", "--trainer.max_steps", "3")
    continued = OfflineRun(max(run.glob("wandb/offline-run-*")))
    assert continued.run.run_id == known == recorded.run.run_id
    assert [row["trainer/global_step"] for row in continued.rows if "train/margin" in row] == [2]
    assert min(row["_step"] for row in continued.rows) > max(row["_step"] for row in recorded.rows)
    (row,) = [row for row in continued.rows if "best/val/damsm" in row]
    values = [row["val/damsm"] for row in [*recorded.rows, *continued.rows] if "val/damsm" in row]
    assert row["best/val/damsm"] == min(values)
    assert wandb.run is None


def test_the_report_says_how_to_send_it(run):
    page = read_run(run, [])
    assert page.page is None
    pattern = page.sync.removeprefix("wandb sync ")
    assert list(run.glob(str(pattern).removeprefix(f"{run}/")))


def test_disabled(fit, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    run = fit("disabled")
    assert not (run / "wandb.json").exists() and not list(run.glob("wandb/*run-*"))
    assert (run / "checkpoints" / "last.ckpt").is_file() and (run / "samples" / "step_000002.png").is_file()


def test_without_a_key_there_is_one_line_before_training(fit, capsys):
    with pytest.raises(SystemExit):
        fit("online")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("t2igan fit:")]
    assert "WANDB_MODE=offline" in line and "wandb login" in line
    assert not (fit.home / "online" / "checkpoints").exists()


def settled(logger, folder, fresh=False):
    settle(logger, folder, model="SSAGAN", dataset="cub", fresh=fresh)
    return logger._wandb_init


def test_the_environment_wins_over_the_defaults(monkeypatch, tmp_path):
    variables = {"WANDB_PROJECT": "plan", "WANDB_RUN_GROUP": "a", "WANDB_TAGS": "b,c", "WANDB_NAME": "d"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = settled(WandbLogger(), tmp_path)
    assert settings["project"] == "plan"
    assert not {"group", "tags", "name"} & set(settings)  # wandb reads them itself


def test_the_configuration_wins_over_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_RUN_GROUP", "a")
    own = {"project": "mine", "group": "g", "tags": ["t"], "name": "n", "save_dir": str(tmp_path / "elsewhere")}
    settings = settled(WandbLogger(**own), tmp_path)
    own["dir"] = own.pop("save_dir")
    assert {key: settings[key] for key in own} == own


def test_a_fresh_run_has_a_new_id(tmp_path):
    (tmp_path / "wandb.json").write_text('{"id": "abc", "url": null, "project": "t2igan", "folder": "wandb/x"}')
    assert settled(WandbLogger(), tmp_path)["id"] == "abc"
    assert "id" not in settled(WandbLogger(), tmp_path, fresh=True)
