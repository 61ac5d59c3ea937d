"""Layouts and segments that a protocol gives to generators in addition to captions.

If a protocol limits the number of segments, only that many of each image are given. Their choice depends on the
caption, like the noise, and is the same for every model, for real images and for all metrics.
"""

from dataclasses import dataclass

import numpy as np
import torch

from t2igan.data.datasets import EvaluationItems
from t2igan.data.selection import ImageSplit, Numbers
from t2igan.data.sources.scenes.world import unseen_pair
from t2igan.evaluation.protocol import Protocol
from t2igan.layout.layout import MOST_SEGMENTS, Layouts
from t2igan.layout.segments import Segments, choose_segments, roughened

UNSEEN = {"scenes": unseen_pair}
"""Name of a data set -> whether a segment's text is of a kind that no training image shows; None where that is no
question: seen kinds are to be as hard as unseen ones, and a sky is easier than a bird."""


@dataclass(frozen=True)
class Told:
    """Layouts and segments given to a generator with some captions.

    Attributes:
        layouts: complete layouts at the protocol's size.
        exact: the chosen segments with their exact masks.
        given: the chosen segments with masks roughened as the protocol asks.
    """

    layouts: Layouts
    exact: Segments
    given: Segments


def whole_layouts(split: ImageSplit, window: int, size: int, captions: Numbers) -> Layouts:
    """The layouts of the centre crops of some captions' images.

    Args:
        split: split of the captions.
        window: side of the crops.
        size: side to which they are resized.
        captions: caption ids.
    """
    layouts = EvaluationItems(split, window, carried=["layouts"])[captions].layouts
    assert layouts is not None  # the batch was requested with layouts
    return layouts.resized(size)


def told_of(split: ImageSplit, window: int, protocol: Protocol, captions: Numbers) -> Told:
    """Choose the segments that a protocol gives with some captions; arguments as in :func:`whole_layouts`."""
    layouts = whole_layouts(split, window, protocol.image_size, captions)
    uniform = [
        np.random.default_rng([protocol.segments_seed, int(caption)]).random(1 + MOST_SEGMENTS, np.float32)
        for caption in captions
    ]
    exact = choose_segments(
        layouts.instances,
        layouts.texts,
        torch.from_numpy(np.stack(uniform)),
        most=protocol.segments,
        smallest=protocol.segments_smallest,
    )
    return Told(layouts, exact, roughened(exact, protocol.segments_masks))


def layouts_to_draw(split: ImageSplit, window: int, protocol: Protocol, captions: Numbers) -> Layouts:
    """Layouts to give to a generator: complete ones, or those of the chosen segments only."""
    if not protocol.segments:
        return whole_layouts(split, window, protocol.image_size, captions)
    told = told_of(split, window, protocol, captions)
    return Layouts(told.layouts.labels, told.given.index.to(torch.uint8), told.given.texts)
