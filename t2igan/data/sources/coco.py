"""Reader of MS-COCO captions of 2014 or 2017, in the layouts in common use.

Three descriptions of the same images are read:

* the official JSON, ``annotations/captions_{train,val}{2014,2017}.json``;
* Karpathy's split of the 2014 images, ``dataset_coco.json``;
* AttnGAN's metadata: ``train/`` and ``test/`` with ``filenames.pickle``, and ``text/`` or ``captions.pickle``.

The images lie in ``train2014/``, ``val2014/``, ``train2017/``, ``val2017/``, in these inside ``images/``, or all
together in ``images/``. An image has the same number in both years, so the files of one year serve the lists of
the other.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from t2igan.data.sources.base import Findings, RawImage, first_of
from t2igan.data.sources.coco_files import (
    NO_OBJECT,
    ListedImage,
    read_captions,
    read_karpathy,
    read_largest_objects,
)
from t2igan.data.sources.coco_segments import NO_LAYOUTS, LayoutFiles, LayoutFolders
from t2igan.data.sources.localized import read_narratives
from t2igan.data.sources.metadata import Metadata
from t2igan.data.vocabulary import Vocabulary
from t2igan.errors import UserError

COCOSplit = Literal["official", "karpathy"]
COCOClasses = Literal["index", "largest-object"]
YEARS = (2014, 2017)
_PARTS = {"train": "train", "test": "val"}
_RELEASED_KEY = re.compile(r"(?:.*/)?(?:COCO_(\w+)_)?(\d+)")


class COCOSource:
    """Reader of MS-COCO.

    Args:
        root: the folder that holds ``annotations/`` or the metadata, and the images.
        split: ``"official"``: train, and val for the test; ``"karpathy"``: train and restval, and the 5,000 test
            images.
        year: which official JSON to read; default: the metadata if they are there, else the only year there is.
        karpathy: Karpathy's file; default: ``dataset_coco.json`` in ``root`` or ``annotations/``.
        classes: ``"index"``: the number of the image in its split, as in the released code,
            so that every image is a class of its own; ``"largest-object"``: its largest object's category.
        captions_pickle: a released ``captions.pickle`` whose word order is to be used (metadata only); default:
            the one in ``root``, if there is one.
        captions_per_image: captions used of each image: the first ones by ascending annotation id (of the metadata:
            the first lines).
        layouts: folders of label maps and segments, see :class:`LayoutFolders`.
        narratives: folder of Localized Narratives, ``*.jsonl``; those of other images are passed over.

    Raises:
        UserError: an unknown option, none of the three descriptions is in ``root``, it is incomplete, or the
            options contradict it.
    """

    name = "coco"
    crop_by_box = False

    def __init__(
        self,
        root: str | Path,
        split: COCOSplit = "official",
        year: int | None = None,
        karpathy: str | Path | None = None,
        classes: COCOClasses = "index",
        captions_pickle: str | Path | None = None,
        captions_per_image: int = 5,
        layouts: LayoutFolders = NO_LAYOUTS,
        narratives: str | Path | None = None,
    ) -> None:
        for what, given, known in (("split", split, COCOSplit), ("classes", classes, COCOClasses)):
            if given not in get_args(known):
                raise UserError(f"unknown {what} {given!r}; choose one of {', '.join(get_args(known))}")
        self.root = Path(root)
        self.classes = classes
        self.captions_per_image = captions_per_image
        self._layouts, self._narratives = layouts, narratives
        self.vocabulary: Vocabulary | None = None
        self.class_names: dict[int, str] = {}
        self._year, self._metadata, self._karpathy = year, None, None
        self.notes: Sequence[str] = ()
        if split == "karpathy":
            self.split_scheme = "karpathy"
            self._karpathy = self._find_karpathy(karpathy)
        elif year is None and (captions_pickle or (self.root / "train" / "filenames.pickle").is_file()):
            self.split_scheme = "attngan"
            self._metadata = Metadata((self.root,), captions_pickle, captions_per_image)
            self._require_metadata(self._metadata)
        else:
            self._year = year or self._only_year()
            self.split_scheme = f"official-{self._year}"
        if captions_pickle and self._metadata is None:
            raise UserError(
                f"{captions_pickle}: its captions are in the order of filenames.pickle of the AttnGAN metadata; "
                "put train/ and test/ into the root, without --year and --split karpathy"
            )

    def scan(self) -> tuple[list[RawImage], list[str]]:
        """See :meth:`t2igan.data.sources.base.Source.scan`."""
        findings = Findings()
        listed = self._listed(findings)
        objects = self._objects(findings) if self.classes == "largest-object" else {}
        findings.stop_at_faults()
        layouts = LayoutFiles(self._layouts, self._year, findings)
        ids = {str(entry.number) for entries in listed.values() for entry in entries}
        narratives = read_narratives(Path(self._narratives), ids, findings) if self._narratives else {}
        _check_disjoint(listed, findings)
        files = _ListedFiles(self.root, self._year)
        numbers = {name: number for number, name in enumerate([*sorted(set(objects.values())), NO_OBJECT])}
        images: list[RawImage] = []
        for split, entries in listed.items():
            paths = files.find_all(split, entries, findings)
            for index, (entry, path) in enumerate(zip(entries, paths)):
                if path is None or not entry.captions:
                    continue
                name = objects.get(entry.number, NO_OBJECT) if objects else str(index)
                number = numbers[name] if objects else index
                self.class_names[number] = name
                key = os.path.splitext(entry.file_name)[0]
                layout = layouts.of(entry.number, path.stem)
                told = tuple(narratives.get(str(entry.number), ()))
                images.append(RawImage(key, path, number, None, entry.captions, split, entry.tokens, layout, told))
        findings.stop_at_faults()
        self.notes = findings.notes
        return images, findings.problems

    def _listed(self, findings: Findings) -> dict[str, list[ListedImage]]:
        if self._karpathy:
            return read_karpathy(self._karpathy, self.captions_per_image, findings)
        if self._metadata:
            return dict(self._from_metadata(self._metadata, findings))
        listed = {}
        for split, part in _PARTS.items():
            path = self._annotations(f"captions_{part}{self._year}.json")
            try:
                listed[split] = read_captions(path, f"{part}{self._year}", self.captions_per_image, findings)
            except UserError as error:
                findings.faults.append(str(error))
        return listed

    def _from_metadata(self, metadata: Metadata, findings: Findings) -> Iterator[tuple[str, list[ListedImage]]]:
        tokens = metadata.tokens()
        self.vocabulary = metadata.vocabulary
        for split, keys in metadata.keys().items():
            entries = []
            matches = [_RELEASED_KEY.fullmatch(key) for key in keys]
            if strange := [key for key, match in zip(keys, matches) if match is None]:
                findings.faults.append(
                    f"{split}/filenames.pickle: not names of COCO: {first_of(strange)}; "
                    "a name is like COCO_train2014_000000000009"
                )
                continue
            for key, match in zip(keys, filter(None, matches)):
                folder, number = match.groups()
                ids = None if tokens is None else tokens[key]
                captions, problem = metadata.captions(key, ids)
                if problem:
                    findings.problems.append(problem)
                entries.append(ListedImage(int(number), f"{key}.jpg", folder or "images", captions, ids))
            yield split, entries

    def _objects(self, findings: Findings) -> dict[int, str]:
        """The category of every image's largest object, from a complete pair of instance files."""
        years = (self._year,) if self._year else YEARS
        pairs = [[self._annotations(f"instances_{part}{year}.json") for part in _PARTS.values()] for year in years]
        pair = next((pair for pair in pairs if all(path.is_file() for path in pair)), pairs[0])
        objects: dict[int, str] = {}
        for path in pair:
            try:
                objects.update(read_largest_objects(path, findings))
            except UserError as error:
                findings.faults.append(str(error))
        return objects

    def _annotations(self, name: str) -> Path:
        """Path of an annotation file, or its expected path."""
        places = self.root / "annotations" / name, self.root / name
        return next((place for place in places if place.is_file()), places[0])

    def _find_karpathy(self, karpathy: str | Path | None) -> Path:
        path = Path(karpathy) if karpathy else self._annotations("dataset_coco.json")
        if not path.is_file():
            raise UserError(f"{path}: no such file; name dataset_coco.json of Karpathy's split with --karpathy")
        return path

    def _only_year(self) -> int:
        names = {year: [f"captions_{part}{year}.json" for part in _PARTS.values()] for year in YEARS}
        found = [year for year in YEARS if any(self._annotations(name).is_file() for name in names[year])]
        if not found:
            raise UserError(
                f"{self.root}: no COCO here, neither annotations/captions_train2017.json (or 2014) nor "
                "train/filenames.pickle; unpack annotations_trainval2017.zip there"
            )
        if len(found) > 1:
            raise UserError(f"{self.root}: holds the annotations of 2014 and 2017; choose with --year 2014 or 2017")
        return found[0]

    def _require_metadata(self, metadata: Metadata) -> None:
        if missing := metadata.missing(with_keys=True):
            raise UserError(
                f"missing: {', '.join(missing)}; add what is missing from the AttnGAN metadata (coco.zip), "
                "or read the official JSON with --year 2014"
            )


