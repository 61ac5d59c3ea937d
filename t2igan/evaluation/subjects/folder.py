"""A folder of images generated elsewhere, as a subject."""

import hashlib
import os
import re
import string
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from t2igan.data.selection import Numbers
from t2igan.data.store import Store, StoreSplit
from t2igan.errors import UserError
from t2igan.evaluation.images.generate import NumberedImages, batches
from t2igan.evaluation.plan import ImagePlan, plan_for
from t2igan.evaluation.protocol import Protocol
from t2igan.evaluation.record import SubjectCard
from t2igan.evaluation.subjects.base import Subject
from t2igan.image_files import UndecodableImageError, decoding

SUFFIXES = {".png", ".jpg", ".jpeg"}
# Fields of a pattern, as regular expressions.
FIELDS = {
    "key": r".+?",
    "image_id": r".+",
    "caption": r"\d+",
    "annotation_id": r"\d+",
    "annotator_id": r"\d+",
    "sample": r"-?\d+",
}
# Without a pattern: `<key>`, then perhaps `_c<which of the image's captions>`, then perhaps `_s<stage or sample>`
# and `_<pass>`, as the released samplers name their files (DF-GAN's first: `<key>_  0`); or COCO's number of the
# image, perhaps with that of an annotation.
USUAL_NAMES = (
    re.compile(r"(?P<key>.+?)(?:_c(?P<caption>\d+))?(?:_s(?P<sample>-?\d+)(?:_(?P<turn>\d+))?)?"),
    re.compile(r"(?P<key>.+)_(?P<turn>[ \d]{2}\d)"),
    re.compile(r"(?P<image_id>\d+)(?:_(?P<annotation_id>\d+))?"),
)
COCO_KEY = re.compile(r"(?:COCO_[a-z]+\d{4}_)?(\d{12})")
UNKNOWN = -1
NAMED_AT_ONCE = 10


def image_number(key: str) -> int | None:
    """COCO's image id from the last part of a key; None for other keys."""
    found = COCO_KEY.fullmatch(key.rpartition("/")[2])
    return int(found[1]) if found else None


@dataclass(frozen=True)
class FolderContent:
    """Files of a folder, matched with the images of a split.

    Attributes:
        files: image files that belong to the split, sorted by name.
        images: index of each file's image in the split.
        captions: index of each file's caption (or narrative), ``UNKNOWN`` if the name does not tell.
        turns: sample and pass numbers of each file, if the name tells.
        expected: number of images in the split, or of narratives if the names identify those.
        missing: keys without a file.
        unexpected: files that belong to no key.
        annotated: whether a name has the id of an annotation that the store does not know.
        unit: plural noun for the expected items.
    """

    files: list[Path]
    images: list[int]
    captions: list[int]
    turns: list[tuple[int, ...]]
    expected: int
    missing: list[str]
    unexpected: list[Path]
    annotated: bool = False
    unit: str = "images"

    @property
    def coverage(self) -> float:
        """Share of the expected items that have a file."""
        return 1 - len(self.missing) / self.expected

    def summary(self) -> str:
        """Summary in one line."""
        found = self.expected - len(self.missing)
        return (
            f"{self.expected} {self.unit} expected, {found} found in {len(self.files)} files, "
            f"{len(self.missing)} missing, {len(self.unexpected)} unexpected"
        )


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A pattern such as ``{key}_s{sample}`` or ``{image_id}_{annotation_id}.png`` as a regular expression.

    Raises:
        UserError: a field is unknown or comes twice, braces do not pair, or nothing tells the image.
    """
    stem = pattern[: -len(Path(pattern).suffix)] if Path(pattern).suffix.lower() in SUFFIXES else pattern
    try:
        parts = [(text, name) for text, name, *_ in string.Formatter().parse(stem)]
    except ValueError as error:
        raise UserError(f"--pattern: {pattern!r}: {error}; write it like {{key}}_s{{sample}}") from error
    names = [name for _, name in parts if name is not None]
    wrong = [name for name in names if name not in FIELDS]
    if wrong or len(set(names)) < len(names):
        what = f"no field {wrong[0]!r}" if wrong else "a field comes twice"
        raise UserError(f"--pattern: {pattern!r}: {what}; its fields are {', '.join(FIELDS)}")
    if ("key" in names) == ("image_id" in names):
        raise UserError(f"--pattern: {pattern!r}: needs either {{key}} or {{image_id}}, to identify the image")
    groups = (re.escape(text) + (f"(?P<{name}>{FIELDS[name]})" if name else "") for text, name in parts)
    return re.compile("".join(groups))


class _Name(NamedTuple):
    """Content of a file name: image, caption, sample, pass, and whether it has an annotation id."""

    image: int
    caption: int
    turns: tuple[int, ...]
    annotated: bool


class _Names:
    """Finds the image and caption that a file's name stands for."""

    def __init__(self, split: StoreSplit, pattern: str | None) -> None:
        self._split = split
        self._usual = pattern is None
        self._patterns = USUAL_NAMES if pattern is None else (compile_pattern(pattern),)
        self._by_key = {key: image for image, key in enumerate(split.keys)}
        last_parts = [key.rpartition("/")[2] for key in split.keys]
        counts = Counter(last_parts)
        for image, name in enumerate(last_parts):
            if counts[name] == 1:
                self._by_key.setdefault(name, image)
        numbers = ((image, image_number(name)) for image, name in enumerate(last_parts))
        self._by_number = {number: image for image, number in numbers if number is not None}
        self.narrators: dict[tuple[int, str], int] = {}
        if split.narrated:
            told = ((image, number) for image in range(len(split)) for number in split.captions_of(image))
            self.narrators = {(image, split.narrative(number).annotator_id): number for image, number in told}

    def find(self, stem: str) -> _Name | None:
        """Parse a name; None if it belongs to no image."""
        for name in dict.fromkeys((stem, stem.rpartition("/")[2])):
            if self._usual and name in self._by_key:
                return _Name(self._by_key[name], UNKNOWN, (), False)
            for pattern in self._patterns:
                match = pattern.fullmatch(name)
                parts = match.groupdict() if match else {}
                image = self._image(parts)
                if image is not None:
                    return self._with_caption(image, parts)
        return None

    def _image(self, parts: dict[str, str | None]) -> int | None:
        key, number = parts.get("key"), parts.get("image_id")
        if key is not None:
            return self._by_key.get(key)
        if number is None:
            return None
        by_number = self._by_number.get(int(number)) if number.isdecimal() else None
        return self._by_key.get(number) if by_number is None else by_number

    def _with_caption(self, image: int, parts: dict[str, str | None]) -> _Name | None:
        annotated = any(parts.get(name) is not None for name in ("annotation_id", "annotator_id"))
        annotator = parts.get("annotator_id")
        if self.narrators and annotator is not None:
            narrative = self.narrators.get((image, annotator))
            return None if narrative is None else _Name(image, narrative, (), False)
        turns = tuple(int(value) for name in ("sample", "turn") if (value := parts.get(name)) is not None)
        caption = parts.get("caption")
        if caption is None:
            return _Name(image, UNKNOWN, turns, annotated)
        own, number = self._split.captions_of(image), int(caption)
        return _Name(image, own[number], turns, annotated) if number < len(own) else None


