import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_fixtures import write_protocol
from PIL import Image
from torch import multiprocessing

from t2igan.cli.main import main
from t2igan.data.store import open_store
from t2igan.evaluation.record import read_records

# Every batch is a part of the cache at once.
EAGER = """
import sys
import torch
from t2igan.cli.main import main
from t2igan.evaluation.features import cache
torch.set_num_threads(1)
cache.PART_SECONDS = 0.0
main(sys.argv[1:])
"""


@pytest.fixture
def protocol(tmp_path):
    return write_protocol(tmp_path / "tiny.yaml")


@pytest.fixture
def records(tmp_path):
    return tmp_path / "out" / "records.jsonl"


@pytest.fixture
def arguments(checkpoints, protocol, records):
    """A whole command, without the subjects."""
    options = {
        "--protocol": protocol,
        "--store": checkpoints.store,
        "--classifier": checkpoints.classifier,
        "--records": records,
        "--device": "cpu",
    }
    damsms = ["--damsm", str(checkpoints.damsm), f"--damsm={checkpoints.other_damsm}"]
    return ["evaluate", *(str(part) for pair in options.items() for part in pair), *damsms]


def fails(capsys, *argv):
    """The one line that a wrong command prints."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in argv])
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_where_its_time_goes(arguments, checkpoints, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    left_out = arguments.index("--records")
    words = [*arguments[1:left_out], *arguments[left_out + 2 :], "--checkpoint", str(checkpoints.generator)]
    main(["profile", "evaluate", *words, "--out", "told"])
    (file,) = (tmp_path / "told").glob("*.json")
    told = json.loads(file.read_text())
    assert {"drawing", "network classifier", "metric fd-classifier", "writing the record"} <= set(told["parts"])
    assert told["seconds"] == pytest.approx(sum(told["parts"].values())) and told["parts"]["drawing"] > 0
    assert Image.open(file.with_suffix(".png")).width > 1000
    assert not list(tmp_path.rglob("records.jsonl")), "neither record nor features are kept"
    said = capsys.readouterr().out
    assert "next:" not in said and "records.jsonl" not in said, "a file that is gone is not proposed"


def test_three_rows_of_one_command(arguments, checkpoints, records, capsys):
    three = [*arguments, "--checkpoint", str(checkpoints.generator), "--untrained", "true", "--real", "true"]
    main(three)
    found = read_records(records)
    assert [record.subject.kind for record in found] == ["checkpoint", "untrained", "real"]
    assert list(found[0].damsm) == ["first", "second"]
    assert len({record.protocol_hash for record in found}) == 1
    printed = capsys.readouterr().out
    shown = [f"{record.metrics['fd-classifier'].value:.2f}" for record in found]
    for part in (
        *shown,
        "SSA-GAN",
        "untrained",
        "real images",
        "R-precision by guessing: 10.",
        " candidates)",
        "↓",
    ):
        assert part in printed
    assert f"wrote 3 record(s) to {records}" in printed
    first, second = (record.metrics["fd-classifier"].resampled for record in found[:2])
    assert len(first.deviations) == 200 and first.samples == second.samples
    assert first.deviations != second.deviations
    main(["report", str(records), "--compare", "ssagan", "SSA-GAN, untrained", "--html", "false"])
    assert "images, paired" in (records.parent / "report" / "comparison.md").read_text()
    assert f"next: t2igan report {records}" in printed
    # Once is enough; a torn record is none, and costs no other.
    lines = records.read_text().splitlines()
    records.write_text("\n".join([*lines[:2], lines[2][:50]]))
    with pytest.warns(UserWarning, match="line 3 left out"):
        main([*three, "--once", "true", "--timing", "true"])
    printed = capsys.readouterr().out
    for part in ("where the time of real images went", "metric fd-classifier", "network damsm, captions"):
        assert part in printed
    for name in ("ssagan", "ssagan, untrained"):
        assert f"{name}: already in {records}: not measured again" in printed
    assert "wrote 1 record(s)" in printed
    with pytest.warns(UserWarning, match="line 3 left out"):
        again = read_records(records)
    assert [record.subject for record in again] == [record.subject for record in found]
    assert again[2].metrics == found[2].metrics


@pytest.mark.parametrize("change", ["protocol", "damsm", "seed", "edited"])
def test_once_measures_what_differs(arguments, checkpoints, protocol, records, change):
    write_protocol(protocol, images=20, metrics=[{"name": "is-classifier", "splits": 2}])
    subject = ["--checkpoint", str(checkpoints.generator), "--untrained", "true"]
    main([*arguments, *subject])
    if change == "protocol":
        write_protocol(protocol, images=21, metrics=[{"name": "is-classifier", "splits": 2}])
    if change == "damsm":
        arguments.remove(f"--damsm={checkpoints.other_damsm}")
    if change == "seed":
        subject += ["--seed", "1"]
    if change == "edited":
        records.write_text(records.read_text().replace('"device": "cpu"', '"device": "tpu"'))
    main([*arguments, *subject, "--once", "true"])
    # Another seed is another untrained network, and the same checkpoint.
    kinds = [record.subject.kind for record in read_records(records)[2:]]
    assert kinds == (["untrained"] if change == "seed" else ["checkpoint", "untrained"])


def test_killed_it_draws_only_what_is_left(arguments, checkpoints, protocol, records, generated, capsys):
    write_protocol(protocol, images=120, bootstrap=20)
    command = [*arguments, "--checkpoint", str(checkpoints.generator), "--batch_size", "1"]
    process = subprocess.Popen([sys.executable, "-c", EAGER, *command], stdout=subprocess.DEVNULL)
    features = records.parent / "features"
    until = time.monotonic() + 60
    while sum(1 for _ in features.rglob("*.npz")) < 30 and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -9
    assert not records.exists()
    seen = [_rows_on_shelf(folder) for folder in features.iterdir() if _is_of_images(folder)]
    assert len(seen) == 3
    main(command)
    # Of images that not all networks had seen, one at most was on its way.
    assert 0 < min(seen) <= 120 - len(generated) < 120
    assert len(set(generated)) == len(generated)
    assert "features: " in capsys.readouterr().out
    resumed = records.replace(records.with_name("resumed.jsonl"))
    main([*command, "--cache", "none"])
    (resumed,), (whole,) = read_records(resumed), read_records(records)
    assert resumed.metrics == whole.metrics


def _is_of_images(folder):
    return isinstance(json.loads((folder / "content.json").read_text())["images"], list)


def _rows_on_shelf(folder):
    return sum(len(np.load(path)["ids"]) for path in folder.glob("*.npz"))


def _one_of_two(rank: int, port: int, argv: list[str], errors: Path):
    """As torchrun starts a process."""
    torch.set_num_threads(1)
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in names.items()}
    with (errors / f"{rank}.txt").open("w") as sys.stdout:
        main(argv)


def test_two_processes_write_one_record_with_the_same_numbers(
    arguments, checkpoints, protocol, records, generated, tmp_path
):
    write_protocol(protocol, images=31)
    command = [*arguments, "--checkpoint", str(checkpoints.generator), "--batch_size", "16"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_one_of_two, (port, command, tmp_path), nprocs=2)
    (found,) = read_records(records)
    assert "wrote 1 record(s)" in (tmp_path / "0.txt").read_text()
    assert (tmp_path / "1.txt").read_text() == ""
    # What they put on the shelves is whole.
    main(command)
    assert not generated
    main([*command, "--cache", "none"])
    _, kept, alone = read_records(records)
    assert found.metrics.keys() == alone.metrics.keys()
    for name, value in alone.metrics.items():
        for other in (found, kept):
            assert other.metrics[name].value == pytest.approx(value.value, rel=1e-6), name
            assert other.metrics[name].n == value.n
        if "precision" in name:
            assert found.metrics[name] == value


def test_records_go_to_the_folder_of_the_run_and_add_up(checkpoints, protocol, capsys):
    for weights in ("ema", "raw", "raw"):
        write_protocol(protocol, weights=weights, metrics=[{"name": "r-precision", "candidates": 5}])
        options = {
            "--checkpoint": checkpoints.generator,
            "--protocol": protocol,
            "--store": checkpoints.store,
            "--damsm": checkpoints.damsm,
        }
        capsys.readouterr()
        main(["evaluate", *(str(part) for pair in options.items() for part in pair)])
    records = read_records(checkpoints.generator.parent.parent / "records.jsonl")
    assert [record.subject.weights for record in records] == ["ema", "raw", "raw"]
    assert records[0].protocol_hash != records[1].protocol_hash == records[2].protocol_hash
    # Other weights, another protocol, another table; the same once more, the same row.
    printed = capsys.readouterr().out
    assert printed.count("R-precision, first") == 1
    assert printed.count("SSA-GAN ") == 1


@pytest.fixture
def folder(checkpoints, tmp_path):
    """A drawing of ten of the sixteen test images, as the released samplers name them."""
    split = open_store(checkpoints.store).split("test")
    folder = tmp_path / "drawn"
    folder.mkdir()
    for number, key in enumerate(split.keys[:10]):
        colour = (number * 20, 0, 0)
        Image.new("RGB", (32, 32), colour).save(folder / f"{key.rpartition('/')[2]}_s-1.png")
    return folder


def test_a_folder_of_images(arguments, folder, records, capsys):
    assert "16 images expected, 10 found" in fails(capsys, *arguments, "--images", folder)
    partly = [*arguments, "--images", str(folder), "--coverage", "0"]
    main(partly)
    printed = " ".join(capsys.readouterr().out.split())
    assert "16 images expected, 10 found in 10 files, 6 missing, 0 unexpected" in printed
    assert "r-precision not computed: the file names do not tell the captions" in printed
    main([*partly, "--once", "true"])
    main([*partly, "--pattern", "{key}_s{sample}.png"])
    one, other = read_records(records)
    assert one.metrics == other.metrics


def test_all_faults_of_a_folder_are_named_before_anything_is_scored(
    arguments, checkpoints, folder, records, capsys
):
    files = sorted(folder.iterdir())
    for path in files[2:4]:
        path.write_bytes(path.read_bytes()[:60])
    files[4].write_bytes(b"no image")
    Image.new("RGB", (40, 32)).save(files[7])
    subject = ("--checkpoint", checkpoints.generator, "--images", folder, "--coverage", "0")
    line = fails(capsys, *arguments, *subject)
    assert "4 of 10 images are not 32x32 images" in line
    for path in files[2:5]:
        assert f"{path.name} is not a readable image" in line
    assert f"{files[7].name} is 40x32" in line
    assert not records.exists()
    (folder / "empty").mkdir()
    assert "no image in" in fails(capsys, *arguments, "--images", folder / "empty")
    assert "no field 'name'" in fails(capsys, *arguments, "--images", folder, "--pattern", "{name}")


def test_mistakes_are_one_line(arguments, checkpoints, tmp_path, capsys):
    generator = ("--checkpoint", checkpoints.generator)
    assert "nothing to score" in fails(capsys, *arguments)
    assert "--untrained needs --checkpoint" in fails(capsys, *arguments, "--untrained", "true", "--real", "true")
    assert "--store" in fails(capsys, "evaluate", "--protocol", "cub/small", *generator)
    assert "t2igan list protocols" in fails(capsys, "evaluate", "--store", checkpoints.store, *generator)
    other = {"--protocol": "cub/none", "--store": tmp_path / "none.h5"}
    for option, told in (("--protocol", "no 'cub/none'"), ("--store", "no such store")):
        place = arguments.index(option) + 1
        assert told in fails(capsys, *arguments[:place], other[option], *arguments[place + 1 :], *generator)
    assert "no checkpoint at" in fails(capsys, *arguments, "--checkpoint", tmp_path / "none.ckpt")
    assert "no checkpoint at" in fails(capsys, *arguments, *generator, "--damsm", tmp_path / "none.ckpt")
    assert "--damsm has no value" in fails(capsys, *arguments, *generator, "--damsm")
    assert "batch_size" in fails(capsys, *arguments, *generator, "--batch_size", "many")
    assert "at least 1" in fails(capsys, *arguments, *generator, "--batch_size", "0")
    assert "did you mean batch_size" in fails(capsys, *arguments, *generator, "--batch_sise", "3")
    assert not (tmp_path / "out").exists()
