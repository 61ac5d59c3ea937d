"""``python -m benchmarks.gpu``: refused without a GPU, and rehearsed on a CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu

ROOT = Path(__file__).parents[2]


def run(folder, *words):
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.gpu", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(("options", "said"), [({}, "sees no GPU here"), ({"device": "cpu"}, "measures on cuda")])
def test_without_a_gpu_it_is_refused_in_one_line(monkeypatch, tmp_path, options, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=rf"^benchmarks.gpu: .*{said}[^\n]*$"):
        gpu.main(**options)
    assert not list(tmp_path.iterdir())


@pytest.mark.wide
def test_the_rehearsal_goes_through_every_part(tmp_path):
    done = run(tmp_path, "--device", "cpu", "--small", "true", "--out", "gpu.jsonl")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "gpu.jsonl").read_text().splitlines()]
    assert not [row["skipped"] for row in rows if "skipped" in row]
    speeds = [row for row in rows if row["part"] == "speed"]
    assert [row["options"] for row in speeds] == ["plain", "bf16"]
    assert all(row["images_per_second"] > 0 and row["peak_megabytes"] > 0 and row["gflop"] > 0 for row in speeds)
    plain, half, apart = (row for row in rows if row["part"] == "losses")
    assert plain["finite"] and half["finite"] and apart["apart"]["train/loss_d"] < 10
    assert 0 <= half["means"]["speed/waiting_for_data"] <= 1
    scored = {row["of"]: row["images_per_second"] for row in rows if row["part"] == "scoring"}
    assert scored.keys() == {"drawing", "inception", "frechet"} and min(scored.values()) > 0
