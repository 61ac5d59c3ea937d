"""A folder of images that somebody drew elsewhere, as a subject."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from t2igan.data.store import Store, StoreSplit
from t2igan.errors import UserError
from t2igan.evaluation.generate import Pictures, batches
from t2igan.evaluation.plan import Plan
from t2igan.evaluation.protocol import Protocol
from t2igan.evaluation.record import SubjectCard
from t2igan.evaluation.subjects import Subject

SUFFIXES = {".png", ".jpg", ".jpeg"}
# `<key>`, then perhaps `_c<which of the image's captions>`, then perhaps `_s<stage or sample>` and `_<pass>`.
STEM = re.compile(r"(?P<key>.+?)(?:_c(?P<caption>\d+))?(?:_s(?P<sample>-?\d+)(?:_(?P<turn>\d+))?)?")
UNKNOWN = -1


@dataclass(frozen=True)
class FolderContent:
    """What lies in a folder of images, held against the images of a split.

    Attributes:
        files: the images that belong to the split, in the order of their names.
        captions: the caption of each, ``UNKNOWN`` where the name does not tell.
        expected: images of the split.
        missing: keys without a file.
        unexpected: files that belong to no key.
    """

    files: list[Path]
    captions: list[int]
    expected: int
    missing: list[str]
    unexpected: list[Path]

    def summary(self) -> str:
        """One line."""
        found = self.expected - len(self.missing)
        return (
            f"{self.expected} images expected, {found} found in {len(self.files)} files, "
            f"{len(self.missing)} missing, {len(self.unexpected)} unexpected"
        )


def scan_folder(folder: Path, split: StoreSplit) -> FolderContent:
    """Match the files of a folder with the images of a split.

    A file belongs to an image if its path below ``folder``, or its name alone, is the image's key, with
    ``_c<j>`` behind it for the image's j-th caption, and with ``_s<i>`` or ``_s<i>_<pass>`` behind that, as the
    released samplers name their files.

    Raises:
        UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"--images: no folder {folder}")
    by_key = {key: image for image, key in enumerate(split.keys)}
    short = Counter(key.rpartition("/")[2] for key in split.keys)
    for key, image in list(by_key.items()):
        name = key.rpartition("/")[2]
        if short[name] == 1:
            by_key.setdefault(name, image)
    files, captions, unexpected, seen = [], [], [], set()
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        found = _identify(path.relative_to(folder).with_suffix("").as_posix(), by_key, split)
        if found is None:
            unexpected.append(path)
            continue
        files.append(path)
        captions.append(found[1])
        seen.add(found[0])
    missing = [key for image, key in enumerate(split.keys) if image not in seen]
    return FolderContent(files, captions, len(split), missing, unexpected)


def _identify(stem: str, by_key: dict[str, int], split: StoreSplit) -> tuple[int, int] | None:
    """Image and caption of a file, or None."""
    for name in (stem, stem.rpartition("/")[2]):
        if name in by_key:
            return by_key[name], UNKNOWN
        parts = STEM.fullmatch(name)
        if parts is None or parts["key"] not in by_key:
            continue
        image = by_key[parts["key"]]
        if parts["caption"] is None:
            return image, UNKNOWN
        own = split.captions_of(image)
        return (image, own[int(parts["caption"])]) if int(parts["caption"]) < len(own) else None
    return None


class ImageFolder(Subject):
    """The images of a folder.

    Args:
        folder: path.
        split: of the data set that they are drawings of.
        allow_partial: score them though some of the split's images have no drawing.

    Raises:
        UserError: no folder, no image of the split in it, or not all of them.
    """

    def __init__(self, folder: str | Path, split: StoreSplit, allow_partial: bool = False) -> None:
        folder = Path(folder)
        self.content = scan_folder(folder, split)
        summary = self.content.summary()
        if not self.content.files:
            raise UserError(f"{folder}: {summary}; name the files after the store's keys, e.g. {split.keys[0]}.png")
        if self.content.missing and not allow_partial:
            raise UserError(
                f"{folder}: {summary} (the first: {self.content.missing[0]}); draw them, or --allow_partial true"
            )
        digest = hashlib.sha256()
        for path in self.content.files:
            digest.update(f"{path.relative_to(folder).as_posix()}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        self.card = SubjectCard("images", folder.name, str(folder), digest.hexdigest())
        self.notes = [summary]
        self.knows_captions = UNKNOWN not in self.content.captions

    def check(self, protocol: Protocol, store: Store) -> None:
        """Whether the images have the protocol's size shows when they are read."""

    def plan(self, protocol: Protocol, split: StoreSplit) -> Plan:
        """Every file once, whatever number the protocol has for checkpoints."""
        captions = np.asarray(self.content.captions, np.int64)
        return Plan(captions, np.zeros_like(captions))

    def pictures(
        self,
        protocol: Protocol,
        store: Store,
        plan: Plan,
        numbers: Sequence[int],
        batch_size: int,
        device: torch.device,
    ) -> Iterator[Pictures]:
        """Read."""
        for batch in batches(numbers, batch_size):
            images = [self._read(self.content.files[number], protocol.image_size) for number in batch]
            yield Pictures(torch.from_numpy(batch), torch.stack(images).to(device))

    @staticmethod
    def _read(path: Path, size: int) -> torch.Tensor:
        try:
            with Image.open(path) as image:
                pixels = np.array(image.convert("RGB"))
        except (OSError, UnidentifiedImageError) as error:
            raise UserError(f"{path}: not a readable image; draw it again or remove it") from error
        if pixels.shape[:2] != (size, size):
            height, width = pixels.shape[:2]
            raise UserError(f"{path}: is {width}x{height}, the protocol is for {size}x{size}: choose another")
        return torch.from_numpy(pixels).permute(2, 0, 1)
