"""Reader of a user's own folder of images with a caption table."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath

from PIL import Image

from t2igan.data.layout import CARD_FOLDER
from t2igan.data.sources.base import Findings, RawImage, first_of, has_word
from t2igan.data.sources.caption_table import CaptionRow, at, read_rows
from t2igan.data.vocabulary import Vocabulary
from t2igan.errors import UserError
from t2igan.image_files import UndecodableImageError, decoding

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
TEST_SHARE = 0.1
_SPLITS = ("train", "test")


@dataclass
class _Entry:
    """An image that the caption table lists."""

    key: str
    path: Path
    captions: list[str] = field(default_factory=list)


class FolderSource:
    """Reader of a folder of images, at any depth, and a CSV or JSON Lines table of captions.

    The table has ``image`` (path below the folder, with or without its extension) and ``caption``, perhaps
    ``class`` and ``split`` (train or test); an image of several captions stands in several lines.

    Args:
        images: the folder.
        captions: the table.
        classes: another table, with ``image`` and ``class``, or the name of the column; default: the column
            ``class`` if there is one, else each image is a class of its own.
        split: another table, with ``image`` and ``split``, the name of the column, or a number, the share of the
            images that are drawn for the test; default: the column ``split`` if there is one, else 0.1.
        seed: seed of the random split, which depends on each image's name only.
        captions_per_image: captions kept of each image, the first ones of the table; default: all.

    Raises:
        UserError: ``split`` is a number outside of (0, 1).
    """

    name = "folder"
    crop_by_box = False
    notes: Sequence[str] = ()
    vocabulary: Vocabulary | None = None

    def __init__(
        self,
        images: str | Path,
        captions: str | Path,
        classes: str | Path | None = None,
        split: str | Path | float | None = None,
        seed: int = 0,
        captions_per_image: int | None = None,
    ) -> None:
        self.images, self.captions = Path(images), Path(captions)
        self.captions_per_image = captions_per_image
        self.class_names: dict[int, str] = {}
        self.split_scheme = "given"
        self._classes, self._seed = classes, seed
        self._share = _share(split)
        self._split = None if self._share or split is None else str(split)

    def scan(self) -> tuple[list[RawImage], list[str]]:
        """See :meth:`t2igan.data.sources.base.Source.scan`."""
        reading = _Reading(self.images, self.captions)
        findings, entries = reading.findings, reading.entries()
        classes = reading.attribute("class", self._classes, entries)
        splits = {} if self._share else reading.attribute("split", self._split, entries)
        if not splits and not findings.faults:
            splits = self._draw(entries)
        if not findings.faults:
            empty = sorted(set(_SPLITS) - {splits[entry.key] for entry in entries})
            findings.faults += [
                f"{self.captions}: no usable {split} image: mark at least one as {split}, or give --split 0.1"
                for split in empty
            ]
        findings.stop_at_faults()
        names = sorted({classes[entry.key] for entry in entries} if classes else {entry.key for entry in entries})
        numbers = {name: number for number, name in enumerate(names)}
        self.class_names = dict(enumerate(names))
        images = []
        for entry in entries:
            number = numbers[classes.get(entry.key, entry.key)]
            captions = entry.captions[: self.captions_per_image]
            images.append(RawImage(entry.key, entry.path, number, None, captions, splits[entry.key]))
        return sorted(images, key=lambda image: image.split != "train"), findings.problems

    def _draw(self, entries: list[_Entry]) -> dict[str, str]:
        """Random split by image: the images with the smallest hashed names are the test split."""
        share = self._share or TEST_SHARE
        self.split_scheme = f"random-by-image-{share:g}-seed-{self._seed}"
        drawn = sorted(entries, key=lambda entry: sha256(f"{self._seed}/{entry.key}".encode()).digest())
        tested = min(max(1, round(share * len(drawn))), len(drawn) - 1)
        return {entry.key: "test" if place < tested else "train" for place, entry in enumerate(drawn)}


class _Reading:
    """Reads a folder and its table once.

    Attributes:
        findings: the problems found so far.
    """

    def __init__(self, images: Path, captions: Path) -> None:
        self.findings = Findings()
        self._captions = captions
        self._files = _FilesBelow(images)
        self._rows = read_rows(captions, ("image", "caption"), self.findings)

    def entries(self) -> list[_Entry]:
        """The usable images in the order of the table."""
        entries: dict[str, _Entry] = {}
        unknown: dict[str, list[int]] = defaultdict(list)
        wordless: dict[str, list[int]] = defaultdict(list)
        files, problems, faults = self._files, self.findings.problems, self.findings.faults
        for row in self._rows:
            path, caption = files.find(row.fields["image"]), " ".join(row.fields["caption"].split())
            if path is None:
                unknown[row.fields["image"]].append(row.line)
                continue
            entry = entries.setdefault(files.key(path), _Entry(files.key(path), path))
            if entry.path != path:
                faults.append(f"{entry.path} and {path}: differ only in the extension; rename one")
            if has_word(caption):
                entry.captions.append(caption)
            else:
                wordless[caption].append(row.line)
        if self._rows and not entries:
            faults.append(
                f"{self._captions}: none of its images is in {files.root}; it names "
                f"{self._rows[0].fields['image']!r}, there is {files.names[0]!r}"
            )
            return []
        for name, lines in unknown.items():
            problems.append(f"{at(self._captions, lines)}: no image {name!r} in {files.root}")
        for caption, lines in wordless.items():
            problems.append(f"{at(self._captions, lines)}: no word of a-z or 0-9 in caption {caption!r}")
        return self._usable(list(entries.values()))

    def _usable(self, entries: list[_Entry]) -> list[_Entry]:
        """The entries with a caption and a readable file."""
        problems = self.findings.problems
        captioned = {entry.path for entry in entries if entry.captions}
        if not self.findings.faults:
            bare = [name for name, path in zip(self._files.names, self._files.paths) if path not in captioned]
            if bare:
                root, number = self._files.root, f"{len(bare):,} image{'s' if len(bare) > 1 else ''}"
                problems.append(f"{root}: {number} without a caption in {self._captions}: {first_of(bare)}")
        unreadable = {path: problem for path in sorted(captioned) if (problem := _image_problem(path))}
        problems += unreadable.values()
        return [entry for entry in entries if entry.captions and entry.path not in unreadable]

    def attribute(self, name: str, given: str | Path | None, entries: list[_Entry]) -> dict[str, str]:
        """The class or split of every image by key; empty if it is optional and not given.

        Args:
            name: ``"class"`` or ``"split"``.
            given: another table or the name of a column; None: the captions' column ``name``, if there is one.
            entries: the images that need a value.
        """
        faults = self.findings.faults
        table, column, rows = self._captions, str(given or name).strip().lower(), self._rows
        if given is not None and Path(given).suffix:
            table, column = Path(given), name
            rows = self._other_rows(table, name)
        columns = sorted({key for row in rows for key in row.fields})
        if column not in columns:
            if rows and given is not None:
                faults.append(f"{table}: no column {column!r}; it has {', '.join(columns)}")
            return {}
        told: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            if (path := self._files.find(row.fields["image"])) and (value := row.fields.get(column)):
                told[self._files.key(path)][value].append(row.line)
        for key, values in told.items():
            lines = sorted(line for each in values.values() for line in each)
            if len(values) > 1:
                faults.append(f"{at(table, lines)}: {key} has {name} {' and '.join(values)}")
            elif name == "split" and not set(values) <= set(_SPLITS):
                faults.append(f"{at(table, lines)}: split {next(iter(values))!r} is not train or test")
        if without := [entry.key for entry in entries if entry.key not in told]:
            faults.append(f"{table}: no {name} for {first_of(without)}")
        return {key: next(iter(values)) for key, values in told.items()}

    def _other_rows(self, table: Path, name: str) -> list[CaptionRow]:
        try:
            return read_rows(table, ("image", name), self.findings)
        except UserError as error:
            self.findings.faults.append(str(error))
            return []


class _FilesBelow:
    """The images of a folder, found by their path below it, with or without extension."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise UserError(f"{root}: no such folder; it holds the images")
        self.root = root
        found = (path for path in root.rglob("*") if path.suffix.lower() in EXTENSIONS)
        # A store may lie among its images, with the contact sheet of its card.
        found = (path for path in found if path.parent.suffix != CARD_FOLDER)
        self.paths = sorted(path for path in found if path.is_file() and not path.name.startswith("."))
        if not self.paths:
            raise UserError(f"{root}: holds no image ({', '.join(EXTENSIONS)}), at any depth")
        self.names = [path.relative_to(root).as_posix() for path in self.paths]
        self._by_key: dict[str, list[Path]] = defaultdict(list)
        for path in self.paths:
            self._by_key[self.key(path)].append(path)
        self._by_name = dict(zip(self.names, self.paths))

    def key(self, path: Path) -> str:
        """The name of an image in the store: its path below the folder without extension."""
        return path.relative_to(self.root).with_suffix("").as_posix()

    def find(self, name: str) -> Path | None:
        """The image file of this name, or None if there is none or more than one."""
        name = PurePosixPath(name.replace("\\", "/")).as_posix()
        if name in self._by_name:
            return self._by_name[name]
        found = self._by_key.get(name, [])
        return found[0] if len(found) == 1 else None


def _share(split: str | Path | float | None) -> float | None:
    """The share of test images, if ``split`` is a number."""
    try:
        share = float(str(split))
    except ValueError:
        return None
    if not 0 < share < 1:
        raise UserError(f"--split {split}: the share of the test images lies between 0 and 1, e.g. 0.1")
    return share


def _image_problem(path: Path) -> str | None:
    """The problem of an image file according to its first bytes, or None."""
    try:
        with decoding(path), Image.open(path):
            return None
    except UndecodableImageError as error:
        return str(error)