def scan_folder(folder: Path, split: StoreSplit, pattern: str | None = None) -> FolderContent:
    """Match the files of a folder with the images of a split, by their paths below it or by their names alone.

    Args:
        folder: searched with all folders below it.
        split: split of the data set that the images are drawings of.
        pattern: see :func:`compile_pattern`. Default: the image's key, with ``_c<j>`` behind it for the image's
            j-th caption, and with ``_s<i>`` or ``_s<i>_<pass>`` behind that; or COCO's ``<image>_<annotation>``.

    Raises:
        UserError: there is no such folder, it holds no image, or the pattern is wrong.
    """
    if not folder.is_dir():
        raise UserError(f"--images: no folder {folder}")
    names = _Names(split, pattern)
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not paths:
        raise UserError(f"--images: no image in {folder}: give a folder with {', '.join(sorted(SUFFIXES))} in it")
    found = [names.find(path.relative_to(folder).with_suffix("").as_posix()) for path in paths]
    known = [each for each in found if each is not None]
    told = names.narrators if pattern and "{annotator_id}" in pattern else {}
    seen = {each.caption if told else each.image for each in known}
    expected = dict(enumerate(split.keys))
    if told:
        expected = {number: f"{split.keys[image]}_{annotator}" for (image, annotator), number in told.items()}
    return FolderContent(
        [path for path, each in zip(paths, found) if each is not None],
        [each.image for each in known],
        [each.caption for each in known],
        [each.turns for each in known],
        len(expected),
        [key for number, key in expected.items() if number not in seen],
        [path for path, each in zip(paths, found) if each is None],
        any(each.annotated for each in known),
        "narratives" if told else "images",
    )


def _fault(path: Path, size: int) -> str:
    """The problem of an image file, or an empty string."""
    try:
        with decoding(path), Image.open(path) as image:
            width, height = image.size
            # verify() checks the checksums of a PNG; damage of a JPEG shows only when it is decoded.
            image.verify() if image.format == "PNG" else image.load()
    except UndecodableImageError:
        return f"{path.name} is not a readable image"
    return "" if (width, height) == (size, size) else f"{path.name} is {width}x{height}"


