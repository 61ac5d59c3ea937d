"""TReCS's third step: compose masks along a trace to a canvas with a label for every pixel.

Koh et al., WACV 2021. The paper does not specify whether masks are scaled, and how pixels without a mask are
filled; :class:`Composer` documents the choices made here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import ndimage

from t2igan.layout.hulls import Run, hull_mask, run_points
from t2igan.layout.labels import COCO_STUFF, VOID, LabelSet
from t2igan.layout.layout import MOST_SEGMENTS, NO_SEGMENT, Layout
from t2igan.layout.mask_bank import Mask, MaskBank
from t2igan.layout.narratives import Narrative
from t2igan.layout.segmentations import text_of

Scale = Literal["kept", "fitted"]
SHARES = ("placed", "retrieved", "nearest", "frequent", "void")


@dataclass(frozen=True, eq=False)
class Placed:
    """A mask placed on the canvas for a run of words.

    Attributes:
        run: the words.
        mask: bool (S, S), its pixels; later masks may hide some of them.
        hull: bool (S, S), hull of the trace; None without a trace.
        source: the bank's mask, None if the hull itself is used.
        overlap: IoU of mask and hull, 0 without a hull.
    """

    run: Run
    mask: np.ndarray
    hull: np.ndarray | None
    source: Mask | None
    overlap: float

    @property
    def image(self) -> int | None:
        """Number of the bank's image that the mask is of."""
        return None if self.source is None else self.source.image


@dataclass(frozen=True, eq=False)
class Canvas:
    """A composed layout.

    Attributes:
        layout: segment k is ``placed[k - 1]``.
        placed: placed masks in the order of the words.
        shares: shares of the pixels by the source of their label: ``placed`` masks, or the fill rules
            ``retrieved``, ``nearest``, ``frequent`` and ``void``; together 1.
    """

    layout: Layout
    placed: tuple[Placed, ...]
    shares: dict[str, float]

    @property
    def texts(self) -> tuple[str, ...]:
        """Free-text description of each segment, as in :class:`t2igan.layout.layout.Layouts`."""
        return tuple(text_of(placed.run.label) for placed in self.placed)


def trace_hulls(narrative: Narrative, runs: Sequence[Run], size: int) -> list[np.ndarray | None]:
    """The hull of each run's trace, bool (S, S); None for runs without a trace."""
    found = [run_points(narrative, run) for run in runs]
    return [hull_mask(points, (size, size)) if len(points) else None for points in found]


def oracle_hulls(gold: Layout, runs: Sequence[Run], labels: LabelSet = COCO_STUFF) -> list[np.ndarray | None]:
    """The hull of each run's label in its own image, bool (H, W); None if the image lacks the label.

    The j-th run of a thing refers to the j-th largest instance of it, cyclically.
    """
    bank, hulls, turns = MaskBank([gold], gold.labels.shape[0], labels), [], dict[str, int]()
    for run in runs:
        own = bank.masks(0, labels.value(run.label))
        turn = turns[run.label] = turns.get(run.label, -1) + 1
        hulls.append(_hull_of(own[turn % len(own)], gold.labels.shape) if own else None)
    return hulls


def _hull_of(mask: Mask, shape: tuple[int, int]) -> np.ndarray:
    rows, columns = np.nonzero(mask.bits)
    places = np.stack([columns + mask.left + 0.5, rows + mask.top + 0.5], axis=1)
    return hull_mask(places / (shape[1], shape[0]), shape)


