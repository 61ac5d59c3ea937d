import pytest
from evaluation_fixtures import write_protocol

from t2igan.cli.main import main
from t2igan.data.store import open_store
from t2igan.evaluation.record import read_records


@pytest.fixture
def protocol(tmp_path):
    return write_protocol(tmp_path / "tiny.yaml")


@pytest.fixture
def arguments(checkpoints, protocol, tmp_path):
    """A whole command, without the subjects."""
    options = {
        "--protocol": protocol,
        "--store": checkpoints.store,
        "--classifier": checkpoints.classifier,
        "--records": tmp_path / "out" / "records.jsonl",
        "--device": "cpu",
    }
    judges = ["--damsm", str(checkpoints.damsm), f"--damsm={checkpoints.other_damsm}"]
    return ["evaluate", *(str(part) for pair in options.items() for part in pair), *judges]


def fails(capsys, *argv):
    """The one line that a wrong command prints."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in argv])
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_three_rows_of_one_command(arguments, checkpoints, tmp_path, capsys):
    main([*arguments, "--checkpoint", str(checkpoints.generator), "--untrained", "true", "--real", "true"])
    records = read_records(tmp_path / "out" / "records.jsonl")
    assert [record.subject.kind for record in records] == ["checkpoint", "untrained", "real"]
    assert list(records[0].damsm) == ["first", "second"]
    assert len({record.protocol_hash for record in records}) == 1
    printed = capsys.readouterr().out
    shown = [f"{record.metrics['fd-classifier'].value:.2f}" for record in records]
    for part in (*shown, "ssagan", "untrained", "real images", "R-precision by guessing: 10.00%", "↓"):
        assert part in printed
    assert f"wrote 3 record(s) to {tmp_path / 'out' / 'records.jsonl'}" in printed
    assert f"next: t2igan sample --checkpoint {checkpoints.generator}" in printed


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
    assert printed.count("r-precision@first") == 1
    assert printed.count("ssagan ") == 1


def test_a_folder_of_images(arguments, checkpoints, tmp_path, capsys):
    from PIL import Image

    split = open_store(checkpoints.store).split("test")
    for number, key in enumerate(split.keys[:10]):
        path = tmp_path / "drawn" / f"{key.rpartition('/')[2]}_s-1.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (32, 32), (number * 20, 0, 0)).save(path)
    assert "16 images expected, 10 found" in fails(capsys, *arguments, "--images", tmp_path / "drawn")
    main([*arguments, "--images", str(tmp_path / "drawn"), "--allow_partial", "true"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "16 images expected, 10 found in 10 files, 6 missing, 0 unexpected" in printed
    assert "r-precision not computed: the file names do not tell the captions" in printed


def test_mistakes_are_one_line(arguments, checkpoints, tmp_path, capsys):
    generator = ("--checkpoint", checkpoints.generator)
    assert "nothing to score" in fails(capsys, *arguments)
    assert "--untrained: needs the --checkpoint" in fails(
        capsys, *arguments, "--untrained", "true", "--real", "true"
    )
    assert "--store" in fails(capsys, "evaluate", "--protocol", "cub/small", *generator)
    assert "drawn-birds/quick" in fails(capsys, "evaluate", "--store", checkpoints.store, *generator)
    assert "no 'cub/none'" in fails(capsys, *arguments, *generator, "--protocol", "cub/none")
    assert "no such store" in fails(capsys, *arguments, *generator, "--store", tmp_path / "none.h5")
    assert "no checkpoint at" in fails(capsys, *arguments, "--checkpoint", tmp_path / "none.ckpt")
    assert "no checkpoint at" in fails(capsys, *arguments, *generator, "--damsm", tmp_path / "none.ckpt")
    assert "--damsm: give the path" in fails(capsys, *arguments, *generator, "--damsm")
    assert "batch_size" in fails(capsys, *arguments, *generator, "--batch_size", "many")
    assert "is below 1" in fails(capsys, *arguments, *generator, "--batch_size", "0")
    assert "did you mean batch_size" in fails(capsys, *arguments, *generator, "--batch_sise", "3")
    assert not (tmp_path / "out").exists()
