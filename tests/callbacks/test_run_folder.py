"""Curves in a run's folder, damaged: a training of two weeks must not fail on them."""

import pytest

from t2igan.callbacks.run_folder import RunCurves, read_curves

WHOLE = b"step,train/loss\n0,0.5\n1,0.25\n"
KEPT = [{"step": 0, "train/loss": 0.5}, {"step": 1, "train/loss": 0.25}]


@pytest.mark.parametrize(
    "tail",
    [
        b"2",
        b"2,0.12\0\0\0",
        b"2,0.12" + bytes(200_000),  # what a power cut leaves
        b"2," + b"1" * 200_000 + b"\n",
        b"2,\xff\n",
        b"inf,0.1\n",
        b"nan,0.1\n",
        b",0.1\n",
        b"2,0.1,0.1\n",
        b'"2,0.1\n',
    ],
)
def test_damaged_rows_are_dropped(tmp_path, tail):
    path = tmp_path / "metrics.csv"
    path.write_bytes(WHOLE + tail)
    assert read_curves(path) == KEPT
    path.write_bytes(WHOLE + tail + b"\n3,0.1\n")
    assert read_curves(path) == [*KEPT, {"step": 3, "train/loss": 0.1}]


@pytest.mark.parametrize("content", [b"", b"\0", b"\xff\xfe\n1,2\n", b"a,b\n1,2\n"])
def test_no_curves(tmp_path, content):
    (tmp_path / "metrics.csv").write_bytes(content)
    assert read_curves(tmp_path / "metrics.csv") == []


def test_curves_whose_first_line_is_damaged_are_kept_aside(tmp_path):
    """All rows are without a step then; a training that goes on begins new curves."""
    path, damaged = tmp_path / "metrics.csv", WHOLE.replace(b"step", b"stdp")
    path.write_bytes(damaged)
    RunCurves(tmp_path).rewind(2)
    assert not path.exists() and (tmp_path / "metrics.damaged").read_bytes() == damaged
    path.write_bytes(WHOLE)
    RunCurves(tmp_path).rewind(0)  # begun anew
    assert not path.exists() and (tmp_path / "metrics.damaged").read_bytes() == damaged
