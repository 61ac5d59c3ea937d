import pytest
from report_fixtures import make_repeated

from t2igan.reporting.leaderboard import boards, verdicts, winners
from t2igan.reporting.numbers import format_number


@pytest.mark.parametrize(
    ("other", "decided"),
    [((24.9, 25.1), True), ((13.9, 14.1), False), ((12.2, 14.2), False), ((13.9, 14.0, 14.1, 14.2), False)],
)
def test_better_is_said_only_beyond_the_spread_and_by_welchs_test(other, decided):
    # a: 11 ± 1.41. 14 ± 0.14 is 3 away, more than both spreads, but two runs are few: Welch's interval is ± 12,
    # beside four runs of b too; 13.2 ± 1.41 is 2.2 away, less than both spreads.
    runs = [make_repeated("a", seed, fd) for seed, fd in enumerate((10.0, 12.0))]
    (board,) = boards([*runs, *(make_repeated("b", seed, fd) for seed, fd in enumerate(other))])
    (line,) = verdicts(board)
    assert ("a is better than b" in line) == decided
    assert [row.name for row in winners(board).values()] == (["a"] if decided else [])
    assert "b is better" not in line


def test_nothing_is_better_with_one_run_each():
    (board,) = boards([make_repeated("a", 0, 1.0), make_repeated("b", 0, 100.0)])
    assert verdicts(board) == ["no row is called better than another: that takes several runs (seeds) of both"]
    assert not winners(board)


def test_many_runs_that_overlap_are_within_the_spread():
    # Welch's test alone would call a better: 20 runs of each, 0.8 apart, spread 0.51.
    runs = [make_repeated("a", seed, 10.0 + seed % 2) for seed in range(20)]
    (board,) = boards([*runs, *(make_repeated("b", seed, 10.8 + seed % 2) for seed in range(20))])
    assert "no difference" in verdicts(board)[0]


def test_runs_without_any_spread_are_told_apart():
    (board,) = boards([make_repeated(name, seed, fd) for name, fd in (("a", 1.0), ("b", 2.0)) for seed in (0, 1)])
    assert "a is better than b" in verdicts(board)[0] and "b is better" not in verdicts(board)[0]


def test_small_values_keep_their_digits():
    assert format_number("kid", 0.00123) == "0.00123"
    assert format_number("precision", 0.4567) == "0.457"
    assert format_number("fid", 12.345, 0.1) == "12.35 ± 0.10"
    assert format_number("r-precision@x", 0.4, 0.01, share=True) == "40.00 ± 1.00 %"
