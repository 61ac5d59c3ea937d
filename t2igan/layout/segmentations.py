"""COCO's segmentation formats: polygons and RLE of instances, pixel maps of COCO-Stuff, panoptic maps.

Does not import torch, so that worker processes start quickly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from t2igan.image_files import decoding
from t2igan.layout.labels import COCO_STUFF, NO_SEGMENT, VOID, LabelSet

_SUFFIXES = ("-merged", "-other", "-stuff")


class BadSegmentationError(ValueError):
    """A segmentation is invalid; the message gives the reason."""


@dataclass(frozen=True)
class Segment:
    """An annotated region of an image.

    Attributes:
        label: pixel value of its class.
        text: free-text description.
        crowd: whether it is a crowd region, which has a label but is no segment.
        rle: its pixels in COCO's compressed run lengths; None where a panoptic map has them.
        panoptic_id: number of its pixels in a panoptic map, or None.
    """

    label: int
    text: str
    crowd: bool = False
    rle: bytes | None = None
    panoptic_id: int | None = None


def label_of(category: str, labels: LabelSet = COCO_STUFF) -> int | None:
    """The pixel value of a category of COCO instances, COCO-Stuff or COCO panoptic; None where there is none."""
    name = category.strip().lower().replace(" ", "-").removesuffix("-merged")
    return next((labels.value(each) for each in (name, f"{name}-other") if each in labels), None)


def text_of(category: str) -> str:
    """Free text of a category, as in SpaText: "a dining table", "a tree" for ``tree-merged``."""
    name = category.strip().lower().replace(" ", "-")
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return f"a {name.replace('-', ' ')}"


def encode_segmentation(segmentation: Any, height: int, width: int) -> bytes:
    """Convert polygons or run lengths of an annotation to compressed run lengths.

    Args:
        segmentation: a list of polygons ``[x0, y0, x1, y1, ...]``, or ``{"size": [h, w], "counts": list or str}``.
        height: height of the image.
        width: width of the image.

    Raises:
        BadSegmentationError: it is neither, or does not fit the image.
    """
    if isinstance(segmentation, list) and segmentation:
        polygons: Any = [_polygon(each, height, width) for each in segmentation]
        merged: Any = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
        return merged["counts"]
    if not isinstance(segmentation, dict):
        raise BadSegmentationError("segmentation: neither polygons nor run lengths")
    if segmentation.get("size") != [height, width]:
        raise BadSegmentationError(f"segmentation: size {segmentation.get('size')!r:.40}, not {[height, width]}")
    counts = segmentation.get("counts")
    runs: Any = _run_lengths(counts) if isinstance(counts, str) else counts
    whole = isinstance(runs, list) and all(type(run) is int and run >= 0 for run in runs)
    # The library reads out of bounds if the runs do not add up.
    if not whole or sum(runs) != height * width:
        raise BadSegmentationError(f"segmentation: its run lengths do not add up to {height}x{width} pixels")
    given: Any = {"size": [height, width], "counts": runs}
    return coco_mask.frPyObjects(given, height, width)["counts"]


def _polygon(points: Any, height: int, width: int) -> list[float]:
    numbers = isinstance(points, list) and all(type(each) in (int, float) for each in points)
    if not numbers or len(points) < 6 or len(points) % 2:
        raise BadSegmentationError("segmentation: a polygon that is not a list of x, y of three points or more")
    # NaN too; the library allocates memory proportional to the length of the outline.
    for values, side in ((points[::2], width), (points[1::2], height)):
        if not all(-side <= each <= 2 * side for each in values):
            raise BadSegmentationError(f"segmentation: a polygon that leaves the image of {width}x{height}")
    return points


def _run_lengths(text: str) -> list[int]:
    """Decode COCO's string format: five bits a character, lowest first; differences from the third count on."""
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 30:
            return []
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            value -= (bits & 0x10) << (shift - 4)
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return [] if shift else runs


def decode_segmentation(rle: bytes, height: int, width: int) -> np.ndarray:
    """Decode run lengths of :func:`encode_segmentation` to a mask, bool (height, width)."""
    return coco_mask.decode({"size": [height, width], "counts": rle}).astype(bool)


def segmentation_area(rle: bytes, height: int, width: int) -> int:
    """Number of pixels in run lengths of :func:`encode_segmentation`."""
    return int(coco_mask.area({"size": [height, width], "counts": rle}))


def read_stuff_map(path: Path, labels: LabelSet = COCO_STUFF) -> np.ndarray:
    """Read a pixel map of COCO-Stuff, uint8 (H, W): value v is label id v + 1, 255 is none.

    Raises:
        BadSegmentationError: the file cannot be decoded, is no 8-bit map, or has unknown values.
    """
    values = _pixels(path, ("L", "P"), "a map of bytes")
    strange = np.setdiff1d(np.unique(values), [*range(len(labels)), VOID])
    if strange.size:
        raise BadSegmentationError(
            f"{path}: value {strange[0]} is not a label (0 to {len(labels) - 1}, 255 for none)"
        )
    return values


def read_panoptic_map(path: Path) -> np.ndarray:
    """Read the segment ids of a panoptic PNG, int32 (H, W): R + 256 G + 65536 B; 0 is none.

    Raises:
        BadSegmentationError: the file cannot be decoded, or is no RGB image.
    """
    red, green, blue = np.moveaxis(_pixels(path, ("RGB",), "an RGB image").astype(np.int32), 2, 0)
    return red + 256 * green + 65536 * blue


def _pixels(path: Path, modes: Sequence[str], what: str) -> np.ndarray:
    with decoding(path, BadSegmentationError), Image.open(path) as image:
        if image.mode in modes:
            return np.asarray(image)
        mode = image.mode
    raise BadSegmentationError(f"{path}: its mode is {mode}, not {what}")


def paint(
    segments: Sequence[Segment],
    height: int,
    width: int,
    stuff: np.ndarray | None = None,
    panoptic: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Paint the label and instance maps of an image.

    Where segments overlap, the smaller one is visible. Labels come from the pixel map if there is one, otherwise
    from the segments.

    Args:
        segments: annotated segments; those that are no crowd are numbered from 1 in this order.
        height: height of the image.
        width: width of the image.
        stuff: uint8 (height, width), label values.
        panoptic: (height, width), ids of segments that have no run lengths.

    Returns:
        uint8 (height, width) each: labels with 255 for none, instances with 0 for none.
    """
    labels = np.full((height, width), VOID, np.uint8)
    instances = np.full((height, width), NO_SEGMENT, np.uint8)
    masks = [
        panoptic == each.panoptic_id if each.rle is None else decode_segmentation(each.rle, height, width)
        for each in segments
    ]
    numbers = np.cumsum([not each.crowd for each in segments])
    for place in sorted(range(len(segments)), key=lambda place: -int(masks[place].sum())):
        labels[masks[place]] = segments[place].label
        if not segments[place].crowd:
            instances[masks[place]] = numbers[place]
    return (labels if stuff is None else stuff), instances
