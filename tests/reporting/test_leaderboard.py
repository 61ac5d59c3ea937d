import re
from dataclasses import replace
from pathlib import Path

import pytest
from report_fixtures import CLASSIFIER, make_repeated, write_run
from report_fixtures import make_record as record

from t2igan import metrics
from t2igan.evaluation.identity import read_identity
from t2igan.evaluation.record import MetricValue, SubjectCard, TrainingCard
from t2igan.reporting.leaderboard import boards, verdicts, winners
from t2igan.reporting.numbers import SPREADS, spread_over


def names(board):
    return [row.name for row in board.rows]


@pytest.mark.parametrize("key", ["protocol_hash", "dataset", "fingerprint"])
def test_only_comparable_records_share_a_table(key):
    tables = boards([record("a"), record("b"), record("c", **{key: "other"})])
    assert [names(board) for board in tables] == [["a", "b"], ["c"]]
    for board in tables:
        assert len({getattr(one, key) for one in board.records}) == 1


def test_repetitions_under_another_protocol_are_no_repetitions():
    runs = [make_repeated("a", 0, 1.0), make_repeated("a", 1, 2.0)]
    tables = boards([runs[0], replace(runs[1], protocol_hash="ff" * 32)])
    assert [[len(row.records) for row in board.rows] for board in tables] == [[1], [1]]


def test_rows_run_from_untrained_to_real_and_the_newest_record_counts():
    (board,) = boards([record("r", "real"), record("a"), record("u", "untrained"), record("a", rp=0.5)])
    assert names(board) == ["u", "a", "r"]
    assert board.cells(board.rows[1])[1] == "50.00 ± 1.25 %"


def test_subjects_of_one_name_are_told_apart():
    (board,) = boards([record("a"), record("a", subject=SubjectCard("checkpoint", "a", path="runs/b"))])
    assert [row[0] for row in board.grid()[1:]] == ["a (a)", "a (runs/b)"]


def test_values_of_different_damsms_have_columns_of_their_own():
    (board,) = boards([record("a"), record("b", damsm_sha256="bb" * 32)])
    assert board.headers == [
        "FD, classifier ↓",
        "R-precision, DAMSM [aaaaaaaa] ↑ ± folds",
        "R-precision, DAMSM [bbbbbbbb] ↑ ± folds",
    ]
    assert [board.cells(row) for row in board.rows] == [
        ["12.35", "25.00 ± 1.25 %", "-"],
        ["12.35", "-", "25.00 ± 1.25 %"],
    ]


def test_runs_of_one_experiment_are_one_row_with_mean_and_sample_deviation():
    (board,) = boards([make_repeated("ssagan", seed, fd) for seed, fd in enumerate((10.0, 12.0, 14.0))])
    assert [line[:3] for line in board.grid()[1:]] == [
        ["SSA-GAN, 3 runs", "100", "12.00 ± 2.00 [7.03, 16.97]"],
        ["· seed 0", "100", "10.00"],
        ["· seed 1", "100", "12.00"],
        ["· seed 2", "100", "14.00"],
    ]
    assert any("sample standard deviation" in note for note in board.footnotes)


def test_every_spread_says_what_it_is_over():
    """Folds of one run and seeds of an experiment are different things, in one column too."""
    value = MetricValue(9.0, 0.5, 100, CLASSIFIER, spread_over="folds")
    runs = [replace(make_repeated("a", seed, 1.0), metrics={"is-classifier": value}) for seed in (0, 1)]
    (board,) = boards([*runs, record("b", metrics={"is-classifier": value})])
    assert board.headers == ["IS, classifier ↑"]
    assert [line[2] for line in board.grid()[1:]] == [
        "9.00 ± 0.00 (seeds) [9.00, 9.00]",
        *["9.00 ± 0.50 (folds)"] * 3,
    ]
    (note,) = [note for note in board.footnotes if note.startswith("±")]
    assert "training seeds" in note and "folds of the images of one run" in note
    (board,) = boards(runs[:1])
    assert board.headers == ["IS, classifier ↑ ± folds"]
    assert board.grid()[1][2] == "9.00 ± 0.50"