class ImageFolder(Subject):
    """A folder of images as a subject.

    Args:
        folder: folder that holds the images, at any depth.
        split: split of the data set that they are drawings of.
        coverage: minimum share of the split's images, or narratives, that must have a file.
        pattern: how the files are named, see :func:`scan_folder`.

    Raises:
        UserError: the folder does not exist, holds no image of the split, or too few of them.
    """

    def __init__(
        self, folder: str | Path, split: StoreSplit, coverage: float = 1.0, pattern: str | None = None
    ) -> None:
        folder = Path(folder)
        self.content = scan_folder(folder, split, pattern)
        summary = self.content.summary()
        if not self.content.files:
            strangers = self.content.unexpected
            by = f"--pattern {pattern!r}" if pattern else "its name"
            raise UserError(
                f"{folder}: none of its {len(strangers)} images belongs to a key of the store by {by} (the first: "
                f"{strangers[0].name}; a key: {split.keys[0]}): name the files after the store's keys, or say with "
                "--pattern how they are named"
            )
        if self.content.coverage < coverage:
            raise UserError(
                f"{folder}: {summary} (the first: {self.content.missing[0]}); generate them, or lower "
                f"--coverage from {coverage:g} (the folder has {self.content.coverage:.4f})"
            )
        digests = [hashlib.sha256(path.read_bytes()).digest() for path in self.content.files]
        sha256, distinct = self._sha256(folder, pattern, digests), len(set(digests))
        self.card = SubjectCard("images", folder.name, str(folder), sha256, n_distinct=distinct)
        self.notes = [summary]
        if self.content.annotated:
            self.notes.append("the store keeps no ids of annotations: files are known by their image, not caption")
        self.knows_captions = UNKNOWN not in self.content.captions
        if not self.knows_captions:
            self.notes.append(
                "the names tell images, not captions: parts of the inception score and subsets of the kernel "
                "distance are not exactly those of the checkpoint that the images come from"
            )
        self._drawn = self._draws(digests)

    def _sha256(self, folder: Path, pattern: str | None, digests: list[bytes]) -> str:
        """sha256 of all files and of their parsed names."""
        digest = hashlib.sha256(b"" if pattern is None else f"{pattern}\n".encode())
        for path, own in zip(self.content.files, digests):
            digest.update(os.fsencode(path.relative_to(folder)) + b"\n")
            digest.update(own)
        return digest.hexdigest()

    def _draws(self, digests: list[bytes]) -> dict[tuple[int, int], Path]:
        """Number the files of each caption, independently of the order of their names.

        Files of one caption are its draws in the order of their samples, passes and contents; files of unknown
        captions are numbered through in the order of their images.
        """
        content = self.content
        ways = zip(content.captions, content.images, content.turns, digests, content.files)
        found: dict[tuple[int, int], Path] = {}
        draws: Counter[int] = Counter()
        for caption, _, _, _, path in sorted(ways):
            found[caption, draws[caption]] = path
            draws[caption] += 1
        return found

    def check(self, protocol: Protocol, store: Store) -> None:
        """Check that all images are readable and have the protocol's size."""
        size, folder = protocol.image_size, self.card.path
        faults = [fault for path in self.content.files if (fault := _fault(path, size))]
        if faults:
            more = f" and {len(faults) - NAMED_AT_ONCE} more" if len(faults) > NAMED_AT_ONCE else ""
            raise UserError(
                f"{folder}: {len(faults)} of {len(self.content.files)} images are not {size}x{size} images, as "
                f"{protocol.name} wants: {', '.join(faults[:NAMED_AT_ONCE])}{more}; generate them again or choose "
                "another protocol"
            )

    def plan(self, protocol: Protocol, split: StoreSplit) -> ImagePlan:
        """Plan every file once, regardless of the protocol's number of images."""
        places: dict[tuple[int, int], int] = {}
        if self.knows_captions:
            planned = plan_for(protocol, split)
            places = {
                pair: place for place, pair in enumerate(zip(planned.captions.tolist(), planned.draws.tolist()))
            }
        last = len(places)
        pairs = sorted(self._drawn, key=lambda pair: (places.get(pair, last), pair[1], pair[0]))
        captions, draws = np.asarray(pairs, np.int64).T
        return ImagePlan(captions, draws)

    def images(
        self,
        protocol: Protocol,
        store: Store,
        plan: ImagePlan,
        numbers: Numbers,
        batch_size: int,
        device: torch.device,
    ) -> Iterator[NumberedImages]:
        """Read."""
        for batch in batches(numbers, batch_size):
            pairs = zip(plan.captions[batch].tolist(), plan.draws[batch].tolist())
            images = [self._read(self._drawn[pair], protocol.image_size) for pair in pairs]
            yield NumberedImages(torch.from_numpy(batch), torch.stack(images).to(device))

    @staticmethod
    def _read(path: Path, size: int) -> torch.Tensor:
        try:
            with decoding(path), Image.open(path) as image:
                pixels = np.array(image.convert("RGB"))
        except UndecodableImageError as error:
            raise UserError(f"{path}: not a readable image; generate it again or remove it") from error
        if pixels.shape[:2] != (size, size):
            height, width = pixels.shape[:2]
            raise UserError(f"{path}: is {width}x{height}, the protocol is for {size}x{size}: choose another")
        return torch.from_numpy(pixels).permute(2, 0, 1)
