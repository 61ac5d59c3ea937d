"""Training curves as inline SVG, which uses the colours of the embedding page."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

import numpy as np

from t2igan.plotting.curves import Rows, series, smoothed

WIDTH, HEIGHT = 320, 170
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 24, 22
MOST_POINTS = 300
# Up to this number of points, each one gets a marker.
FEW_POINTS = 40


def curve_svg(
    rows: Rows, key: str, step_key: str = "step", smoothing: float = 0.05, title: str | None = None
) -> str | None:
    """Draw one panel: raw values faint, their moving average strong.

    Args:
        rows: rows of the log.
        key: column to draw.
        step_key: column of the horizontal axis.
        smoothing: share of the curve over which it is averaged.
        title: title of the panel; default: the column's name.

    Returns:
        An ``<svg>`` element, None if the column has no numbers.
    """
    steps, values = series(rows, key, step_key)
    if not len(values):
        return None
    title = key if title is None else title
    x_range, y_range = _range(steps), _range(values)
    parts = [
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{_attribute(title)}">',
        f'<text class="name" x="{LEFT}" y="14">{escape(title)}</text>',
    ]
    for tick in _ticks(*y_range):
        y = _place(np.array([tick]), y_range, HEIGHT - BOTTOM, TOP)[0]
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 5}" y="{y + 3:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in _ticks(*x_range, whole=True):
        x = _place(np.array([tick]), x_range, LEFT, WIDTH - RIGHT)[0]
        parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{tick:g}</text>')
    for name, line in (("raw", values), ("mean", smoothed(values, smoothing))):
        xs = _place(steps, x_range, LEFT, WIDTH - RIGHT)
        ys = _place(line, y_range, HEIGHT - BOTTOM, TOP)
        parts.append(_line(name, xs, ys))
    return "".join(parts) + "</svg>"


def _attribute(text: str) -> str:
    return escape(text, {'"': "&quot;"})


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = (high - low or abs(high) or 1.0) * 0.04
    return low - margin, high + margin


def _place(values: np.ndarray, span: tuple[float, float], first: float, last: float) -> np.ndarray:
    return first + (values - span[0]) / (span[1] - span[0]) * (last - first)


def _ticks(low: float, high: float, whole: bool = False) -> Sequence[float]:
    """A few round numbers within a range."""
    from matplotlib.ticker import MaxNLocator  # imported late, because it is slow

    ticks = MaxNLocator(4, integer=whole).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= high]


def _line(name: str, xs: np.ndarray, ys: np.ndarray) -> str:
    if len(xs) == 1:
        return f'<circle class="{name}" cx="{xs[0]:.1f}" cy="{ys[0]:.1f}" r="2.5"/>'
    kept = np.unique(np.linspace(0, len(xs) - 1, min(len(xs), MOST_POINTS)).round().astype(int))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs[kept], ys[kept]))
    line = f'<polyline class="{name}" points="{points}"/>'
    if name == "mean" and len(kept) <= FEW_POINTS:
        line += "".join(f'<circle class="mean" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in zip(xs, ys))
    return line