@pytest.mark.parametrize(
    ("name", "over"),
    [
        *(("is", "folds"), ("r-precision@x", "folds"), ("kid", "subsets"), ("lpips-diversity", "captions")),
        *(("clip-score", "images"), ("fid-infinity", "fit"), ("fd-classifier-infinity", "fit")),
    ],
)
def test_old_spreads_are_known_by_their_metric(name, over):
    assert spread_over(name, MetricValue(1.0, 0.1, 10, "x")) == over
    assert spread_over(name, MetricValue(1.0, 0.1, 10, "x", spread_over="bootstrap")) == "bootstrap"
    assert spread_over(name, MetricValue(1.0, None, 10, "x")) is None


def test_every_kind_of_spread_that_is_recorded_has_its_words():
    text = "".join(path.read_text() for path in Path(metrics.__file__).parent.glob("*.py"))
    recorded = set(re.findall(r'stimate\([^"\n]+, "([a-z]+)"', text))
    assert recorded == {"folds", "subsets", "segments", "images", "captions", "bootstrap"} <= SPREADS.keys()


def test_rows_of_another_number_of_images_are_a_table_of_their_own():
    few, many = record("a", n_generated=100), record("b", n_generated=1000)
    tables = boards([few, many, record("c", n_generated=100)])
    assert [(board.count, names(board)) for board in tables] == [(100, ["a", "c"]), (1000, ["b"])]
    assert [board.title.rpartition(", ")[2] for board in tables] == ["100 images", "1,000 images"]


def test_runs_on_another_number_of_images_are_not_averaged():
    runs = [make_repeated("a", seed, 10.0 * seed) for seed in (1, 2)]
    tables = boards([runs[0], replace(runs[1], n_generated=30)])
    assert [[row.title for row in board.rows] for board in tables] == [["a-1"], ["a-2"]]


def test_copies_count_once_and_are_said():
    folder = SubjectCard("images", "copies", "copies", "ab" * 32, n_distinct=200)
    tables = boards([record("a", n_generated=1000), record("", subject=folder, n_generated=1000)])
    assert [(board.count, names(board)) for board in tables] == [(1000, ["a"]), (200, ["copies"])]
    assert tables[1].grid()[1][1] == "1,000 (200 distinct)"
    assert "copies: 800 of 1,000 files are copies of others" in tables[1].footnotes
    # One image a thousand times among others moves every value: no table with those others alone.
    tables = boards([record("", subject=folder, n_generated=1000), record("b", n_generated=200)])
    titles = [board.title.rpartition(", ")[2] for board in tables]
    assert titles == ["200 images and 800 copies of these", "200 images"]


def test_real_images_stand_in_every_table_with_their_number():
    real = record("real", "real", n_generated=400)
    value = replace(real.metrics["fd-classifier"], n=40)
    real = replace(real, metrics=real.metrics | {"fd-classifier": value})
    tables = boards([record("a"), real, record("b", n_generated=1000)])
    assert [names(board) for board in tables] == [["a", "real"], ["b", "real"]]
    assert tables[0].cells(tables[0].rows[1]) == ["12.35 (n = 40)", "25.00 ± 1.25 %"]
    assert tables[0].cells(tables[0].rows[0]) == ["12.35", "25.00 ± 1.25 %"]
    (alone,) = boards([real])
    assert (alone.count, names(alone)) == (400, ["real"])


