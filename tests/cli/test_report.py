import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from report_fixtures import make_published_like, make_record, make_repeated, write_run
from rich.console import Console

from t2igan.cli.main import main
from t2igan.evaluation.identity import read_identity
from t2igan.evaluation.record import MetricValue, SubjectCard, append_record, digest_of


@pytest.fixture
def records(tmp_path):
    path = tmp_path / "records.jsonl"
    append_record(path, make_repeated("ssagan", 0, 10.0))
    append_record(path, make_record("real images", "real"))
    return path


@pytest.fixture
def run_folder(tmp_path):
    folder = tmp_path / "ssagan"
    (folder / "samples").mkdir(parents=True)
    (folder / "metrics.csv").write_text("step,train/loss_d\n0,1.5\n10,1.25\n20,")
    Image.new("RGB", (8, 8)).save(folder / "samples" / "step_000010.png")
    return folder


def fails(capsys, *argv):
    with pytest.raises(SystemExit) as stop:
        main(["report", *map(str, argv)])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_everything_is_written_beside_the_records(records, run_folder, capsys):
    main(["report", str(records), "--runs", json.dumps([str(run_folder)])])
    folder = records.parent / "report"
    assert {path.name for path in folder.iterdir()} == {
        *("scores.md", "scores.csv", "scores.tex", "index.html", "ssagan-curves.png", "ssagan-samples.png"),
    }
    printed = capsys.readouterr().out
    assert "10.00" in printed and f"next: open {folder / 'index.html'}" in printed
    assert "| SSA-GAN 0 | 100 | 10.00 |" in (folder / "scores.md").read_text()
    assert "train/loss_d" in (folder / "index.html").read_text()


