"""Layouts, segment texts and narratives of a split's images, read from a store."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

from t2igan.data.checksums import LAYOUTS, NARRATIVES, Content
from t2igan.data.packing import unpack_maps, unpack_narrative
from t2igan.data.records import AGAIN, Records
from t2igan.errors import UserError
from t2igan.layout.layout import Layout
from t2igan.layout.narratives import Narrative


class Annotations:
    """Layouts, segment texts and narratives of a split, read on demand.

    Args:
        path: path of the store.
        part: HDF5 data sets of the split (:mod:`t2igan.data.store`), by name.
        starts: byte offset of ``layouts`` and of ``narratives`` in the file.
        key: returns the key of an image, for error messages.

    Attributes:
        layouts: records of packed layouts, one for each image, empty for images without one; None if the store has
            none.
        narratives: records of packed narratives; None if the store has none.
    """

    def __init__(self, path: Path, part: Content, starts: dict[str, int | None], key: Callable[[int], str]) -> None:
        self._path, self._key, self._images = path, key, len(part["class_ids"])
        self.layouts: Records | None = None
        self.narratives: Records | None = None
        if LAYOUTS in starts:
            offsets, checksums = part["layout_offsets"], part["layout_xxh3"]
            self.layouts = Records(path, starts[LAYOUTS], offsets, checksums, lambda n: f"the layout of {key(n)}")
            self._segments = part["segment_offsets"]
            self._texts, self._text_offsets = part["segment_texts"], part["segment_text_offsets"]
        if NARRATIVES in starts:
            offsets, checksums = part["narrative_byte_offsets"], part["narrative_xxh3"]
            self.narratives = Records(path, starts[NARRATIVES], offsets, checksums, lambda n: f"narrative {n}")
            self._of_images = part["narrative_offsets"]
            self._tokens, self._token_offsets = part["narrative_tokens"], part["narrative_token_offsets"]

    def holding(self, what: str) -> np.ndarray:
        """Which images have a layout, segments or narratives, bool (N,).

        Args:
            what: ``"layouts"``, ``"segments"`` or ``"narratives"``; any other value gives False for every image.
        """
        if what == "layouts" and self.layouts:
            return self.layouts.sizes > 0
        if what == "segments" and self.layouts:
            return np.diff(self._segments) > 0
        if what == "narratives" and self.narratives:
            return np.diff(self._of_images) > 0
        return np.zeros(self._images, bool)

    def layout(self, image: int, shape: tuple[int, int]) -> Layout:
        """Read the layout of an image, whose maps have this (height, width).

        Raises:
            UserError: the image has none, or the file is damaged.
        """
        if self.layouts is None or not self.layouts.size(image):
            raise UserError(f"{self._path}: no layout of {self._key(image)}; {AGAIN} with its label maps")
        try:
            return Layout(*unpack_maps(self.layouts.read(image), *shape))
        except ValueError as error:
            problem = f"the layout of {self._key(image)} is none ({error})"
            raise UserError(f"{self._path}: damaged, {problem}; {AGAIN}") from error

    def segment_texts(self, image: int) -> tuple[str, ...]:
        """Free-text descriptions of an image's segments; the first is that of segment 1."""
        if self.layouts is None:
            return ()
        first, last = int(self._segments[image]), int(self._segments[image + 1])
        edges = self._text_offsets[first : last + 1].tolist()
        return tuple(self._texts[a:b].tobytes().decode() for a, b in pairwise(edges))

    def narratives_of(self, image: int) -> range:
        """Indices of an image's narratives within the split."""
        if self.narratives is None:
            return range(0)
        return range(int(self._of_images[image]), int(self._of_images[image + 1]))

    def narrative(self, number: int) -> Narrative:
        """Read a narrative by its index within the split.

        Raises:
            UserError: the index does not exist, or the file is damaged.
        """
        if self.narratives is None:
            raise UserError(f"{self._path}: no narratives; {AGAIN} with them")
        try:
            return unpack_narrative(self.narratives.read(number))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self._path}: damaged, narrative {number} is invalid ({error}); {AGAIN}") from error

    def narrative_tokens(self, number: int) -> np.ndarray:
        """Word ids of a narrative's caption, int64 (words,)."""
        return self._tokens[self._token_offsets[number] : self._token_offsets[number + 1]].astype(np.int64)

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        for records in (self.layouts, self.narratives):
            if records is not None:
                records.close()
