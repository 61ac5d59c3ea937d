"""Reader of Caltech-UCSD Birds 200-2011, in the layouts in common use.

Two layouts are read, and both may hold any part of the classes:

* AttnGAN's metadata: ``text/``, ``train/`` and ``test/`` (``filenames.pickle``, ``class_info.pickle``), perhaps
  ``captions.pickle``, with ``CUB_200_2011/`` beside them;
* bare: ``CUB_200_2011/`` and ``text/``, without the pickles. The zero-shot split cannot be known then.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from t2igan.data.pickles import load_plain_pickle
from t2igan.data.rendering import Box
from t2igan.data.sources.base import RawImage, first_of
from t2igan.data.sources.metadata import Metadata
from t2igan.data.vocabulary import Vocabulary
from t2igan.errors import UserError
from t2igan.plain_files import read_text

SplitScheme = Literal["zero-shot", "image-level"]
_DIGITS = 9  # maximum digits of a class number


class CUBSource:
    """Reader of CUB, and of data sets written in its layout.

    Args:
        root: the folder that holds ``CUB_200_2011/`` (or is that folder).
        split_scheme: ``"zero-shot"``: 150 classes train, 50 others test (``*/filenames.pickle``);
            ``"image-level"``: CUB's own ``train_test_split.txt``, every class on both sides.
        captions_pickle: a released ``captions.pickle`` whose vocabulary and word ids are to be used; default: the
            one in ``root``, if there is one.
        captions_per_image: captions used of each image, the first ones.
        crop_by_box: cut each image to one and a half times its box.
        name: the data set's name in the store.

    Raises:
        UserError: unknown split, no CUB in ``root``, or a file that describes it is missing.
    """

    notes: Sequence[str] = ()

    def __init__(
        self,
        root: str | Path,
        split_scheme: SplitScheme = "zero-shot",
        captions_pickle: str | Path | None = None,
        captions_per_image: int = 10,
        crop_by_box: bool = True,
        name: str = "cub",
    ) -> None:
        if split_scheme not in get_args(SplitScheme):
            raise UserError(f"unknown split {split_scheme!r}; choose one of {', '.join(get_args(SplitScheme))}")
        self.root = Path(root)
        self.name = name
        self.split_scheme = split_scheme
        self.crop_by_box = crop_by_box
        self.class_names: dict[int, str] = {}
        self.vocabulary: Vocabulary | None = None
        self._folder = self._find_folder()
        places = (self.root, self._folder.parent, self._folder)
        self._metadata = Metadata(places, captions_pickle, captions_per_image)
        self._require_description()

    def scan(self) -> tuple[list[RawImage], list[str]]:
        """See :meth:`t2igan.data.sources.base.Source.scan`."""
        boxes = self._boxes() if self.crop_by_box else {}
        classes = self._classes()
        tokens = self._metadata.tokens()
        self.vocabulary = self._metadata.vocabulary
        images: list[RawImage] = []
        problems: list[str] = []
        for split, keys in self._keys().items():
            for key in keys:
                image, found = self._inspect(key, split, boxes, classes, tokens)
                problems += found
                if image is not None:
                    images.append(image)
                    self.class_names[image.class_id] = key.split("/")[0]
        return images, problems

    def _find_folder(self) -> Path:
        for folder in (self.root / "CUB_200_2011", self.root):
            if (folder / "images.txt").is_file():
                return folder
        raise UserError(
            f"{self.root / 'CUB_200_2011' / 'images.txt'}: no such file; unpack CUB_200_2011.tgz in {self.root}"
        )

    def _require_description(self) -> None:
        needed = [self._folder / "bounding_boxes.txt"] if self.crop_by_box else []
        if self.split_scheme == "image-level":
            needed.append(self._folder / "train_test_split.txt")
        missing = [str(path) for path in needed if not path.is_file()]
        missing += self._metadata.missing(with_keys=self.split_scheme == "zero-shot")
        if not missing:
            return
        remedy = "add what is missing from CUB_200_2011.tgz and the AttnGAN metadata (birds.zip)"
        if self.split_scheme == "zero-shot" and any("filenames.pickle" in path for path in missing):
            remedy += "; without filenames.pickle the zero-shot split is not known: use --split image-level"
        raise UserError(f"missing: {', '.join(missing)}; {remedy}")

    def _inspect(
        self,
        key: str,
        split: str,
        boxes: dict[str, Box],
        classes: dict[str, int],
        tokens: dict[str, list[list[int]]] | None,
    ) -> tuple[RawImage | None, list[str]]:
        problems = []
        path = self._folder / "images" / f"{key}.jpg"
        if not path.is_file():
            problems.append(f"{path}: image missing")
        if self.crop_by_box and key not in boxes:
            problems.append(f"{self._folder / 'bounding_boxes.txt'}: no box for {key}")
        captions, problem = self._metadata.captions(key, None if tokens is None else tokens[key])
        if problem:
            problems.append(problem)
        if problems:
            return None, problems
        ids = None if tokens is None else tokens[key]
        return RawImage(key, path, classes[key], boxes.get(key), captions, split, ids), []

    def _keys(self) -> dict[str, list[str]]:
        if self.split_scheme == "zero-shot":
            return self._metadata.keys()
        flags = _table(self._folder / "train_test_split.txt", 1)
        keys: dict[str, list[str]] = {"train": [], "test": []}
        for number, key in self._image_numbers().items():
            if number not in flags:
                raise UserError(f"{self._folder / 'train_test_split.txt'}: no line for image {number} ({key})")
            keys["train" if flags[number][0] == "1" else "test"].append(key)
        return keys

    def _image_numbers(self) -> dict[str, str]:
        table = _table(self._folder / "images.txt", 1)
        return {number: name.removesuffix(".jpg") for number, (name,) in table.items()}

    def _boxes(self) -> dict[str, Box]:
        path = self._folder / "bounding_boxes.txt"
        boxes = _table(path, 4)
        try:
            return {
                key: _box(*map(_finite, boxes[number]))
                for number, key in self._image_numbers().items()
                if number in boxes
            }
        except ValueError as error:
            raise UserError(f"{path}: {error}; unpack it again from CUB_200_2011.tgz") from error

    def _classes(self) -> dict[str, int]:
        """The class number of every key: what class_info.pickle says, else the number its folder begins with."""
        classes = {}
        for split, keys in self._keys().items():
            path = self._metadata.find(f"{split}/class_info.pickle") if self.split_scheme == "zero-shot" else None
            numbers = load_plain_pickle(path) if path else [_folder_number(key) for key in keys]
            if not isinstance(numbers, list) or len(numbers) != len(keys):
                raise UserError(f"{path}: does not hold one class for each of the {len(keys)} names beside it")
            if wrong := [number for number in numbers if not _is_class(number)]:
                raise UserError(
                    f"{path}: {first_of([repr(each)[:30] for each in wrong])}: not the number of a class"
                )
            classes.update(zip(keys, (int(number) for number in numbers)))
        return classes


def _table(path: Path, columns: int) -> dict[str, list[str]]:
    """A text file of CUB: the first word of each line, and the ``columns`` words after it."""
    rows = (line.split() for line in read_text(path).splitlines() if line.strip())
    table = {}
    for row in rows:
        if len(row) != columns + 1:
            raise UserError(f"{path}: {' '.join(row)!r} has {len(row)} columns, not {columns + 1}")
        table[row[0]] = row[1:]
    return table


def _is_class(number: Any) -> bool:
    """A whole number, as the releases keep it: an integer or a float without a fraction."""
    return type(number) in (int, float) and 0 <= number < 10**_DIGITS and number == int(number)


def _box(x: float, y: float, width: float, height: float) -> Box:
    return x, y, width, height


def _finite(value: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a coordinate")
    return number


def _folder_number(key: str) -> int:
    number = key.split(".")[0]
    if not number.isdecimal() or len(number) > _DIGITS:
        raise UserError(f"{key}: the class folder does not begin with a number as 002.Laysan_Albatross does")
    return int(number)
