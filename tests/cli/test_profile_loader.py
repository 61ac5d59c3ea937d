import json
from pathlib import Path

import pytest
from PIL import Image

from t2igan.cli.main import main

OUT = Path("out")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def profile(capsys, *arguments):
    main(["profile", "loader", *map(str, arguments), "--out", str(OUT)])
    return capsys.readouterr().out


def test_both_ways_are_measured_by_stage(drawn_birds_store, drawn_birds_root, capsys):
    output = profile(
        capsys, "--store", drawn_birds_store, "--images", drawn_birds_root, "--count", 48, "--batch_size", 8
    )
    for part in ("PIL, as the released code, 64 px", "store, raw, 64 px", "open, decode", "draw, read, decode"):
        assert part in output
    assert output.count("images/s per core") == 2 and "times the images per second and core" in output
    told = json.loads((OUT / "profile.json").read_text())["milliseconds_an_image"]
    assert list(told) == ["PIL, as the released code", "store, raw"] and told["store, raw"]["crop, flip"] > 0
    assert Image.open(OUT / "profile.png").height > 700, "a bar for each of ten stages"


def test_an_epoch_of_a_repeated_store(drawn_birds_store, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    options = ["--count", 8, "--batch_size", 8, "--workers", 1, "--epoch_images", 400]
    output = profile(capsys, "--store", drawn_birds_store, *options)
    epoch = json.loads((OUT / "profile.json").read_text())["epoch"]
    assert [share["images"] for share in epoch][-1] == 384 and epoch[0]["images_per_second"] > 0
    assert "400 training images" in output and "an epoch with 1 workers" in output and "       384 " in output
    assert "resident memory of all processes: " in output and "(sum of RSS): " in output
    assert not list(tmp_path.rglob("*.h5")), "the large store is deleted"


def test_what_is_missing_is_one_line(drawn_birds_store, tmp_path, capsys):
    for arguments, said in (
        (["loader"], "--store is missing"),
        (["step"], "give --config"),
        (["loader", "--store", str(drawn_birds_store), "--images", str(tmp_path)], "no image files here"),
        (["loader", "--store", str(drawn_birds_store), "--device", "tpu9"], "--device tpu9 cannot be used"),
    ):
        with pytest.raises(SystemExit) as exit_:
            main(["profile", *arguments])
        assert exit_.value.code == 2 and said in capsys.readouterr().err
