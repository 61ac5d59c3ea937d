"""Simulated annotators: the time of each word of a narrative, and the pointer's trace.

A mentioned segment is circled (a jittered closed curve, 60 %), scribbled over (30 %) or stroked (10 %), up to 0.4 s
after its words. During function words the pointer moves on. Occasionally it slips to another segment or out of the
image.
"""

from itertools import pairwise

import numpy as np

from t2igan.data.sources.drawing import smooth
from t2igan.data.sources.scenes.sentences import Mention

_STEP = 0.05  # seconds between points
Utterance = dict[str, str | float]
Stroke = list[dict[str, float]]


def speak(
    mentions: list[Mention], owners: np.ndarray, rng: np.random.Generator
) -> tuple[list[Utterance], list[Stroke], list[int]]:
    """Simulate the speech and the pointer of a narrative.

    Args:
        mentions: phrases of the narrative.
        owners: number of the segment of each pixel, (H, W).
        rng: source of all variation.

    Returns:
        ``timed_caption`` and ``traces`` as Localized Narratives have them, and the segment of each word.
    """
    utterances: list[Utterance] = []
    segments: list[int] = []
    paths: list[np.ndarray] = []
    now, start = float(rng.uniform(0.2, 0.8)), True
    for mention in mentions:
        lead, phrase = mention.lead.split(), mention.phrase.split()
        words = [*lead, *phrase]
        segments += [mention.segment] * len(words)
        words[0] = words[0].capitalize() if start else words[0]
        words[-1] += "." if mention.ends or mention is mentions[-1] else ""
        ends = now + np.cumsum(rng.uniform(0.22, 0.46, len(words)))
        begins = np.concatenate([[now], ends[:-1]])
        utterances += _utterances(words, begins, ends, rng)
        lag = rng.uniform(0, 0.4)
        window = (begins[len(lead)] + lag, ends[-1] + lag)
        paths.append(_path(mention.segment, owners, window, rng))
        start, now = mention.ends, float(ends[-1]) + float(rng.uniform(0.1, 0.7) if mention.ends else 0.0)
    return utterances, _strokes(_joined(paths, rng), rng), segments


def _utterances(
    words: list[str], begins: np.ndarray, ends: np.ndarray, rng: np.random.Generator
) -> list[Utterance]:
    """Split words into utterances of one to three words."""
    groups, first = [], 0
    while first < len(words):
        last = min(len(words), first + int(rng.integers(1, 4)))
        times = {"start_time": round(float(begins[first]), 2), "end_time": round(float(ends[last - 1]), 2)}
        groups.append({"utterance": " ".join(words[first:last]), **times})
        first = last
    return groups


def _path(segment: int, owners: np.ndarray, window: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Trace of the pointer during one mention: float (N, 3) of x, y, t."""
    mask = owners == segment
    count = max(4, int((window[1] - window[0]) / _STEP))
    kind = rng.choice(3, p=(0.6, 0.3, 0.1))
    points = (
        (_circle, _scribble, _straight)[kind](mask, count, rng) if mask.any() else rng.uniform(0.3, 0.7, (count, 2))
    )
    points = points + rng.normal(0, 0.006, points.shape)
    if rng.random() < 0.1:  # a slip
        other = np.argwhere(~mask)
        if len(other):
            row, column = other[int(rng.integers(len(other)))]
            points[int(rng.integers(count))] = (column + 0.5) / mask.shape[1], (row + 0.5) / mask.shape[0]
    return np.column_stack([points, np.linspace(*window, count)])


def _places(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask as x, y in shares of the image: float (N, 2)."""
    return (np.argwhere(mask)[:, ::-1] + 0.5) / mask.shape[::-1]


def _circle(mask: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """About one turn round the mask, through its outermost points in ten directions."""
    places = _places(mask)
    centre = places.mean(0)
    angles = np.linspace(0, 2 * np.pi, 10, endpoint=False) + rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.5:
        angles = angles[::-1]
    directions = np.stack([np.cos(angles), np.sin(angles)], 1)
    corners = places[(places @ directions.T).argmax(0)]
    corners = centre + (corners - centre) * rng.uniform(0.97, 1.07, (10, 1)) + rng.normal(0, 0.012, (10, 2))
    curve = smooth(corners, samples=8)
    turns = rng.uniform(0.9, 1.4)
    at = (np.linspace(0, turns, count) * len(curve)).astype(int) % len(curve)
    return curve[at]


def _scribble(mask: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Zigzag through the mask from one end to the other."""
    places = _places(mask)
    middle = places.mean(0)
    axis = np.linalg.svd(places[:: max(1, len(places) // 400)] - middle, full_matrices=False)[2][0]
    along = (places - middle) @ axis
    knots = []
    edges = np.quantile(along, np.linspace(0.02, 0.98, 9))
    for number, (low, high) in enumerate(pairwise(edges)):
        slab = places[(along >= low) & (along <= high)]
        side = (slab - middle) @ np.array((-axis[1], axis[0]))
        knots.append(slab[side.argmax() if number % 2 else side.argmin()])
    curve = smooth(np.array(knots), closed=False, samples=8)
    return curve[np.linspace(0, len(curve) - 1, count).astype(int)]


def _straight(mask: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """One stroke between two points of the mask that lie far apart."""
    places = _places(mask)
    pairs = places[rng.integers(len(places), size=(12, 2))]
    first, last = max(pairs, key=lambda pair: float(np.square(pair[0] - pair[1]).sum()))
    return first + (last - first) * np.linspace(0, 1, count)[:, None]


def _joined(paths: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Concatenate paths, with straight connections between them."""
    joined = [paths[0]]
    for before, after in pairwise(paths):
        gap = after[0, 2] - before[-1, 2]
        if gap > 2 * _STEP and rng.random() < 0.8:
            share = np.linspace(0, 1, int(gap / (2 * _STEP)) + 2)[1:-1, None]
            joined.append(before[-1] + (after[0] - before[-1]) * share)
        joined.append(after)
    path = np.concatenate(joined)
    # With a lag longer than before the next mention may begin before this one has ended.
    path[:, 2] = np.maximum.accumulate(path[:, 2])
    return path


def _strokes(path: np.ndarray, rng: np.random.Generator) -> list[Stroke]:
    """Split the path into strokes, where the pointer re-enters the image and sometimes where it rests."""
    inside = (np.abs(path[:, :2] - 0.5) < 0.55).all(axis=1)
    cuts = np.flatnonzero(np.diff(inside.astype(int)) == 1) + 1
    if rng.random() < 0.3:
        cuts = np.union1d(cuts, rng.integers(1, len(path), 1))
    return [
        [{"x": round(float(x), 4), "y": round(float(y), 4), "t": round(float(t), 3)} for x, y, t in part]
        for part in np.split(path, cuts)
    ]
