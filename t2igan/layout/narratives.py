"""Narratives: long descriptions of an image, with a label for each word.

Reads the released labels of TReCS (Koh et al., WACV 2021): ``<name>.ids.txt``, ``<name>.words.txt`` and, where
there are any, ``<name>.cleaned_tags.txt``, line by line of one narrative.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from t2igan.errors import UserError
from t2igan.layout.labels import COCO_STUFF, LabelSet
from t2igan.layout.line_faults import LineFaults


class Span(NamedTuple):
    """Words that were spoken together.

    Attributes:
        start: index of the first word.
        end: index after the last word.
        t0: start time in seconds from the start of the recording.
        t1: end time in seconds, at least ``t0``.
    """

    start: int
    end: int
    t0: float
    t1: float


@dataclass(frozen=True, eq=False)
class Narrative:
    """A narrative of one image by one annotator.

    Attributes:
        image_id: the data set's name of the image.
        annotator_id: who told the narrative.
        words: the words in lower case.
        tags: the label of each word, or None.
        spans: consecutive time spans that cover all words; None without times.
        traces: float32 (N, 3) each, x, y, t of a stroke of the pointer: x and y in image widths and heights from
            the upper left corner (a band round the image was recorded, so they may leave 0..1), t in seconds on
            the clock of the spans; None where nothing was traced.
        caption: the narrative as written, with capitals and punctuation.
    """

    image_id: str
    annotator_id: str
    words: tuple[str, ...]
    tags: tuple[str, ...] | None = None
    spans: tuple[Span, ...] | None = None
    traces: tuple[np.ndarray, ...] | None = None
    caption: str = ""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Narrative):
            return NotImplemented
        return self._plain() == other._plain()

    def __hash__(self) -> int:
        return hash(self._plain())

    def _plain(self) -> tuple:
        strokes = None if self.traces is None else tuple(stroke.tobytes() for stroke in self.traces)
        return (self.key, self.words, self.tags, self.spans, strokes, self.caption)

    @property
    def key(self) -> str:
        """``<image id>_<annotator id>``, the name of its image in the released results."""
        return f"{self.image_id}_{self.annotator_id}"

    def in_window(self, left: float, top: float, width: float, height: float, mirrored: bool) -> "Narrative":
        """The narrative for a window of the image, with traces in widths and heights of the window.

        The words are not changed, even if they mention left or right.

        Args:
            left: left edge of the window, in image widths.
            top: top edge of the window, in image heights.
            width: width of the window, in image widths.
            height: height of the window, in image heights.
            mirrored: whether the window is then flipped left to right.
        """
        if self.traces is None:
            return self
        scale = np.array([(-1 if mirrored else 1) / width, 1 / height, 1], np.float32)
        shift = np.array([(1 if mirrored else 0) - left * scale[0], -top * scale[1], 0], np.float32)
        return replace(self, traces=tuple(stroke * scale + shift for stroke in self.traces))


def read_tagged(prefix: str | Path, labels: LabelSet = COCO_STUFF) -> list[Narrative]:
    """Read ``<prefix>.ids.txt``, ``.words.txt`` and ``.cleaned_tags.txt``; without the last there are no tags.

    Raises:
        UserError: a file is missing or not UTF-8, or lines do not belong together; each is named by file and line.
    """
    prefix = Path(prefix)
    ids, words = (_lines(prefix, kind) for kind in ("ids", "words"))
    tagged = Path(f"{prefix}.cleaned_tags.txt").is_file()
    tags = _lines(prefix, "cleaned_tags") if tagged else [None] * len(words)
    if not len(ids) == len(words) == len(tags):
        raise UserError(
            f"{prefix}: ids.txt, words.txt and cleaned_tags.txt have {len(ids)}, {len(words)} and {len(tags)} "
            "lines: but need one line per narrative each; download them again"
        )
    narratives, faults, seen = [], LineFaults(prefix), set()
    for number, (key, said, tag) in enumerate(zip(ids, words, tags), start=1):
        image_id, separator, annotator_id = key.rpartition("_")
        narrative = Narrative(
            image_id, annotator_id, tuple(said.split()), None if tag is None else tuple(tag.split()), caption=said
        )
        if fault := _fault(narrative, bool(separator) and key not in seen, labels):
            faults.add(number, fault)
        seen.add(key)
        narratives.append(narrative)
    if faults:
        raise UserError(str(faults))
    return narratives


def _lines(prefix: Path, kind: str) -> list[str]:
    path = Path(f"{prefix}.{kind}.txt")
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}): download it again") from error
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}; `t2igan refine` writes such files, TReCS's own are sequence_labels/ of "
            "github.com/google-research/trecs_image_generation"
        ) from error


def _fault(narrative: Narrative, own_id: bool, labels: LabelSet) -> str:
    """The fault of a narrative, or an empty string."""
    if not own_id or not narrative.image_id or not narrative.annotator_id:
        return "ids.txt: not <image id>_<annotator id>, or not the first of that name"
    if not narrative.words:
        return "words.txt: no words"
    if narrative.tags is None:
        return ""
    if len(narrative.tags) != len(narrative.words):
        return f"{len(narrative.words)} words and {len(narrative.tags)} tags"
    unknown = sorted(set(narrative.tags) - set(labels.names))
    return f"cleaned_tags.txt: no label {', '.join(unknown)}" if unknown else ""


def split_by_image(narratives: Sequence[Narrative]) -> dict[str, list[Narrative]]:
    """``train`` (80 %), ``val`` and ``test`` (10 % each), without an image in two of them.

    Two narratives of one image share most of their labels, so a split by lines would measure memory. The tenth that
    an image belongs to is sha1(image id) modulo 10: 0 to 7 train, 8 val, 9 test.
    """
    parts: dict[str, list[Narrative]] = {"train": [], "val": [], "test": []}
    for narrative in narratives:
        tenth = int(hashlib.sha1(narrative.image_id.encode()).hexdigest(), 16) % 10
        parts["train" if tenth < 8 else "val" if tenth == 8 else "test"].append(narrative)
    return parts
