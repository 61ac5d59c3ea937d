"""What docs/adding.md shows works as it stands there."""

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from t2igan.cli.list import entries
from t2igan.cli.main import main
from t2igan.data.store import open_store
from t2igan.evaluation.metrics import known_metrics
from t2igan.evaluation.protocol import load_protocol
from t2igan.evaluation.record import read_records
from t2igan.models.suite_module import load_module
from t2igan.nn import config

PACKAGE = Path(__file__).parents[2] / "t2igan"
TEXT = (Path(__file__).parents[2] / "docs" / "adding.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(?:python|yaml)\n# (\S+)(.*?)```", TEXT, re.S)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with every file that the page shows."""
    for name, content in BLOCKS:
        (tmp_path / name).write_text(f"#{content}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(config, "_allowed", set())
    yield tmp_path
    known_metrics().pop("fd-edges", None)


def test_parts_of_ones_own(place, drawn_birds_store, capsys):
    store = place / "datasets" / "drawn-birds" / "drawn-birds-64.h5"
    store.parent.mkdir(parents=True)
    shutil.copy(drawn_birds_store, store)
    damsm = [
        *("--model", "DAMSM", "--model.image_encoder", "SmallImageEncoder", "--model.image_encoder.dim", "16"),
        *("--model.image_encoder.channels", "2", "--data", "DrawnBirds", "--data.batch_size", "8"),
    ]
    short = [
        "--trainer.limit_val_batches",
        "0",
        "--trainer.accelerator",
        "cpu",
        "--trainer.enable_progress_bar",
        "false",
    ]
    main(["fit", *damsm, "--trainer.max_steps", "1", *short, "--run", "runs/quickstart/damsm"])
    main(["fit", "--config", "parts.yaml", "--trainer.max_steps", "2", *short])
    module = load_module(place / "runs" / "parts" / "checkpoints" / "last.ckpt")
    assert type(module.generator).__name__ == "LinearGenerator"
    assert module.generator.sentence_dim == 16
    checkpoint = str(place / "runs" / "parts" / "checkpoints" / "last.ckpt")
    main(
        [
            "sample",
            "--checkpoint",
            checkpoint,
            "--caption",
            "a red bird",
            "--n",
            "1",
            "--out",
            "out",
            "--allow",
            "parts",
        ]
    )
    assert (place / "out" / "c000_s00.png").is_file()
    _type_what_comes_next(["export", checkpoint, "--to", "safetensors", "--out", "e.safetensors"], capsys)
    assert Path("drawn/grid.png").is_file()
    evaluate = ["evaluate", "--checkpoint", checkpoint, "--protocol", "edges.yaml", "--store", str(store)]
    said = _type_what_comes_next([*evaluate, "--device", "cpu", "--bootstrap", "0"], capsys)
    assert "FD, edges" in said or "fd-edges" in said
    assert {each.name for each in entries("generators") if each.own} == {"parts.LinearGenerator"}
    assert {each.name for each in entries("losses") if each.own} == {"parts.Smoothness"}


def _type_what_comes_next(words, capsys):
    """Type a command with ``--allow parts``, then the one that it prints; returns what that prints."""
    main([*words, "--allow", "parts"])
    *_, following = capsys.readouterr().out.splitlines()
    assert following.startswith("next: t2igan ") and "--allow parts" in following
    config._allowed.clear()  # of this process: the next command is another one
    main(shlex.split(following)[2:])
    return capsys.readouterr().out


def test_a_metric_with_a_network_of_ones_own(place, drawn_birds_store, capsys):
    words = ["--store", str(drawn_birds_store), "--records", "records.jsonl", "--real", "--device", "cpu"]
    main(["evaluate", "--protocol", "edges.yaml", *words])
    assert "fd-edges ↓" in capsys.readouterr().out
    (record,) = read_records("records.jsonl")
    assert record.metrics["fd-edges"].value > 0
    assert list(record.backbones) == ["edges"] and len(record.backbones["edges"]) == 64
    main(["list", "metrics"])
    assert "edges.EdgeDistance           Frechet distance of edges. [yours: edges.py]" in capsys.readouterr().out
    # A report imports nothing that records name.
    del known_metrics()["fd-edges"], sys.modules["edges"]
    main(["report", "records.jsonl", "--html", "false"])
    assert "fd-edges" in (said := capsys.readouterr().out) and "fd-edges ↓" not in said
    assert "edges" not in sys.modules
    main(["report", "records.jsonl", "--html", "false", "--allow", "edges"])
    assert "fd-edges ↓" in capsys.readouterr().out


def test_a_data_set_and_a_protocol_of_ones_own(place):
    runpy.run_path("shapes.py", run_name="__main__")
    store = open_store("shapes-64.h5")
    assert (len(store.split("train")), len(store.split("test"))) == (12, 6)
    assert store.split("test").caption_text(0) == "a red disc"
    protocol = load_protocol("discs.yaml")
    assert (protocol.name, protocol.dataset, protocol.images) == ("discs", "shapes", 30)


@pytest.mark.parametrize("first", ["t2igan.cli.list", "t2igan.evaluation.features.embedders"])
def test_a_metric_becomes_part_of_the_suite_by_its_file_alone(place, first):
    """As the page says; its imports at the top lead back to the protocols, whichever module is imported first."""
    shutil.copytree(PACKAGE, place / "t2igan", ignore=shutil.ignore_patterns("__pycache__"))
    (place / "edges.py").rename(place / "t2igan" / "evaluation" / "metrics" / "edges.py")
    (place / "own.yaml").write_text((place / "edges.yaml").read_text().replace("edges.EdgeDistance", "fd-edges"))
    program = (
        f"import {first}; from t2igan.evaluation.protocol import load_protocol as load; print(load('own.yaml'))"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=place, capture_output=True, text=True)
    assert "EdgeDistance(cells=3)" in ended.stdout, ended.stderr


def test_a_metric_of_ones_own_that_reads_captions(place, capsys):
    runpy.run_path("shapes.py", run_name="__main__")
    words = ["--protocol", "colours.yaml", "--store", "shapes-64.h5", "--device", "cpu", "--bootstrap", "0"]
    main(["evaluate", "--real", "--records", "real.jsonl", *words])
    (record,) = read_records("real.jsonl")
    assert record.metrics["colour-hits"].value == 1
    assert "colour-hits ↑" in capsys.readouterr().out
    # The same red disc for every caption: two of the six captions say so.
    Path("red").mkdir()
    for number in range(12, 18):
        Image.open("shapes/12.png").resize((64, 64)).save(f"red/{number}_c0.png")
    main(["evaluate", "--images", "red", "--records", "red.jsonl", *words])
    (record,) = read_records("red.jsonl")
    assert record.metrics["colour-hits"].value == pytest.approx(1 / 3)
    for file in Path("red").iterdir():
        file.rename(file.with_name(file.name.replace("_c0", "")))
    with pytest.raises(SystemExit):
        main(["evaluate", "--images", "red", "--records", "red.jsonl", *words])
    assert "colour-hits: the file names do not tell the captions" in capsys.readouterr().err
    main(["list", "metrics"])
    assert "colours.ColourHits           Share of images whose strongest" in capsys.readouterr().out
