"""Layouts, texts of segments and narratives of a split's images, as a store holds them."""

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
    """What is known of the images of a split beside their captions. Read on demand.

    Args:
        path: path of the store.
        part: the data sets of the split (:mod:`t2igan.data.store`).
        starts: where each of ``layouts`` and ``narratives`` begins in the file.
        key: gives the name of an image.

    Attributes:
        layouts: records of packed layouts, one an image, empty where it has none; None where the store has none.
        narratives: records of packed narratives; None where the store has none.
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
            what: ``"layouts"``, ``"segments"`` or ``"narratives"``; of anything else no image has any.
        """
        if what == "layouts" and self.layouts:
            return self.layouts.sizes > 0
        if what == "segments" and self.layouts:
            return np.diff(self._segments) > 0
        if what == "narratives" and self.narratives:
            return np.diff(self._of_images) > 0
        return np.zeros(self._images, bool)

    def layout(self, image: int, shape: tuple[int, int]) -> Layout:
        """The layout of an image of this (height, width).

        Raises:
            UserError: it has none, or the file is damaged.
        """
        if self.layouts is None or not self.layouts.size(image):
            raise UserError(f"{self._path}: no layout of {self._key(image)}; {AGAIN} with its label maps")
        try:
            return Layout(*unpack_maps(self.layouts.read(image), *shape))
        except ValueError as error:
            problem = f"the layout of {self._key(image)} is none ({error})"
            raise UserError(f"{self._path}: damaged, {problem}; {AGAIN}") from error

    def segment_texts(self, image: int) -> tuple[str, ...]:
        """What each segment of an image is, in free words; the first is of segment 1."""
        if self.layouts is None:
            return ()
        first, last = int(self._segments[image]), int(self._segments[image + 1])
        edges = self._text_offsets[first : last + 1].tolist()
        return tuple(self._texts[a:b].tobytes().decode() for a, b in pairwise(edges))

    def narratives_of(self, image: int) -> range:
        """The numbers of an image's narratives."""
        if self.narratives is None:
            return range(0)
        return range(int(self._of_images[image]), int(self._of_images[image + 1]))

    def narrative(self, number: int) -> Narrative:
        """A narrative.

        Raises:
            UserError: there is none of this number, or the file is damaged.
        """
        if self.narratives is None:
            raise UserError(f"{self._path}: no narratives; {AGAIN} with them")
        try:
            return unpack_narrative(self.narratives.read(number))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self._path}: damaged, narrative {number} is none ({error}); {AGAIN}") from error

    def narrative_tokens(self, number: int) -> np.ndarray:
        """int64 (words,): word ids of a narrative's caption."""
        return self._tokens[self._token_offsets[number] : self._token_offsets[number + 1]].astype(np.int64)

    def close(self) -> None:
        """Let go of the file; the next read opens it again."""
        for records in (self.layouts, self.narratives):
            if records is not None:
                records.close()
