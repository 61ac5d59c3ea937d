"""What a store's card says of layouts and narratives."""

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
    """The layouts of a split.

    Attributes:
        images: those with a layout.
        segments: segments of all of them.
        segments_per_image: least, mean and most.
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
    """The narratives of a split.

    Attributes:
        narratives: in all.
        images: those with a narrative.
        looked_at: narratives that were read, spread evenly over all.
        words: least, mean and most of a narrative.
        timed: share of the narratives whose words have times.
        traced: share of the narratives with a trace.
        points: least, mean and most of a trace.
        annotators: different ones.
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
    """At most ``count`` of the numbers below ``items``, evenly over them."""
    return np.linspace(0, items - 1, min(count, items)).round().astype(int).tolist()


def spread(counts: np.ndarray) -> Spread:
    """Least, mean and most; zeros of nothing."""
    return (int(counts.min()), float(counts.mean()), int(counts.max())) if len(counts) else (0, 0.0, 0)


def describe_layouts(split: ImageSplit) -> LayoutCard | None:
    """Count what the layouts of a split hold; None where there is none."""
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
    """Count what the narratives of a split hold; None where there is none."""
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
    """Both cards in a line each; none of what is not there.

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