@dataclass(frozen=True)
class Composer:
    """Chooses and places a mask for each run, on two canvases: stuff behind, things in front.

    Among the candidates, the mask with the largest overlap with the run's hull is placed (in a tie that of the
    better retrieved image). Things are moved to the centre of the hull, stuff keeps its position. Without a hull
    nothing is moved, and the largest mask of the best image is used; the next run of that label uses the next mask.
    Without a candidate the hull itself is the mask.

    Pixels without a mask get (1) the label of the best retrieved image, if that is stuff which the narrative
    mentions; (2) the label of the nearest background pixel; (3) the stuff with the most words; (4) void.

    Attributes:
        k: retrieved images whose masks are candidates.
        scale: scale of things: ``kept``, or ``fitted`` to the area of the hull's box (proportions stay).
        labels: names of the values.
    """

    k: int = 5
    scale: Scale = "kept"
    labels: LabelSet = COCO_STUFF

    def compose(
        self, runs: Sequence[Run], hulls: Sequence[np.ndarray | None], bank: MaskBank, ranked: np.ndarray
    ) -> Canvas:
        """Compose the canvas of a narrative; a pure function of its arguments.

        Args:
            runs: runs of equal labels in the narrative.
            hulls: bool (S, S) of each run, or None; S is the bank's size.
            bank: bank of candidate masks.
            ranked: int64 (N,), the bank's images ranked by similarity to the narrative.
        """
        turns: dict[str, int] = {}
        placed = []
        for run, hull in zip(runs, hulls, strict=True):
            turn = turns[run.label] = turns.get(run.label, -1) + 1
            if found := self._place(run, hull, turn, bank, ranked):
                placed.append(found)
        return self._paint(runs, placed, bank, ranked)

    def _place(
        self, run: Run, hull: np.ndarray | None, turn: int, bank: MaskBank, ranked: np.ndarray
    ) -> Placed | None:
        label = self.labels.value(run.label)
        candidates = bank.candidates(label, ranked, self.k)
        if hull is None:
            of_best = [mask for mask in candidates if mask.image == candidates[0].image]
            if not of_best:
                return None
            chosen = of_best[turn % len(of_best)]
            return Placed(run, _paste(chosen.bits, chosen.top, chosen.left, bank.size), None, chosen, 0.0)
        if not candidates:
            return Placed(run, hull, hull, None, 1.0)
        put = [self._put(mask, hull) for mask in candidates]
        overlaps = [np.logical_and(each, hull).sum() / np.logical_or(each, hull).sum() for each in put]
        best = int(np.argmax(overlaps))
        return Placed(run, put[best], hull, candidates[best], float(overlaps[best]))

    def _put(self, mask: Mask, hull: np.ndarray) -> np.ndarray:
        """Move a mask to its place, bool (S, S)."""
        size = len(hull)
        if not self.labels.is_thing(mask.label):
            return _paste(mask.bits, mask.top, mask.left, size)
        ((rows, columns),) = ndimage.find_objects(hull.astype(np.uint8))
        height, width = rows.stop - rows.start, columns.stop - columns.start
        bits = mask.bits
        if self.scale == "fitted":
            bits = _enlarged(bits, (height * width / bits.size) ** 0.5)
        top = (rows.start + rows.stop - bits.shape[0]) // 2
        left = (columns.start + columns.stop - bits.shape[1]) // 2
        return _paste(bits, top, left, size)

    def _paint(self, runs: Sequence[Run], placed: Sequence[Placed], bank: MaskBank, ranked: np.ndarray) -> Canvas:
        size = bank.size
        labels, instances = np.full((2, size, size), VOID, np.uint8), np.zeros((2, size, size), np.uint8)
        for number, each in enumerate(placed, start=1):
            label = self.labels.value(each.run.label)
            plane = int(self.labels.is_thing(label))
            segment = number if number <= MOST_SEGMENTS else NO_SEGMENT
            labels[plane][each.mask], instances[plane][each.mask] = label, segment
        front = labels[1] != VOID
        behind = Layout(labels[0], instances[0])
        filled, filler = fill(behind, ~front, self._words_of_stuff(runs), bank.layout(int(ranked[0])).labels)
        whole = Layout(np.where(front, labels[1], filled.labels), np.where(front, instances[1], filled.instances))
        return Canvas(whole, tuple(placed), {name: float((filler == at).mean()) for at, name in enumerate(SHARES)})

    def _words_of_stuff(self, runs: Sequence[Run]) -> dict[int, int]:
        """Number of words about each stuff, by its value."""
        words: dict[int, int] = {}
        for run in runs:
            value = self.labels.value(run.label)
            if not self.labels.is_thing(value):
                words[value] = words.get(value, 0) + run.end - run.start
        return words


def fill(behind: Layout, seen: np.ndarray, stuff: dict[int, int], best: np.ndarray) -> tuple[Layout, np.ndarray]:
    """Fill the visible background with labels, by the rules of :class:`Composer`.

    Args:
        behind: uint8 (S, S), labels of the background where masks are, 255 elsewhere.
        seen: bool (S, S), False behind things.
        stuff: number of words of the narrative about each stuff, by its value.
        best: uint8 (S, S), labels of the best retrieved image.

    Returns:
        The background, and the source of each pixel's label, uint8 (S, S) indices into :data:`SHARES`.
    """
    labels, instances = behind.labels.copy(), behind.instances.copy()
    filler = np.zeros(labels.shape, np.uint8)
    segments = np.zeros(VOID + 1, np.uint8)
    segments[labels] = instances  # for each label of a mask, one of its segments
    empty = (labels == VOID) & seen
    fits = empty & np.isin(best, list(stuff))
    labels[fits], instances[fits] = best[fits], segments[best[fits]]
    filler[fits] = SHARES.index("retrieved")
    empty &= ~fits
    if (labels != VOID).any():
        places: Any = ndimage.distance_transform_edt(labels == VOID, return_distances=False, return_indices=True)
        near = places[0][empty], places[1][empty]
        labels[empty], instances[empty], filler[empty] = labels[near], instances[near], SHARES.index("nearest")
    elif stuff:
        labels[empty], filler[empty] = max(stuff, key=lambda value: stuff[value]), SHARES.index("frequent")
    else:
        filler[empty] = SHARES.index("void")
    return Layout(labels, instances), filler


def _enlarged(bits: np.ndarray, factor: float) -> np.ndarray:
    """Scale a mask by nearest neighbours, to at least one pixel in height and width."""
    places = [
        ((np.arange(max(1, round(side * factor))) + 0.5) * side / max(1, round(side * factor))).astype(int)
        for side in bits.shape
    ]
    return bits[np.ix_(*places)]


def _paste(bits: np.ndarray, top: int, left: int, size: int) -> np.ndarray:
    """Place ``bits`` in a mask, bool (S, S), clipped at its borders."""
    whole = np.zeros((size, size), bool)
    rows = slice(max(top, 0), min(top + bits.shape[0], size))
    columns = slice(max(left, 0), min(left + bits.shape[1], size))
    whole[rows, columns] = bits[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return whole
