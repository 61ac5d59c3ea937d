from dataclasses import replace

import pytest
from rich.console import Console

from t2igan.evaluation.leaderboard import boards, markdown, rich_table
from t2igan.evaluation.record import MetricValue, ResultRecord, SubjectCard


def record(name, kind="checkpoint", rp=0.25, judge="aa" * 32, **changes):
    made = ResultRecord(
        subject=SubjectCard(kind, name, path=name),
        metrics={
            "fd-classifier": MetricValue(12.345, None, 100, "cc" * 32),
            "r-precision@damsm": MetricValue(rp, 0.0125, 100, judge, 0.01),
        },
        not_computed={},
        protocol="p",
        protocol_hash="12" * 32,
        dataset="drawn-birds",
        fingerprint="34" * 32,
        n_real=40,
        n_generated=100,
        backbones={},
        damsm={},
        seed=0,
        device="cpu",
        seconds=1.0,
    )
    return replace(made, **changes)


def printed(board, width):
    console = Console(width=width)
    with console.capture() as capture:
        console.print(rich_table(board, width))
    return capture.get()


@pytest.mark.parametrize("key", ["protocol_hash", "dataset", "fingerprint"])
def test_only_comparable_records_share_a_table(key):
    tables = boards([record("a"), record("b"), record("c", **{key: "other"})])
    assert [[row.subject.name for row in board.rows] for board in tables] == [["a", "b"], ["c"]]


def test_rows_run_from_untrained_to_real_and_the_newest_record_counts():
    (board,) = boards([record("r", "real"), record("a"), record("u", "untrained"), record("a", rp=0.5)])
    assert [row.subject.name for row in board.rows] == ["u", "a", "r"]
    assert board.cells(board.rows[1])[1] == "50.00 ± 1.25 %"


def test_subjects_of_one_name_are_told_apart():
    (board,) = boards([record("a"), record("a", subject=SubjectCard("checkpoint", "a", path="runs/b"))])
    assert [row[0] for row in board.grid()[1:]] == ["a (a)", "a (runs/b)"]


def test_values_of_different_judges_have_columns_of_their_own():
    (board,) = boards([record("a"), record("b", judge="bb" * 32)])
    assert board.headers == [
        "fd-classifier ↓",
        "r-precision@damsm [aaaaaaaa] ↑",
        "r-precision@damsm [bbbbbbbb] ↑",
    ]
    assert [board.cells(row) for row in board.rows] == [
        ["12.35", "25.00 ± 1.25 %", "-"],
        ["12.35", "-", "25.00 ± 1.25 %"],
    ]


def test_chance_and_what_is_missing_are_said():
    (board,) = boards([record("a", not_computed={"fid": "no weights"}, notes=["half a folder"])])
    assert board.footnotes == [
        "R-precision by guessing: 1.00% (100 candidates)",
        "a: fid not computed: no weights",
        "a: half a folder",
    ]


def test_markdown():
    (board,) = boards([record("a|b")])
    lines = markdown(board).splitlines()
    assert lines[2:5] == [
        "| subject | pictures | fd-classifier ↓ | r-precision@damsm ↑ |",
        "| --- | --- | --- | --- |",
        "| a\\|b | 100 | 12.35 | 25.00 ± 1.25 % |",
    ]
    assert "* R-precision by guessing: 1.00% (100 candidates)" in lines


def test_a_narrow_terminal_shows_every_number_whole():
    (board,) = boards([record("a"), record("b", judge="bb" * 32)])
    wide, narrow = printed(board, 200), printed(board, 75)
    assert any("subject" in line and "fd-classifier" in line for line in wide.splitlines())
    assert any("fd-classifier" in line and line.count("12.35") == 2 for line in narrow.splitlines())
    assert narrow.count("25.00 ± 1.25 %") == 2
    assert "[bbbbbbbb]" in narrow
