"""Training, resuming, drawing and scoring on a GPU that the CPU plays: nothing lies in the wrong place."""

import json
from functools import partial

import numpy as np
import pytest
import torch
import yaml
from evaluation_fixtures import json_lines, write_protocol
from PIL import Image
from pretend_device import PretendDevice

from t2igan.cli.main import main
from t2igan.data.store import open_store
from t2igan.demo.panels import load_panels
from t2igan.models.suite_module import read_checkpoint
from t2igan.networks.ssagan import SSAGANGenerator


@pytest.fixture
def played():
    """The device; nothing of it may have been left unused."""
    device = PretendDevice(patient=True)
    yield device
    assert device._storages


def test_images_are_those_of_the_cpu(checkpoints, played, tmp_path):
    words = open_store(checkpoints.store).vocabulary.words
    command = ["sample", "--checkpoint", str(checkpoints.generator), "--caption", f"{words[3]} {words[4]}"]
    main([*command, "--overlay", "masks", "--device", "cpu", "--out", str(tmp_path / "cpu")])
    with played.watched():
        main([*command, "--overlay", "masks", "--device", "cuda", "--out", str(tmp_path / "gpu")])
        panels = load_panels([checkpoints.generator], device="cuda")
        assert panels.draw(words[3], seed=3, count=2).masks is not None
    for path in (tmp_path / "cpu").glob("*.png"):
        one, two = (np.array(Image.open(each)).astype(int) for each in (path, tmp_path / "gpu" / path.name))
        assert abs(one - two).max() <= 1


def test_scores_are_those_of_the_cpu(checkpoints, played, tmp_path):
    protocol = write_protocol(tmp_path / "small.yaml")
    command = ["--checkpoint", checkpoints.generator, "--protocol", protocol, "--store", checkpoints.store]
    command += ["--damsm", checkpoints.damsm, "--classifier", checkpoints.classifier]
    scored = partial(map, str, [*command, "--records", tmp_path / "r.jsonl", "--cache", "none", "--device"])
    main(["evaluate", *scored(), "cpu"])
    with played.watched():
        main(["evaluate", *scored(), "cuda"])
    one, two = (
        {name: each["value"] for name, each in row["metrics"].items()} for row in json_lines(tmp_path / "r.jsonl")
    )
    assert one == pytest.approx(two, rel=1e-2) and len(one) >= 4


NETWORK = {"image_size": 32, "channels": 2, "sentence_dim": 32}
NETWORKS = {
    "generator": {"class_path": "SSAGANGenerator", "init_args": NETWORK},
    "discriminators": [{"class_path": "OneWayDiscriminator", "init_args": NETWORK}],
}
CONFIG = {
    "model": {"class_path": "SSAGAN", "init_args": NETWORKS},
    "data": {"class_path": "DrawnBirds", "init_args": {"image_size": 32, "batch_size": 8, "num_workers": 0}},
    "trainer": {"limit_val_batches": 1, "accelerator": "cpu", "enable_progress_bar": False, "log_every_n_steps": 1},
}


def test_training_scores_saves_and_resumes(checkpoints, played, tmp_path):
    """In parts as whole: weights, averages, optimisers' states and random numbers are put where the module lies."""
    protocol = write_protocol(tmp_path / "small.yaml", metrics=[{"name": "fd-classifier"}])
    scores = {"protocol": str(protocol), "every_n_steps": 3, "classifier": str(checkpoints.classifier)}
    callbacks = [
        {"class_path": "Scores", "init_args": scores},
        {"class_path": "SampleGrid", "init_args": {"every_n_steps": 3, "captions": 2}},
        {"class_path": "GradientNorms"},
    ]
    trainer = CONFIG["trainer"] | {"callbacks": callbacks}
    (tmp_path / "gan.yaml").write_text(yaml.safe_dump(CONFIG | {"trainer": trainer}))
    given = {
        "--config": tmp_path / "gan.yaml",
        "--data.store": checkpoints.store,
        "--model.damsm": checkpoints.damsm,
    }
    command = ["fit", *(str(word) for pair in given.items() for word in pair)]
    with played.trained_on():
        for run, steps in (("whole", 6), ("parts", 3), ("parts", 6)):
            main([*command, "--run", str(tmp_path / run), "--trainer.max_steps", str(steps)])
        main(["export", str(tmp_path / "whole" / "checkpoints" / "last.ckpt"), "--out", str(tmp_path / "out")])
    whole, parts = (read_checkpoint(tmp_path / run / "checkpoints" / "last.ckpt") for run in ("whole", "parts"))
    assert all(torch.equal(value, parts["state_dict"][key]) for key, value in whole["state_dict"].items())
    torch.testing.assert_close(parts["optimizer_states"], whole["optimizer_states"], rtol=0, atol=0)
    assert "fd-classifier" in json.dumps(json_lines(tmp_path / "whole" / "records.jsonl"))


def test_a_full_gpu_is_one_line_and_the_run_goes_on_afterwards(checkpoints, tmp_path, capsys, monkeypatch):
    protocol = write_protocol(tmp_path / "small.yaml", metrics=[{"name": "fd-classifier"}])
    (tmp_path / "gan.yaml").write_text(yaml.safe_dump(CONFIG))
    given = ["--data.store", checkpoints.store, "--model.damsm", checkpoints.damsm, "--trainer.max_steps"]
    fit = ["fit", "--config", tmp_path / "gan.yaml", "--run", tmp_path / "run", *given]
    evaluate = ["evaluate", "--checkpoint", checkpoints.generator, "--protocol", protocol]
    evaluate += ["--store", checkpoints.store, "--classifier", checkpoints.classifier]
    commands = {
        "fit": [*fit, 4],
        "evaluate": [*evaluate, "--records", tmp_path / "r.jsonl", "--cache", "none"],
        "sample": [
            "sample",
            "--checkpoint",
            checkpoints.generator,
            "--caption",
            "bird",
            "--out",
            tmp_path / "drawn",
        ],
    }
    main([*map(str, fit), "2"])

    def full(*_, **__):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")

    for verb, command in commands.items():
        with monkeypatch.context() as patched:
            patched.setattr(SSAGANGenerator, "forward", full)
            with pytest.raises(SystemExit) as stopped:
                main([*map(str, command)])
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert stopped.value.code == 2 and last.startswith(f"t2igan {verb}: the GPU's memory is full: ")
    assert not (tmp_path / "r.jsonl").exists() and not list((tmp_path / "drawn").glob("*.png"))
    main([*map(str, commands["fit"])])
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["global_step"] == 4
