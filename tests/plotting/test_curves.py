from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from t2igan.errors import UserError
from t2igan.plotting.curves import plot_curves, read_metrics, series, smoothed

CSV = """epoch,generator/loss,step,fd
0,1.5,10,
0,,10,300.0
1,nan,20,
1,1.0,30,200.5
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "version_0" / "metrics.csv"
    path.parent.mkdir()
    path.write_text(CSV)
    return path


def test_missing_cells_fall_out(log: Path) -> None:
    steps, values = series(read_metrics(log), "generator/loss")
    assert steps.tolist() == [10, 30] and values.tolist() == [1.5, 1.0]
    steps, values = series(read_metrics(log), "fd")
    assert steps.tolist() == [10, 30] and values.tolist() == [300.0, 200.5]


def test_rows_come_in_the_order_of_steps() -> None:
    steps, values = series([{"step": 3, "x": 1.0}, {"step": 1, "x": 2.0}], "x")
    assert steps.tolist() == [1, 3] and values.tolist() == [2.0, 1.0]


def test_smoothing_keeps_constants_and_reduces_noise() -> None:
    assert np.allclose(smoothed(np.full(100, 3.0)), 3)
    noise = np.random.default_rng(0).normal(size=400)
    assert smoothed(noise, 0.1).std() < 0.4 * noise.std()
    assert len(smoothed(noise, 0.1)) == 400
    assert np.array_equal(smoothed(noise[:3]), noise[:3])


def test_png_has_a_panel_a_quantity(log: Path, tmp_path: Path) -> None:
    plot_curves([log], tmp_path / "new" / "one.png", ["fd"])
    plot_curves(log, tmp_path / "two.png")
    with Image.open(tmp_path / "new" / "one.png") as one, Image.open(tmp_path / "two.png") as two:
        assert one.format == two.format == "PNG"
        assert two.width > 1.8 * one.width and two.height == one.height
        assert len(np.unique(np.asarray(one.convert("RGB")).reshape(-1, 3), axis=0)) > 20


def test_every_run_is_drawn(tmp_path: Path) -> None:
    runs = {f"seed {n}": [{"step": s, "loss": s * n} for s in range(20)] for n in range(1, 4)}
    plot_curves(runs, tmp_path / "all.png")
    plot_curves({"seed 1": runs["seed 1"]}, tmp_path / "one.png")
    assert (tmp_path / "all.png").read_bytes() != (tmp_path / "one.png").read_bytes()


def test_mistakes_name_file_or_key(log: Path, tmp_path: Path) -> None:
    empty = tmp_path / "metrics.csv"
    empty.write_text("epoch,step,loss\n")
    with pytest.raises(UserError, match=r"metrics\.csv holds no rows"):
        plot_curves([empty], tmp_path / "x.png")
    empty.write_text("")
    with pytest.raises(UserError, match="holds no rows"):
        plot_curves([empty], tmp_path / "x.png")
    with pytest.raises(UserError, match="does not exist"):
        plot_curves([tmp_path / "none.csv"], tmp_path / "x.png")
    with pytest.raises(UserError, match=r"'lost'.*generator/loss"):
        plot_curves([log], tmp_path / "x.png", ["lost"])
    with pytest.raises(UserError, match="no rows"):
        plot_curves({"a": []}, tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()
