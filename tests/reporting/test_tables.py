from report_fixtures import make_record as record
from report_fixtures import make_repeated
from rich.console import Console

from t2igan.reporting.leaderboard import boards
from t2igan.reporting.tables import markdown, rich_table


def printed(board, width):
    console = Console(width=width)
    with console.capture() as capture:
        console.print(rich_table(board, width))
    return capture.get()


def test_markdown():
    (board,) = boards([record("a|b\nc")])
    lines = markdown(board).splitlines()
    assert lines[2:5] == [
        "| subject | images | FD, classifier ↓ | R-precision, DAMSM ↑ ± folds |",
        "| --- | --- | --- | --- |",
        "| a\\|b c | 100 | 12.35 | 25.00 ± 1.25 % |",
    ]
    assert "* R-precision by guessing: 1.00% (100 candidates)" in lines


def test_a_narrow_terminal_shows_every_number_whole():
    (board,) = boards([record("a"), record("b", damsm_sha256="bb" * 32)])
    wide, narrow = printed(board, 200), printed(board, 75)
    assert any("subject" in line and "FD, classifier" in line for line in wide.splitlines())
    assert any("FD, classifier" in line and line.count("12.35") == 2 for line in narrow.splitlines())
    assert narrow.count("25.00 ± 1.25 %") == 2
    assert "[bbbbbbbb]" in narrow


def test_a_terminal_too_narrow_for_single_runs_shows_their_mean():
    (board,) = boards([make_repeated("ssagan", seed, 10.0) for seed in range(8)])
    assert "seed 7" in printed(board, 120)
    assert "seed 7" not in printed(board, 40)
    assert "10.00 ± 0.00" in printed(board, 40)


def test_nothing_in_markdown_is_html():
    [board] = boards([record("<img src=x onerror=alert(1)>", notes=["<script>x</script>"])])
    assert "<img" not in markdown(board) and "<script" not in markdown(board)
    assert "&lt;img src=x onerror=alert(1)&gt;" in markdown(board)


def test_many_subjects_are_in_several_tables_and_none_is_cut_off():
    names = [f"my-generator-number-{number}" for number in range(7)]
    (board,) = boards([record(name) for name in names])
    text = printed(board, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert [name for name in names if name in text] == names
    assert text.count("FD, classifier") == 4
    assert text.count(board.title) == 1


def test_a_name_wider_than_the_terminal_is_folded():
    (board,) = boards([record("x" * 150), record("b")])
    lines = printed(board, 60).splitlines()
    assert max(map(len, lines)) <= 60 and sum(line.count("x") for line in lines) == 150
