from dataclasses import replace

import pytest
from report_fixtures import make_record

from t2igan import zoo
from t2igan.evaluation.record import MetricValue, SubjectCard, append_record, read_records
from t2igan.reporting.reproduction import (
    Reproduced,
    comparable,
    compare,
    of_one_another,
    of_other_weights,
    of_the_zoo,
    verdict,
)

NAME = "zoo:birds/ssagan"


def measured(value, **changes):
    card = SubjectCard("checkpoint", "ssagan (zoo)", NAME, sha256="ee" * 32, weights="ema")
    made = make_record(
        "ssagan (zoo)", subject=card, metrics={"fd-classifier": MetricValue(value, None, 100, "cc" * 32)}
    )
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("one", "other", "digits"),
    [(1.0, 1.0, 15), (1.0, 1.0001, 4), (100.0, 101.0, 2), (1.0, 2.0, 0), (0.0, 0.0, 15), (1.0, float("nan"), 0)],
)
def test_digits_in_which_numbers_agree(one, other, digits):
    assert Reproduced("fid", one, other).digits == Reproduced("fid", other, one).digits == digits


def test_what_is_said():
    exact = verdict("x", "y", compare(measured(5.0), measured(5.0)))
    near = verdict("x", "y", compare(measured(5.0), measured(5.00004)))
    far = verdict("x", "y", compare(measured(5.0), measured(5.5)))
    assert exact == ["x reproduces y exactly", "  FD, classifier 5 (recorded 5): equal"]
    assert near[0] == "x reproduces y to 5 digits"
    assert far[0] == "x does NOT reproduce y (1 digits)"


def test_what_was_measured_twice_is_held_against_itself():
    first, second = measured(5.0), measured(5.5)
    (head, line) = of_one_another([first, second])
    assert head == "SSA-GAN (zoo), p: measured 2 times, the newest record does NOT reproduce the oldest (1 digits)"
    assert line == "  FD, classifier 5.5 (recorded 5): 1 digits"
    assert of_one_another([first, second, measured(5.0)])[0].endswith(
        "3 times, the newest record reproduces the oldest exactly"
    )
    for other in (
        measured(5.5, protocol_hash="77" * 32),
        measured(5.5, fingerprint="77" * 32),
        measured(5.5, damsm={"damsm": "77" * 32}),
        measured(5.5, backbones={"classifier": "77" * 32}),
        measured(5.5, subject=replace(first.subject, sha256="77" * 32)),
        measured(5.5, subject=replace(first.subject, weights="raw")),
        measured(5.5, integrity="edited"),
    ):
        assert of_one_another([first, other]) == []
    unknown = replace(first.subject, sha256=None)
    assert of_one_another([measured(5.0, subject=unknown), measured(5.5, subject=unknown)]) == []


def test_a_record_that_a_newer_one_of_other_weights_hides_is_named():
    first = measured(5.0, timestamp="2026-01-01T00:00:00+00:00")
    other = replace(first.subject, sha256="77" * 32)
    (line,) = of_other_weights([first, measured(4.0, subject=other)])
    assert "the record of 2026-01-01T00:00:00+00:00 (weights eeeeeeee) is not shown" in line
    assert of_other_weights([first, measured(4.0)]) == []
    assert of_other_weights([first, measured(4.0, subject=other, protocol_hash="77" * 32)]) == []
    assert of_other_weights([first, measured(4.0, subject=replace(other, path="elsewhere"))]) == []


def test_only_the_same_things_are_compared():
    record = measured(5.0)
    assert comparable(record, [measured(5.0)]) is not None
    for other in (
        measured(5.0, protocol_hash="77" * 32),
        measured(5.0, fingerprint="77" * 32),
        measured(5.0, damsm={"damsm": "77" * 32}),
        measured(5.0, subject=replace(record.subject, sha256="77" * 32)),
        measured(5.0, integrity="edited"),
    ):
        assert comparable(record, [other]) is None


def test_the_shipped_record_is_held_against_what_is_measured_here(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "_PACKAGE", tmp_path / "t2igan")
    folder = tmp_path / "checkpoints" / "zoo" / "birds" / "ssagan"
    folder.mkdir(parents=True)
    (folder / zoo.WEIGHTS).write_bytes(b"")
    shipped = folder / zoo.RECORDS
    append_record(shipped, measured(5.0))
    assert of_the_zoo(read_records(shipped)) == []
    append_record(tmp_path / "own.jsonl", measured(5.0001, timestamp="2030-01-01T00:00:00+00:00"))
    lines = of_the_zoo(read_records(tmp_path / "own.jsonl"))
    assert lines[0] == f"{NAME}: this machine reproduces the shipped record to 4 digits"
    append_record(tmp_path / "other.jsonl", measured(5.0, protocol_hash="77" * 32))
    assert "nothing is compared" in of_the_zoo(read_records(tmp_path / "other.jsonl"))[0]
    gone = [measured(5.0, subject=replace(measured(5.0).subject, path="zoo:birds/gone"))]
    assert of_the_zoo(gone) == []
