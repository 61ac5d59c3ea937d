"""Statistics of a store's layouts and narratives, shown on its card."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from t2igan.data.selection import ImageSplit
from t2igan.layout.labels import COCO_STUFF, VOID

_MOST_LOOKED_AT = 2000
_MOST_NAMED = 8

Spread = tuple[int, float, int]
"""Least, mean and most."""


@dataclass(frozen=True)
class LayoutCard:
    """Statistics of the layouts of a split.

    Attributes:
        images: number of images with a layout.
        segments: number of segments in all layouts.
        segments_per_image: minimum, mean and maximum.
        looked_at: layouts whose pixels were counted, spread evenly over all.
        void: share of their pixels without a label.
        classes: share of their labelled pixels by class, the largest first.
    """

    images: int
    segments: int
    segments_per_image: Spread
    looked_at: int
    void: float
    classes: dict[str, float]


@dataclass(frozen=True)
class NarrativeCard:
    """Statistics of the narratives of a split.

    Attributes:
        narratives: number of narratives.
        images: number of images with a narrative.
        looked_at: narratives that were read, spread evenly over all.
        words: minimum, mean and maximum number of words of a narrative.
        timed: share of the narratives whose words have times.
        traced: share of the narratives with a trace.
        points: minimum, mean and maximum number of points of a trace.
        annotators: number of different annotators.
    """

    narratives: int
    images: int
    looked_at: int
    words: Spread
    timed: float
    traced: float
    points: Spread
    annotators: int


def spread_evenly(items: int, count: int) -> list[int]:
    """At most ``count`` evenly spaced indices below ``items``."""
    return np.linspace(0, items - 1, min(count, items)).round().astype(int).tolist()


def spread(counts: np.ndarray) -> Spread:
    """Minimum, mean and maximum of the values; zeros if there are none."""
    return (int(counts.min()), float(counts.mean()), int(counts.max())) if len(counts) else (0, 0.0, 0)


def describe_layouts(split: ImageSplit) -> LayoutCard | None:
    """Compute the statistics of a split's layouts; None if it has none."""
    held = np.flatnonzero(split.holding("layouts"))
    if not len(held):
        return None
    segments = np.array([len(split.segment_texts(int(image))) for image in held])
    looked_at = spread_evenly(len(held), _MOST_LOOKED_AT)
    pixels = np.zeros(256, np.int64)
    for place in looked_at:
        pixels += np.bincount(split.layout(int(held[place])).labels.reshape(-1), minlength=256)
    labelled = max(1, int(pixels[:VOID].sum()))
    order = [value for value in np.argsort(-pixels[:VOID], kind="stable").tolist() if pixels[value]]
    return LayoutCard(
        images=len(held),
        segments=int(segments.sum()),
        segments_per_image=spread(segments),
        looked_at=len(looked_at),
        void=float(pixels[VOID] / pixels.sum()),
        classes={COCO_STUFF.names[value]: float(pixels[value] / labelled) for value in order},
    )


def describe_narratives(split: ImageSplit) -> NarrativeCard | None:
    """Compute the statistics of a split's narratives; None if it has none."""
    per_image = np.array([len(split.narratives_of(image)) for image in range(len(split))])
    count = int(per_image.sum())
    if not count:
        return None
    narratives = [split.narrative(number) for number in spread_evenly(count, _MOST_LOOKED_AT)]
    points = np.array([sum(map(len, each.traces)) for each in narratives if each.traces is not None])
    return NarrativeCard(
        narratives=count,
        images=int((per_image > 0).sum()),
        looked_at=len(narratives),
        words=spread(np.array([len(each.words) for each in narratives])),
        timed=float(np.mean([each.spans is not None for each in narratives])),
        traced=len(points) / len(narratives),
        points=spread(points),
        annotators=len(Counter(each.annotator_id for each in narratives)),
    )


def annotation_lines(
    name: str, images: int, layouts: LayoutCard | None, narratives: NarrativeCard | None
) -> list[str]:
    """One line for each of both cards, without lines for missing annotations.

    Args:
        name: name of the split.
        images: images of the split.
        layouts: layouts of the split.
        narratives: narratives of the split.
    """
    lines = []
    if layouts:
        least, mean, most = layouts.segments_per_image
        named = ", ".join(f"{each} {share:.0%}" for each, share in [*layouts.classes.items()][:_MOST_NAMED])
        lines.append(
            f"{name}: {layouts.images:,} of {images:,} images with a layout, {mean:.1f} segments each ({least} to "
            f"{most}), {len(layouts.classes)} classes ({named}), {layouts.void:.1%} of the pixels void"
        )
    if narratives:
        low, words, high = narratives.words
        lines.append(
            f"{name}: {narratives.narratives:,} narratives of {narratives.images:,} of {images:,} images by "
            f"{narratives.annotators} annotators, {words:.1f} words each ({low} to {high}), {narratives.timed:.0%} "
            f"timed, {narratives.traced:.0%} with a trace ({narratives.points[1]:.0f} points on average)"
        )
    return lines
