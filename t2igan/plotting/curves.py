"""Training curves from the CSV logs that Lightning writes."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from t2igan.errors import UserError
from t2igan.files import make_folder, whole_file

Rows = Sequence[Mapping[str, object]]
"""Rows of a log: column -> value; a cell may be blank, None or absent."""

_COLORS = ("#3465a4", "#d4662c", "#3f8f5b", "#8a5aa8", "#b5891b", "#c2436b", "#4f9aa8", "#6b6f76")


def read_metrics(path: Path) -> list[dict[str, str]]:
    """Read a ``metrics.csv`` of Lightning's CSVLogger.

    Raises:
        UserError: If the file is absent or holds no row.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist; give the metrics.csv of a run")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise UserError(f"{path} holds no rows; train for at least one logging interval first")
    return rows


def series(rows: Rows, key: str, step_key: str = "step") -> tuple[np.ndarray, np.ndarray]:
    """Return (steps, values) of one column, float (N,) each, in the order of steps.

    Blank and non-finite cells are dropped; rows without a step are numbered by their position.
    """
    points = []
    for position, row in enumerate(rows):
        value, step = _number(row.get(key)), _number(row.get(step_key))
        if value is not None:
            points.append((position if step is None else step, value))
    points.sort(key=lambda point: point[0])
    table = np.array(points, float).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def smoothed(values: np.ndarray, share: float = 0.05) -> np.ndarray:
    """Return the centred moving average of values (N,) over ``share`` of their number, shorter at both ends."""
    half = int(len(values) * share / 2)
    if half == 0:
        return values
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    return (total[high] - total[low]) / (high - low)


def plot_curves(
    runs: Mapping[str, Rows] | Sequence[Path] | Path,
    path: Path,
    keys: Sequence[str] | None = None,
    step_key: str = "step",
    smoothing: float = 0.05,
) -> None:
    """Plot a PNG with one panel per quantity and one line per run: raw values faint, moving averages strong.

    Args:
        runs: Path or paths of metrics.csv files (labelled by the folder), or label -> rows.
        path: PNG to write; its folder is made.
        keys: Columns to draw; by default every numeric column but step and epoch.
        step_key: Column of the horizontal axis.
        smoothing: Share of a curve over which it is averaged.

    Raises:
        UserError: If a file is absent or empty, or a wanted column has no values in any run.
    """
    tables = _tables(runs)
    wanted = list(keys) if keys is not None else _numeric_columns(tables, {step_key, "step", "epoch"})
    for key in wanted:
        if not any(len(series(rows, key, step_key)[0]) for rows in tables.values()):
            known = ", ".join(_numeric_columns(tables, set())) or "none"
            raise UserError(f"curves: no values of {key!r} in {', '.join(tables)}; columns with values: {known}")
    if not wanted:
        raise UserError(f"curves: no numeric columns in {', '.join(tables)}; give the metrics.csv of a run")
    _draw(tables, Path(path), wanted, step_key, smoothing)


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _tables(runs: Mapping[str, Rows] | Sequence[Path] | Path) -> dict[str, Rows]:
    tables: dict[str, Rows]
    if isinstance(runs, Mapping):
        tables = dict(runs)
        for label, rows in tables.items():
            if not rows:
                raise UserError(
                    f"curves: run {label!r} holds no rows; train for at least one logging interval first"
                )
    else:
        paths = [Path(runs)] if isinstance(runs, str | Path) else [Path(one) for one in runs]
        # Folders of the same name get their parent's too, so that no run hides another.
        short = [one.resolve().parent.name for one in paths]
        labels = [str(one) if short.count(name) > 1 else name for one, name in zip(paths, short)]
        tables = {label: read_metrics(one) for label, one in zip(labels, paths)}
    if not tables:
        raise UserError("curves: no run given; give the metrics.csv of at least one run")
    return tables


def _numeric_columns(tables: Mapping[str, Rows], without: set[str]) -> list[str]:
    """Columns that hold a number somewhere, in order of appearance."""
    columns = {
        key: None
        for rows in tables.values()
        for row in rows
        for key, value in row.items()
        if _number(value) is not None
    }
    return [key for key in columns if key not in without]


def _draw(tables: Mapping[str, Rows], path: Path, keys: list[str], step_key: str, smoothing: float) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # imported late, because it is slow
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    columns = min(3, len(keys))
    rows = -(-len(keys) // columns)
    figure = Figure(figsize=(4.4 * columns, 2.9 * rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    for position, key in enumerate(keys):
        axes = figure.add_subplot(rows, columns, position + 1)
        for number, (label, table) in enumerate(tables.items()):
            steps, values = series(table, key, step_key)
            color = _COLORS[number % len(_COLORS)]
            axes.plot(steps, values, color=color, alpha=0.25, linewidth=0.9, marker="." if len(steps) < 3 else None)
            axes.plot(steps, smoothed(values, smoothing), color=color, linewidth=1.7, label=label)
        axes.set_title(key, fontsize=10, loc="left")
        axes.set_xlabel(step_key, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(alpha=0.22, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        if len(tables) > 1 and position == 0:
            axes.legend(fontsize=8, frameon=False)
    make_folder(path.parent)
    with whole_file(path) as draft:
        figure.savefig(draft, format="png")
