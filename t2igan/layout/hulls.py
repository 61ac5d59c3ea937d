"""Points of a mouse trace for words, their convex hull, and the label below it.

TReCS (Koh et al., WACV 2021, sec. 3) uses the hull instead of the line, because annotators circle what they
describe.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from t2igan.layout.labels import VOID
from t2igan.layout.narratives import Narrative, Span

RADIUS = 0.03
"""Half width of what stands for a hull of fewer than three points or of a straight line, in image widths."""
_REACH = 0.5**0.5
"""No place of an image is farther than this from the centre of a pixel, in pixels."""


class Run(NamedTuple):
    """Consecutive words with the same label.

    Attributes:
        label: label of the words.
        start: index of the first word.
        end: index after the last word.
    """

    label: str
    start: int
    end: int


def runs(tags: Sequence[str]) -> list[Run]:
    """Split a sequence of labels into maximal runs."""
    starts = [place for place, tag in enumerate(tags) if place == 0 or tag != tags[place - 1]]
    return [Run(tags[start], start, end) for start, end in zip(starts, [*starts[1:], len(tags)])]


def hull_mask(points: np.ndarray, shape: tuple[int, int], radius: float = RADIUS) -> np.ndarray:
    """Mask of the pixels in the convex hull of points, bool (H, W); never empty.

    Fewer than three points, or nearly collinear ones, have no hull: the mask then holds all pixels within
    ``radius`` of the segment between the outermost points.

    Args:
        points: (N, 2) of x and y in image widths and heights, at least one; those outside of the image are moved to
            its edge.
        shape: H and W of the mask.
        radius: in image widths.

    Raises:
        ValueError: there are no points.
    """
    if not len(points):
        raise ValueError("no point has no hull")
    height, width = shape
    places = np.clip(points, 0, 1).astype(np.float64) * (width, height)
    x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    mask = _within(places, x, y)
    # A narrow hull may contain no pixel centre.
    return mask if mask.any() else _near_segment(places, x, y, max(radius * width, _REACH))


def _within(places: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pixels whose centre is in the hull, bool (H, W); all False without a hull."""
    try:
        sides = ConvexHull(places).equations if len(places) > 2 else None
    except QhullError:  # all on one line
        sides = None
    mask = np.full((len(y), len(x)), sides is not None)
    for a, b, offset in () if sides is None else sides:
        mask &= a * x + b * y + offset <= 1e-6
    return mask


def _near_segment(places: np.ndarray, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Pixels within ``radius`` of the segment spanned by collinear points, bool (H, W)."""
    # Sorted by x, then y, so that the first and last points are the ends of the line.
    order = np.lexsort(places.T[::-1])
    (x0, y0), (x1, y1) = places[order[0]], places[order[-1]]
    along, length = (x1 - x0, y1 - y0), np.hypot(x1 - x0, y1 - y0)
    share = ((x - x0) * along[0] + (y - y0) * along[1]) / max(length**2, 1e-12)
    share = np.clip(share, 0, 1)
    return np.hypot(x - x0 - share * along[0], y - y0 - share * along[1]) <= radius


def span_points(narrative: Narrative) -> list[np.ndarray]:
    """Trace points during each span of a narrative, (N, 2) in image widths and heights.

    A span of no duration is merged with the next one (the last with the previous one). A span without points gets
    those of the previous span or, at the beginning, of the first span that has any; all are empty only if the whole
    trace is.
    """
    if not narrative.spans:
        return []
    strokes = [np.asarray(stroke, np.float32).reshape(-1, 3) for stroke in narrative.traces or ()]
    points = np.concatenate(strokes) if strokes else np.zeros((0, 3), np.float32)
    found = [points[(points[:, 2] >= t0) & (points[:, 2] <= t1), :2] for t0, t1 in _windows(narrative.spans)]
    first = next((each for each in found if len(each)), points[:, :2])
    for place, each in enumerate(found):
        if not len(each):
            found[place] = found[place - 1] if place else first
    return found


def _windows(spans: Sequence[Span]) -> list[tuple[float, float]]:
    windows = [(span.t0, span.t1) for span in spans]
    for place in range(len(windows) - 2, -1, -1):
        if windows[place][1] <= windows[place][0]:
            windows[place] = (windows[place][0], windows[place + 1][1])
    if len(windows) > 1 and windows[-1][1] <= windows[-1][0]:
        windows[-1] = (windows[-2][0], windows[-1][1])
    return windows


def run_points(narrative: Narrative, run: Run) -> np.ndarray:
    """Trace points during the words of a run, (N, 2); empty without a trace."""
    pairs = zip(narrative.spans or (), span_points(narrative))
    own = [points for span, points in pairs if span.start < run.end and run.start < span.end]
    return np.concatenate(own) if own else np.zeros((0, 2), np.float32)


def noisy_labels(narrative: Narrative, labels: np.ndarray) -> np.ndarray:
    """Label each word by the most frequent label below the hull of its span, int64 (T,).

    A span over void only gets the label of the previous span; at the beginning, and without a trace, the most
    frequent label of the image.

    Args:
        narrative: with spans and traces.
        labels: uint8 (H, W), the label map of its image.

    Raises:
        ValueError: the map is all void.
    """
    whole = np.bincount(labels[labels != VOID], minlength=VOID)
    if not whole.any():
        raise ValueError(f"{narrative.key}: the label map of its image is all void")
    found = np.full(len(narrative.words), whole.argmax())
    before = int(whole.argmax())
    for span, points in zip(narrative.spans or (), span_points(narrative)):
        below = labels[hull_mask(points, labels.shape)] if len(points) else labels[:0]
        counts = np.bincount(below[below != VOID], minlength=VOID)
        before = int(counts.argmax()) if counts.any() else before
        found[span.start : span.end] = before
    return found