def test_formats_can_be_left_out(records, tmp_path):
    main(
        [
            "report",
            str(records),
            "--html",
            "false",
            "--csv",
            "false",
            "--latex",
            "false",
            "--out",
            str(tmp_path / "out"),
        ]
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["scores.md"]


def test_two_rows_are_compared_and_written_for_a_paper(records, tmp_path, capsys):
    for name, seed, fd in (("ssagan", 1, 14.0), ("dfgan", 0, 13.0), ("dfgan", 1, 18.0)):
        append_record(records, make_repeated(name, seed, fd))
    out = tmp_path / "out"
    main(["report", "--compare", "ssagan", "DF-GAN", str(records), "--out", str(out)])
    text = (out / "comparison.md").read_text()
    # Pairs differ by -3 and -4: mean -3.5, half an interval 12.706 * 0.7071 / sqrt(2) = 6.353.
    assert "| -3.50 | [-9.85, 2.85] | seeds, paired |" in text
    assert "-3.50" in capsys.readouterr().out
    tables = (out / "scores.tex").read_text()
    assert r"& 12.00 $\pm$ 2.83 " in tables and r"{\scriptsize {[}-13.41, 37.41]}" in tables
    assert "{[}-9.85, 2.85] & seeds, paired" in tables
    assert tables.count(r"\toprule") == tables.count(r"\end{table*}") == 2
    with (out / "scores.csv").open() as file:
        lines = {(line["row"], line["subject"]): line for line in csv.DictReader(file)}
    ends = [(float(line["low"]), float(line["high"])) for name, line in lines.items() if name[0] == "mean"]
    assert ends[0] == pytest.approx((-13.41, 37.41), abs=0.01)
    told = lines["difference", "ssagan - dfgan"]
    assert (told["metric"], told["spread_over"]) == ("fd-classifier", "seeds, paired")
    assert (float(told["low"]), float(told["high"])) == pytest.approx((-9.853, 2.853), abs=1e-3)


def test_what_does_not_compare_is_refused(records, capsys):
    append_record(records, make_record("other", protocol_hash="ff" * 32))
    assert "rows of different tables: drawn-birds" in fails(capsys, records, "--compare", "ssagan-0", "other")
    assert "no row 'ssagam'; choose from ssagan-0" in fails(capsys, records, "--compare", "ssagam", "other")
    assert "takes the names of two rows, not other" in fails(capsys, records, "--compare", "other")
    assert "are the same row" in fails(capsys, records, "--compare", "other", "other")


def test_several_files_add_up_and_a_record_counts_once(records, tmp_path, capsys):
    more = tmp_path / "second" / "records.jsonl"
    append_record(more, make_repeated("ssagan", 1, 12.0))
    more.write_text(more.read_text() + records.read_text())
    main(["report", str(records), str(more.parent), "--out", str(tmp_path / "out")])
    assert "SSA-GAN, 2 runs" in (tmp_path / "out" / "scores.md").read_text()
    with (tmp_path / "out" / "scores.csv").open() as file:
        assert [line["row"] for line in csv.DictReader(file)].count("run") == 4


def test_a_later_line_holds_though_the_clock_was_set_back(tmp_path, capsys):
    file = tmp_path / "records.jsonl"
    for value, hour in ((0.25, 9), (0.75, 8)):
        append_record(file, make_record("ssagan", rp=value, timestamp=f"2026-11-22T0{hour}:00:00+00:00"))
    main(["report", str(file), "--html", "false"])
    table = (tmp_path / "report" / "scores.md").read_text()
    assert "75.00" in table and "25.00" not in table


def test_a_run_of_a_plan_that_failed_costs_no_report(records, run_folder, tmp_path, capsys):
    both = json.dumps([str(run_folder), str(tmp_path / "failed")])
    main(["report", str(records), "--runs", both, "--out", str(tmp_path / "out")])
    assert f"{tmp_path / 'failed'}: no such folder; the run was not trained" in capsys.readouterr().out
    assert (tmp_path / "out" / "ssagan-curves.png").is_file()
    assert "failed: no such file" in fails(capsys, records, "--runs", tmp_path / "failed")
    only = tmp_path / "real.jsonl"
    append_record(only, make_record("real images", "real"))
    main(["report", str(only), "--runs", str(tmp_path / "failed"), "--out", str(tmp_path / "out")])
    assert "real images" in capsys.readouterr().out


def test_two_peoples_runs_of_one_name_are_two_rows(tmp_path, capsys):
    for who, fd in (("theirs", 10.0), ("mine", 12.0)):
        card = SubjectCard("checkpoint", "ssagan", "runs/ssagan/checkpoints/last.ckpt", sha256=who, weights="ema")
        values = {"fd-classifier": MetricValue(fd, None, 100, "cc" * 32)}
        append_record(tmp_path / f"{who}.jsonl", make_record("ssagan", subject=card, metrics=values))
    files = [str(tmp_path / "theirs.jsonl"), str(tmp_path / "mine.jsonl")]
    main(["report", *files, "--out", str(tmp_path / "out")])
    table = (tmp_path / "out" / "scores.md").read_text()
    assert f"| SSA-GAN ({files[0]}) | 100 | 10.00 |" in table and f"| SSA-GAN ({files[1]}) | 100 | 12.00 |" in table
    assert "is not shown" not in capsys.readouterr().out
    both = tmp_path / "both.jsonl"
    both.write_text("".join((tmp_path / f"{who}.jsonl").read_text() for who in ("theirs", "mine")))
    main(["report", str(both), "--out", str(tmp_path / "out")])
    assert "(weights theirs) is not shown, a newer one is of others" in capsys.readouterr().out


def test_the_curves_of_another_run_in_its_place_are_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    checkpoint = write_run(Path("runs/dmgan"), 0)
    Path("runs/dmgan/metrics.csv").write_text("step,train/loss_d\n0,1.5\n")
    known = read_identity(checkpoint)
    own = SubjectCard("checkpoint", "dmgan", str(checkpoint), experiment=known.experiment, training_seed=0)
    for card, shown in ((own, True), (replace(own, training_seed=1), False), (replace(own, experiment="f"), False)):
        Path("records.jsonl").unlink(missing_ok=True)
        append_record("records.jsonl", make_record("dmgan", subject=card))
        main(["report", "records.jsonl"])
        said = "runs/dmgan: the run there is not the one that was scored" in capsys.readouterr().out
        assert ("train/loss_d" in Path("report/index.html").read_text(), said) == (shown, not shown)
    append_record("records.jsonl", make_record("dmgan", subject=own))
    Path("runs/dmgan").rename("runs/moved")
    main(["report", "records.jsonl"])
    assert "no curves and samples of runs/dmgan: no such folder" in capsys.readouterr().out
    main(["report", "records.jsonl", "--runs", "runs/moved"])
    assert "no such folder" not in capsys.readouterr().out
    assert "train/loss_d" in Path("report/index.html").read_text()


def test_a_torn_line_is_said_on_the_page_and_costs_no_other(records, tmp_path, capsys):
    records.write_text(records.read_text() + '{"schema": 1, "sub')
    main(["report", str(records), "--out", str(tmp_path / "out")])
    assert "line 3 left out" in capsys.readouterr().out
    page = (tmp_path / "out" / "index.html").read_text()
    assert "line 3 left out" in page and "real images" in page


def test_published_numbers_are_printed_and_written(tmp_path, capsys):
    append_record(tmp_path / "records.jsonl", make_published_like())
    main(["report", str(tmp_path)])
    printed = " ".join(capsys.readouterr().out.split())
    assert "published under the same protocol" in printed and "+1.16" in printed
    scores = (tmp_path / "report" / "scores.md").read_text()
    assert "cub: published, other protocol" in scores
    assert "+1.16" in scores and "57.67" in scores


def test_records_of_the_first_version_are_read(tmp_path):
    old = json.loads(make_record("old").to_json()) | {"schema": 1}
    del old["n_split"], old["digest"]
    for key in ("generator", "experiment", "training_seed", "training"):
        del old["subject"][key]
    for value in old["metrics"].values():
        del value["low"], value["high"]
    new = json.loads(make_record("new").to_json()) | {"later": 1}
    new["subject"]["later"] = new["metrics"]["fd-classifier"]["later"] = 2
    del new["digest"]
    new["digest"] = digest_of(new)
    path = tmp_path / "records.jsonl"
    path.write_text(json.dumps(old) + "\n" + json.dumps(new) + "\n")
    main(["report", str(path)])
    text = (tmp_path / "report" / "index.html").read_text()
    assert "left out" not in text and "<td>old</td>" in text and "<td>new</td>" in text
    assert "without digest (written before there was one): 1 of 2 records" in text


def test_an_edited_record_is_shown_as_edited(records, tmp_path, capsys):
    records.write_text(records.read_text().replace('"value": 10.0', '"value": 1.0'))
    main(["report", str(records), "--out", str(tmp_path / "out")])
    assert "SSA-GAN 0 (edited)" in capsys.readouterr().out
    for name in ("scores.md", "index.html"):
        assert "SSA-GAN 0 (edited)" in (tmp_path / "out" / name).read_text()
    with (tmp_path / "out" / "scores.csv").open() as file:
        assert [line["integrity"] for line in csv.DictReader(file)][:2] == ["edited", "intact"]


def test_mistakes_are_one_line(records, tmp_path, capsys):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert "empty.jsonl: contains no record; `t2igan evaluate" in fails(capsys, empty)
    torn = tmp_path / "torn.jsonl"
    torn.write_text('{"schema"')
    assert "torn.jsonl, line 1 left out" in fails(capsys, torn)
    assert "RECORDS is missing" in fails(capsys)
    assert "none.jsonl, nowhere: no such file" in fails(capsys, "none.jsonl", "--runs", '["nowhere"]')
    (tmp_path / "hollow").mkdir()
    assert "no records.jsonl in this folder" in fails(capsys, tmp_path / "hollow")
    assert "did you mean html" in fails(capsys, records, "--htlm", "true")
    assert not (tmp_path / "report").exists()


def test_a_comparison_is_not_cut_off_in_a_terminal(records, tmp_path, monkeypatch):
    monkeypatch.setattr("t2igan.cli.report.console", Console(width=80, file=(told := io.StringIO())))
    names = "my-generator-of-today", "my-generator-of-yesterday"
    for name in names:
        append_record(records, make_record(name))
    main(["report", "--compare", *names, str(records), "--out", str(tmp_path / "out")])
    lines = [line for line in told.getvalue().splitlines() if line[:1] in "┏┃┡│└"]
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line.endswith(("┃", "│", "┓", "┩", "┘"))] == lines
    assert [name for name in names if any(name in line for line in lines)] == [*names]