def test_batch_steps_and_images_seen_stand_in_the_table():
    def trained(seed, **known):
        made = make_repeated("a", seed, 1.0)
        return replace(made, subject=replace(made.subject, training=TrainingCard(**known)))

    runs = [trained(seed, global_batch=24, steps=500, images_seen=12_000 + seed) for seed in (0, 1)]
    (board,) = boards([*runs, record("b")])
    assert board.grid(runs=False) == [
        ["subject", "images", "batch", "steps", "images seen", *board.headers],
        ["a, 2 runs", "100", "24", "500", "12,000-12,001", *board.cells(board.rows[0])],
        ["b", "100", "-", "-", "-", *board.cells(board.rows[1])],
    ]
    (board,) = boards([record("b")])
    assert board.grid()[0][:3] == ["subject", "images", "FD, classifier ↓"]


def test_an_edited_record_is_shown_as_edited_and_counts_for_nothing():
    runs = [make_repeated("a", seed, fd) for seed, fd in enumerate((10.0, 10.1, 10.2))]
    others = [make_repeated("b", seed, fd) for seed, fd in enumerate((20.0, 20.1))]
    (board,) = boards([*runs[:2], replace(runs[2], integrity="edited"), *others])
    assert [row.title for row in board.rows] == ["a, 2 runs", "a-2 (edited)", "b, 2 runs"]
    assert any("a-2 (edited): edited after it was written" in note for note in board.footnotes)
    assert [row.name for row in winners(board).values()] == ["a"]
    (board,) = boards([replace(one, integrity="edited") for one in runs])
    assert not winners(board) and len(board.rows) == 3


def test_an_edited_copy_does_not_take_the_place_of_the_record():
    (board,) = boards([record("a"), record("a", rp=0.99, integrity="edited")])
    assert [row.edited for row in board.rows] == [False, True]


def test_old_records_are_said_to_have_no_digest():
    (board,) = boards([record("a"), record("b", integrity="without digest")])
    assert "without digest (written before there was one): 1 of 2 records" in board.footnotes


def test_runs_measured_by_different_damsms_have_no_common_mean():
    one, two = make_repeated("a", 0, 1.0), make_repeated("a", 1, 3.0)
    two = replace(two, metrics={"fd-classifier": MetricValue(3.0, None, 100, "dd" * 32)})
    (board,) = boards([one, two])
    assert [board.rows[0].summary(column).runs for column in board.columns] == [1, 1]


def test_repetitions_are_told_by_the_configuration_of_their_runs(tmp_path):
    paths = [write_run(tmp_path / f"dmgan-{seed}", seed) for seed in (0, 1)]
    paths.append(write_run(tmp_path / "other", 0, lr=0.5))
    cards = [SubjectCard("checkpoint", path.parent.parent.name, str(path), weights="ema") for path in paths]
    (board,) = boards([record("", subject=card) for card in cards])
    assert [row.title for row in board.rows] == ["DM-GAN, 2 runs", "other"]
    assert [row.labels for row in board.rows] == [("seed 0", "seed 1"), ("seed 0",)]
    raw = replace(cards[1], weights="raw")
    (board,) = boards([record("", subject=cards[0]), record("", subject=raw)])
    assert len(board.rows) == 2


def test_two_checkpoints_of_a_run_and_a_seed_trained_twice_are_no_repetitions(tmp_path):
    last = write_run(tmp_path / "a", 0)
    again = write_run(tmp_path / "b", 0)
    cards = [SubjectCard("checkpoint", "a", str(path)) for path in (last, last.with_name("best.ckpt"), again)]
    (board,) = boards([record("", subject=card) for card in cards])
    assert [len(row.records) for row in board.rows] == [1, 1, 1]
    assert len(set(names(board))) == 3


@pytest.mark.parametrize(
    ("training", "selection", "rows"),
    [
        ({}, None, 1),
        ({"steps": 500}, None, 2),
        ({"global_batch": 64}, None, 2),
        ({"global_batch": 64}, "fid on the test split", 2),
        ({"steps": 500}, "fid on the test split", 1),
    ],
)
def test_trainings_of_another_extent_are_not_averaged(training, selection, rows):
    one = replace(make_repeated("a", 0, 1.0).subject, training=TrainingCard(steps=1000, global_batch=8))
    two = replace(make_repeated("a", 1, 1.0).subject, training=replace(one.training, **training))
    cards = [replace(card, selection=selection) for card in (one, two)]
    (board,) = boards([record("", subject=card) for card in cards])
    assert len(board.rows) == rows


