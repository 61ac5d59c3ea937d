"""A small matrix as a user runs it: trained, scored, reported, by every launcher that is there."""

import json
import os
from pathlib import Path

import pytest
import yaml
from forked import Forked

DATA = {"store": "named by the plan", "image_size": 16, "batch_size": 4, "eval_batch_size": 8, "num_workers": 0}
TRAINER = {"max_steps": 3, "limit_val_batches": 1, "accelerator": "cpu", "log_every_n_steps": 1}
ENCODER = {"class_path": "SmallImageEncoder", "init_args": {"dim": 16, "channels": 4, "image_size": 32}}
GENERATOR = {"image_size": 16, "channels": 4, "noise_dim": 4, "sentence_dim": 16, "mask_channels": 4}
DISCRIMINATOR = {"image_size": 16, "channels": 4, "sentence_dim": 16}
GAN = {
    "damsm": "runs/damsm/checkpoints/last.ckpt",
    "generator": {"class_path": "SSAGANGenerator", "init_args": GENERATOR},
    "discriminators": [{"class_path": "OneWayDiscriminator", "init_args": DISCRIMINATOR}],
}
PROTOCOL = {
    "dataset": "drawn-birds",
    "image_size": 16,
    "images": 20,
    "reference": "halves",
    "metrics": [{"name": "r-precision", "candidates": 5, "folds": 2}],
}


def write_plan(folder, store, seeds):
    """The files of a plan, named as seen from ``folder``."""
    config = {"data": {"class_path": "DrawnBirds", "init_args": DATA}, "trainer": TRAINER}
    models = {
        "damsm": {"class_path": "DAMSM", "init_args": {"image_encoder": ENCODER}},
        "ssagan": {"class_path": "SSAGAN", "init_args": GAN},
    }
    for name, model in models.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"model": model} | config))
    (folder / "protocol.yaml").write_text(f"# Small.\n{yaml.safe_dump(PROTOCOL)}")
    data = {"store": str(store), "models": ["ssagan.yaml"], "protocols": ["protocol.yaml"]}
    plan = {"folder": "out", "launcher": {"jobs": 2}, "seeds": seeds, "datasets": {"birds": data}}
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))


def benchmark(folder, *options):
    process = Forked(["benchmark", "plan.yaml", *options], os.environ, folder)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, out + err
    return out


def records(folder):
    """What was measured, less when, how long and by how many threads."""
    lines = (folder / "out" / "records.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    for record in found:
        del record["timestamp"], record["seconds"], record["digest"]
        del record["environment"]["threads"]  # as many as the launcher gives
    return sorted(found, key=lambda record: record["subject"]["name"])


@pytest.fixture(scope="module")
def local(tmp_path_factory, drawn_birds_store):
    folder = tmp_path_factory.mktemp("local")
    write_plan(folder, drawn_birds_store, [0, 1])
    return folder, benchmark(folder)


@pytest.mark.slow
def test_a_matrix_is_trained_scored_and_reported(local):
    folder, _ = local
    assert [record["subject"]["name"] for record in records(folder)] == ["ssagan-seed0", "ssagan-seed1"]
    assert len({record["subject"]["sha256"] for record in records(folder)}) == 2
    assert len({record["subject"]["experiment"] for record in records(folder)}) == 1
    assert "SSA-GAN, 2 runs" in (folder / "out/report/scores.md").read_text()
    assert (folder / "out/report/index.html").is_file()
    assert len(list((folder / "out/runs").glob("damsm-*/damsm-seed0"))) == 1


@pytest.mark.slow
def test_what_is_done_is_not_done_again(local):
    folder, _ = local
    before = {path: path.stat().st_mtime_ns for path in (folder / "out/runs").rglob("*.ckpt")}
    lines = (folder / "out/records.jsonl").read_text()
    benchmark(folder)
    assert {path: path.stat().st_mtime_ns for path in (folder / "out/runs").rglob("*.ckpt")} == before
    assert (folder / "out/records.jsonl").read_text() == lines


@pytest.mark.slow
def test_ray_makes_the_same_records(local, tmp_path, drawn_birds_store):
    pytest.importorskip("ray", reason="the optional package ray is not installed")
    write_plan(tmp_path, drawn_birds_store, [0])
    benchmark(tmp_path, "--launcher", "ray")
    assert records(tmp_path) == records(local[0])[:1]


def test_two_at_once_in_one_folder(tmp_path, drawn_birds_store):
    from filelock import FileLock

    write_plan(tmp_path, drawn_birds_store, [0])
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / "plan.lock"):
        process = Forked(["benchmark", "plan.yaml"], os.environ, tmp_path)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "plan.yaml: another `t2igan benchmark` works in out" in err
    assert not Path(tmp_path / "out" / "plan.json").exists()
