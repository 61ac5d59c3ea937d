"""Interface of the readers of raw data sets."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from t2igan.data.layout_rendering import RawLayout
from t2igan.data.rendering import Box
from t2igan.data.vocabulary import Vocabulary
from t2igan.errors import UserError

_WORD_LETTER = re.compile(r"\w", re.ASCII)


@dataclass(frozen=True)
class RawImage:
    """One image of a raw data set with its captions.

    Attributes:
        key: the data set's own name of the image, without extension.
        path: the image file.
        class_id: the data set's own class number.
        box: x, y, width, height in pixels, or None where the data set has none.
        captions: the captions that are used, as written, each with at least one word.
        split: ``"train"`` or ``"test"``.
        tokens: word ids of the captions where the data set brings its own vocabulary, else None.
        layout: sources of its label and instance maps, or None.
        narratives: narratives of the image, each packed by :func:`t2igan.data.packing.pack_narrative`.
    """

    key: str
    path: Path
    class_id: int
    box: Box | None
    captions: list[str]
    split: str
    tokens: list[list[int]] | None = None
    layout: RawLayout | None = None
    narratives: tuple[bytes, ...] = ()


class Source(Protocol):
    """Reader of a raw data set on disk.

    Attributes:
        name: the data set's name in the store.
        split_scheme: how train and test are told apart, e.g. ``"zero-shot"``.
        crop_by_box: whether images are cut to the surroundings of their box.
        vocabulary: the vocabulary that the data set brings (``tokens`` refer to it), or None.
        class_names: the name of each class number.
        notes: one line for each oddity that was kept; filled by :meth:`scan`.
    """

    name: str
    split_scheme: str
    crop_by_box: bool
    vocabulary: Vocabulary | None
    class_names: dict[int, str]
    notes: Sequence[str]

    def scan(self) -> tuple[list[RawImage], list[str]]:
        """All usable images in reading order (train, then test), and one line per missing or bad file.

        Raises:
            UserError: the files that describe the data set are missing, so that nothing can be listed.
        """
        ...


class Listing:
    """A source with the cached result of its scan.

    Args:
        source: the raw data set.

    Attributes:
        images: images found by :meth:`Source.scan`.
        problems: problems found by :meth:`Source.scan`.

    Raises:
        UserError: see :meth:`Source.scan`.
    """

    def __init__(self, source: Source) -> None:
        self.images, self.problems = source.scan()
        self.name, self.split_scheme, self.crop_by_box = source.name, source.split_scheme, source.crop_by_box
        self.vocabulary, self.class_names = source.vocabulary, source.class_names
        self.notes = source.notes

    def scan(self) -> tuple[list[RawImage], list[str]]:
        """Return copies of the cached lists, see :meth:`Source.scan`."""
        return list(self.images), list(self.problems)


@dataclass
class Findings:
    """Collects the problems of a raw data set, so that all of them can be reported at once.

    Attributes:
        faults: faults of the files that describe the data set, which make it unusable.
        problems: problems of single images and captions, which can be left out individually.
        notes: oddities that are kept.
    """

    faults: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def stop_at_faults(self) -> None:
        """Raise an error with everything that was found, if any of it is a fault.

        Raises:
            UserError: there is at least one fault.
        """
        if self.faults:
            raise UserError(several(self.faults + self.problems))


def several(lines: Sequence[str], remedy: str = "") -> str:
    """Combine lines into one error: a single line as it is, several counted and indented."""
    if len(lines) == 1:
        return f"{lines[0]}; {remedy}" if remedy else lines[0]
    return "\n  ".join([f"{len(lines)} faults, nothing was written{'; ' + remedy if remedy else ''}:", *lines])


def first_of(items: Sequence[Any], most: int = 5) -> str:
    """The first few items and the number of the others: ``"139, 285, 632, 724, 776 and 12 more"``."""
    more = f" and {len(items) - most:,} more" if len(items) > most else ""
    return ", ".join(str(item) for item in items[:most]) + more


def is_name(key: str) -> bool:
    """Whether a string is a valid path below a folder: not empty, not outside of it, and encodable as UTF-8."""
    parts = key.replace("\\", "/").split("/")
    return "\0" not in key and all(part not in ("", ".", "..") for part in parts) and _is_text(key)


def _is_text(key: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in key)


def has_word(caption: str) -> bool:
    """Whether the tokeniser would find a word in a caption; much faster than tokenising it."""
    return _WORD_LETTER.search(caption.lower()) is not None