def test_what_was_chosen_is_not_called_better_than_what_was_not():
    """The best of many checkpoints by the test split is ahead of the last one of an equal training."""
    runs = [make_repeated("a", seed, 10.0 + seed / 10) for seed in (0, 1)]
    chosen = [replace(run, subject=replace(run.subject, selection="test: best fid of p@50")) for run in runs]
    others = [make_repeated("b", seed, 20.0 + seed / 10) for seed in (0, 1)]
    (board,) = boards([*chosen, *others])
    assert not winners(board)
    assert verdicts(board) == [
        "rows whose checkpoints were chosen in different ways are not called better than one another",
        "FD, classifier ↓ ± seeds: no difference beyond the spread of the runs",
    ]


def test_a_mean_of_fewer_runs_says_so():
    runs = [make_repeated("a", seed, 10.0 + seed) for seed in (0, 1, 2)]
    runs[2] = replace(runs[2], metrics={"is-classifier": MetricValue(1.0, None, 100, CLASSIFIER)})
    (board,) = boards(runs)
    assert board.grid()[1][2:] == ["10.50 ± 0.71 (2 of 3 runs) [4.15, 16.85]", "1.00 (1 of 3 runs)"]


def test_the_untrained_is_no_run_of_the_experiment(tmp_path):
    path = str(write_run(tmp_path / "a", 0))
    cards = [SubjectCard(kind, "a", path, experiment="x", training_seed=0) for kind in ("untrained", "checkpoint")]
    (board,) = boards([record("", subject=card) for card in cards])
    assert [row.kind for row in board.rows] == ["untrained", "checkpoint"]


def test_a_run_without_configuration_is_known_by_nothing(tmp_path):
    assert read_identity(tmp_path / "checkpoints" / "last.ckpt").experiment is None
    path = write_run(tmp_path / "run", 0)
    (tmp_path / "run" / "config.yaml").write_text("a: [")
    assert read_identity(path).experiment is None


def test_equal_captions_make_guessing_easier_than_candidates_say():
    values = {"r-precision@damsm": MetricValue(0.2, None, 90, "aa" * 32, 0.1066)}
    (board,) = boards([record("a", metrics=values)])
    assert "R-precision by guessing: 10.66% (9.4 candidates)" in board.footnotes


def test_chance_and_what_is_missing_are_said():
    (board,) = boards([record("a", not_computed={"fid": "no weights"}, notes=["half a folder"])])
    assert board.footnotes == [
        "R-precision by guessing: 1.00% (100 candidates)",
        "±: folds: standard deviation over folds of the images of one run",
        "a: fid not computed: no weights",
        "a: half a folder",
    ]


def test_the_clip_score_is_told_from_that_of_hessel():
    value = MetricValue(25.0, None, 100, CLASSIFIER)
    (board,) = boards([record("a", metrics={"clip-score": value})])
    assert any("2.5 max(cos, 0)" in note for note in board.footnotes)
    (board,) = boards([record("a")])
    assert not any("Hessel" in note for note in board.footnotes)


def test_real_images_are_last_and_a_pipeline_is_before_them():
    (board,) = boards([record("r", "real"), record("trecs-lite", "pipeline"), record("a")])
    assert [row.kind for row in board.rows] == ["checkpoint", "pipeline", "real"]


def test_the_notes_of_a_row_are_in_one_line():
    (board,) = boards([record("trecs-lite", "pipeline", notes=["trace: real", "k: 5"])])
    assert "trecs-lite: trace: real; k: 5" in board.footnotes