class _ListedFiles:
    """Index of the image files of a root by all names that COCO gives to an image."""

    def __init__(self, root: Path, year: int | None) -> None:
        self.root = root
        years = sorted(YEARS, key=lambda each: each != year)
        folders = [f"{part}{each}" for each in years for part in _PARTS.values()]
        places = [root / prefix / folder for folder in folders for prefix in ("", "images")] + [root / "images"]
        self._paths: dict[str, Path] = {}
        for place in filter(Path.is_dir, places):
            for name in os.listdir(place):
                self._paths.setdefault(name, place / name)

    def find_all(self, split: str, entries: list[ListedImage], findings: Findings) -> list[Path | None]:
        """Find the file of each image; missing files are added to the findings."""
        paths = [self._find(entry) for entry in entries]
        if entries and not any(paths):
            folder, name = entries[0].folder, entries[0].file_name
            findings.faults.append(
                f"{self.root}: none of the {len(entries):,} {split} images is here (looked for {name} in "
                f"{folder}/, images/{folder}/ and images/); unpack {folder}.zip there"
            )
            return paths
        findings.problems += [
            f"{self.root / entry.folder / entry.file_name}: image missing"
            for entry, path in zip(entries, paths)
            if path is None
        ]
        return paths

    def _find(self, entry: ListedImage) -> Path | None:
        digits = f"{entry.number:012d}.jpg"
        names = (
            entry.file_name.rpartition("/")[2],
            digits,
            f"COCO_train2014_{digits}",
            f"COCO_val2014_{digits}",
        )
        return next((self._paths[name] for name in names if name in self._paths), None)


def _check_disjoint(listed: Mapping[str, Iterable[ListedImage]], findings: Findings) -> None:
    train, test = ({entry.number for entry in listed.get(split, ())} for split in ("train", "test"))
    if both := sorted(train & test):
        findings.faults.append(f"{len(both):,} images are in train and in test: {first_of(both)}")
