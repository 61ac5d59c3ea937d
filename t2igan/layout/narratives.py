"""Narratives: an image told in many words, each word with the label of what it is about.

Reads the released labels of TReCS (Koh et al., WACV 2021): ``<name>.ids.txt``, ``<name>.words.txt`` and, where
there are any, ``<name>.cleaned_tags.txt``, line by line of one narrative.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from t2igan.errors import UserError
from t2igan.layout.labels import COCO_STUFF, LabelSet

LISTED = 10
"""So many faults of a file are listed, and the others counted."""


@dataclass(frozen=True)
class Narrative:
    """One narrative.

    Attributes:
        image_id: the data set's name of the image.
        annotator_id: who told it.
        words: lower-case words.
        tags: the label of each word, or None.
    """

    image_id: str
    annotator_id: str
    words: tuple[str, ...]
    tags: tuple[str, ...] | None = None

    @property
    def key(self) -> str:
        """``<image id>_<annotator id>``, the name of its image in the released results."""
        return f"{self.image_id}_{self.annotator_id}"


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
            "lines: line by line they are of one narrative; download them again"
        )
    narratives, faults, seen = [], [], set()
    for number, (key, said, tag) in enumerate(zip(ids, words, tags), start=1):
        image_id, separator, annotator_id = key.rpartition("_")
        narrative = Narrative(
            image_id, annotator_id, tuple(said.split()), None if tag is None else tuple(tag.split())
        )
        fault = _fault(narrative, bool(separator) and key not in seen, labels)
        faults += [f"line {number}: {fault}"] if fault else []
        seen.add(key)
        narratives.append(narrative)
    if faults:
        more = f"; and {len(faults) - LISTED} more" if len(faults) > LISTED else ""
        raise UserError(f"{prefix}: {'; '.join(faults[:LISTED])}{more}")
    return narratives


def _lines(prefix: Path, kind: str) -> list[str]:
    path = Path(f"{prefix}.{kind}.txt")
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}): download it again") from error
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}; sequence_labels/ of github.com/google-research/trecs_image_generation"
        ) from error


def _fault(narrative: Narrative, own_id: bool, labels: LabelSet) -> str:
    """What is wrong with a narrative, or an empty string."""
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
