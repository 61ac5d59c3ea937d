"""What a reader of a raw data set gives."""

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
        layout: where its label and instance maps are, or None.
        narratives: packed (:func:`t2igan.data.packing.pack_narrative`).
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
    """A raw data set on disk.

    Attributes:
        name: the data set's name in the store.
        split_scheme: how train and test are told apart, e.g. ``"zero-shot"``.
        crop_by_box: whether images are cut to the surroundings of their box.
        vocabulary: the vocabulary that the data set brings (``tokens`` refer to it), or None.
        class_names: the name of each class number.
        notes: once scanned, one line for each thing that is odd, but kept.
    """

    name: str
    split_scheme: str
    crop_by_box: bool
    vocabulary: Vocabulary | None
    class_names: dict[int, str]
    notes: Sequence[str]

    def scan(self) -> tuple[list[RawImage], list[str]]:
        """Every usable image in reading order (train, then test), and one line per missing or bad file.

        Raises:
            UserError: the files that describe the data set are missing, so that nothing can be listed.
        """
        ...


class Listing:
    """A source that was scanned, so that no later reader has to scan it again.

    Args:
        source: the raw data set.

    Attributes:
        images: what :meth:`Source.scan` gave.
        problems: the same.

    Raises:
        UserError: see :meth:`Source.scan`.
    """

    def __init__(self, source: Source) -> None:
        self.images, self.problems = source.scan()
        self.name, self.split_scheme, self.crop_by_box = source.name, source.split_scheme, source.crop_by_box
        self.vocabulary, self.class_names = source.vocabulary, source.class_names
        self.notes = source.notes

    def scan(self) -> tuple[list[RawImage], list[str]]:
        """See :meth:`Source.scan`; the lists are new ones at every call."""
        return list(self.images), list(self.problems)


@dataclass
class Findings:
    """What is wrong with a raw data set, gathered so that it can be said all at once.

    Attributes:
        faults: faults of the files that describe the data set; what they mean cannot be known.
        problems: problems of single images and captions, which can be left out.
        notes: what is odd, but kept.
    """

    faults: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def stop_at_faults(self) -> None:
        """Say everything that was found, if any of it is a fault.

        Raises:
            UserError: there is a fault.
        """
        if self.faults:
            raise UserError(several(self.faults + self.problems))


def several(lines: Sequence[str], remedy: str = "") -> str:
    """One error of many lines: the only one as it is, more of them counted and indented."""
    if len(lines) == 1:
        return f"{lines[0]}; {remedy}" if remedy else lines[0]
    return "\n  ".join([f"{len(lines)} faults, nothing was written{'; ' + remedy if remedy else ''}:", *lines])


def first_of(items: Sequence[Any], most: int = 5) -> str:
    """The first of many things and how many more there are: ``"139, 285, 632, 724, 776 and 12 more"``."""
    more = f" and {len(items) - most:,} more" if len(items) > most else ""
    return ", ".join(str(item) for item in items[:most]) + more


def is_name(key: str) -> bool:
    """Whether a file below a folder can be called so: not empty, not outside, and text that UTF-8 can hold."""
    parts = key.replace("\\", "/").split("/")
    return "\0" not in key and all(part not in ("", ".", "..") for part in parts) and _is_text(key)


def _is_text(key: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in key)


def has_word(caption: str) -> bool:
    """Whether the tokeniser finds a word in a caption; much faster than to tokenise it."""
    return _WORD_LETTER.search(caption.lower()) is not None
