"""Render the label and instance maps of one raw image as the bytes that the store holds.

Does not import torch, so that worker processes start quickly.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from t2igan.data.packing import pack_maps
from t2igan.data.rendering import Rendered, stored_size, turns_of
from t2igan.image_files import UndecodableImageError, decoding
from t2igan.layout.segmentations import BadSegmentationError, Segment, paint, read_panoptic_map, read_stuff_map


@dataclass(frozen=True)
class RawLayout:
    """Sources of an image's layout.

    Attributes:
        segments: annotated segments, see :func:`t2igan.layout.segmentations.paint`.
        size: (width, height) that the segments' run lengths are of, or None where there are none.
        stuff: PNG of a pixel map of labels, or None.
        panoptic: PNG of a panoptic map of segment ids, or None.
    """

    segments: tuple[Segment, ...] = ()
    size: tuple[int, int] | None = None
    stuff: Path | None = None
    panoptic: Path | None = None

    @property
    def texts(self) -> list[str]:
        """Free-text descriptions of the numbered segments."""
        return [each.text for each in self.segments if not each.crowd]

    def stamp(self) -> list[Any]:
        """Identifies the source files and segments; after a change the layout is rendered again."""
        files = [path and [os.path.abspath(path), *_status(path)] for path in (self.stuff, self.panoptic)]
        return [*files, self.size and list(self.size), hashlib.sha256(repr(self.segments).encode()).hexdigest()]


def _status(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


@dataclass(frozen=True)
class LayoutJob:
    """Input of a worker for one layout. ``path`` is that of the image, whose orientation applies."""

    key: str
    path: Path
    layout: RawLayout
    short_side: int

    def render(self) -> Rendered:
        """Paint, turn, resize and pack the maps. Never raises for a bad file: the result holds the problem."""
        try:
            labels, instances = self._painted()
        except (BadSegmentationError, UndecodableImageError) as error:
            return Rendered(self.key, problem=str(error))
        payload = pack_maps(labels, instances)
        return Rendered(self.key, labels.shape, payload, hashlib.sha256(payload).hexdigest())

    def _painted(self) -> tuple[np.ndarray, np.ndarray]:
        raw = self.layout
        with decoding(self.path), Image.open(self.path) as image:
            (width, height), turns = image.size, turns_of(image)
        stuff = None if raw.stuff is None else read_stuff_map(raw.stuff)
        panoptic = None if raw.panoptic is None else read_panoptic_map(raw.panoptic)
        sizes = {
            str(raw.stuff): stuff is not None and stuff.shape[::-1],
            str(raw.panoptic): panoptic is not None and panoptic.shape[::-1],
            f"{self.path}: its instances": raw.size,
        }
        for name, size in sizes.items():
            if size and tuple(size) != (width, height):
                raise BadSegmentationError(f"{name}: {size[0]}x{size[1]}, its image {width}x{height} pixels")
        maps = []
        for values in paint(raw.segments, height, width, stuff, panoptic):
            image = Image.fromarray(values)
            for turn in turns:
                image = image.transpose(turn)
            size = stored_size(*image.size, self.short_side)
            maps.append(np.asarray(image.resize(size, Image.Resampling.NEAREST)))
        return maps[0], maps[1]
