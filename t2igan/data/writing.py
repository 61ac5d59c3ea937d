"""Writing a finished store (layout: :mod:`t2igan.data.store`)."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from t2igan.data.checksums import (
    DESCRIPTION,
    LAYOUTS,
    NARRATIVES,
    PIXELS,
    description_checksum,
    read_content,
    record_checksum,
)
from t2igan.data.layout import FINGERPRINT_VERSION, SCHEMA_VERSION
from t2igan.data.records import dataset_in
from t2igan.data.rendering import Box
from t2igan.data.vocabulary import Vocabulary
from t2igan.files import naming, sync

_BLOCK_BYTES = 2**23
_OF_NOTHING = sha256(b"").hexdigest()
_ANNOTATIONS = ("layout", "segments", "narratives")


@dataclass(frozen=True)
class StoreHeader:
    """The attributes of a store besides the vocabulary's hash and the fingerprint."""

    name: str
    split_scheme: str
    image_size: int
    short_side: int
    encoding: str
    crop_by_box: bool


class Piece(NamedTuple):
    """Identifies a record: the pixels or the layout of an image, or one of its narratives.

    Attributes:
        key: key of the image.
        kind: :data:`PIXELS`, ``LAYOUTS`` or ``NARRATIVES``.
        number: index of the narrative among those of the image.
    """

    key: str
    kind: str = PIXELS
    number: int = 0


@dataclass(frozen=True)
class StoredRecord:
    """A packed layout or narrative (:mod:`t2igan.data.packing`) to be written.

    Attributes:
        length: bytes of the payload.
        sha256: hex digest of the payload.
        tokens: word ids of a narrative's caption.
    """

    length: int
    sha256: str
    tokens: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class StoredImage:
    """An image to be written.

    Attributes:
        key: the data set's name of the image.
        class_id: 0-based row of the class names.
        box: x, y, width, height in the raw file, or None.
        shape: (height, width) of the stored pixels.
        length: bytes of the payload.
        sha256: hex digest of the payload.
        texts: captions as written.
        tokens: word ids of each caption.
        layout: its layout, of the same shape, or None.
        segments: free-text description of each segment of the layout.
        narratives: packed narratives about the image.
    """

    key: str
    class_id: int
    box: Box | None
    shape: tuple[int, int]
    length: int
    sha256: str
    texts: list[str]
    tokens: list[list[int]]
    layout: StoredRecord | None = None
    segments: list[str] = field(default_factory=list)
    narratives: list[StoredRecord] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """The image's part of the fingerprint; images without annotations keep that of earlier versions."""
        told = {name: value for name, value in vars(self).items() if value or name not in _ANNOTATIONS}
        if self.layout:
            told["layout"] = vars(self.layout)
        if self.narratives:
            told["narratives"] = [vars(each) for each in self.narratives]
        return told


def fingerprint(
    header: StoreHeader, vocabulary: Vocabulary, class_names: list[str], splits: Mapping[str, Iterable[StoredImage]]
) -> str:
    """sha256 (hex) of everything that a reader can get from the store."""
    digest = sha256()
    for part in ([FINGERPRINT_VERSION, asdict(header), vocabulary.hash, class_names], *splits.items()):
        name, images = (part[0], part[1]) if isinstance(part, tuple) else (None, [])
        digest.update(json.dumps(name or part, sort_keys=True).encode() + b"\n")
        for image in images:
            digest.update(json.dumps(image.told(), sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def write_store(
    path: Path,
    header: StoreHeader,
    vocabulary: Vocabulary,
    class_names: list[str],
    splits: dict[str, list[StoredImage]],
    payload: Callable[[Piece], bytes],
) -> str:
    """Write a store atomically.

    Args:
        path: path of the finished store; an older one is replaced.
        header: attributes of the store.
        vocabulary: the words that the images' tokens refer to.
        class_names: names of the 0-based classes.
        splits: ``{"train": images, "test": images}``.
        payload: returns the bytes of a record.

    Returns:
        The fingerprint.
    """
    unfinished = unfinished_path(path)
    value = fingerprint(header, vocabulary, class_names, splits)
    try:
        with naming(path):
            _write(unfinished, header, vocabulary, class_names, splits, payload, value)
            sync(unfinished)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    os.replace(unfinished, path)
    return value


def unfinished_path(path: Path) -> Path:
    """Temporary path of a store while it is written."""
    return path.with_name(path.name + ".writing")


def _write(
    path: Path,
    header: StoreHeader,
    vocabulary: Vocabulary,
    class_names: list[str],
    splits: dict[str, list[StoredImage]],
    payload: Callable[[Piece], bytes],
    value: str,
) -> None:
    # The file format since HDF5 1.10 has checksums of its metadata.
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        for name, images in splits.items():
            group = file.create_group(name)
            _write_split(group, images, payload)
            # Both splits must agree.
            if any(image.layout for images in splits.values() for image in images):
                _write_layouts(group, images, payload)
            if any(image.narratives for images in splits.values() for image in images):
                _write_narratives(group, images, payload)
        for name, words in (("vocabulary", vocabulary.words), ("class_names", class_names)):
            file.create_dataset(name, data=np.array(words, dtype=object), dtype=h5py.string_dtype())
        file.attrs.update(
            schema_version=SCHEMA_VERSION,
            vocabulary_hash=vocabulary.hash,
            fingerprint=value,
            **asdict(header),
        )
        file.attrs[DESCRIPTION] = description_checksum(file, read_content(file))


def _write_split(group: h5py.Group, images: Sequence[StoredImage], payload: Callable[[Piece], bytes]) -> None:
    group["offsets"] = _offsets(image.length for image in images)
    group["sha256"] = _digests(image.sha256 for image in images)
    group["xxh3"] = _write_records(
        group, PIXELS, dataset_in(group, "offsets"), [Piece(image.key) for image in images], payload
    )
    nothing = (np.nan,) * 4
    texts = [text.encode() for image in images for text in image.texts]
    tokens = [ids for image in images for ids in image.tokens]
    keys = np.array([image.key for image in images], dtype=object)
    group["shapes"] = np.array([image.shape for image in images], np.int32).reshape(-1, 2)
    group.create_dataset("keys", data=keys, dtype=h5py.string_dtype())
    group["class_ids"] = np.array([image.class_id for image in images], np.int64)
    group["boxes"] = np.array([image.box or nothing for image in images], np.float64).reshape(-1, 4)
    group["caption_offsets"] = _offsets(len(image.texts) for image in images)
    group["tokens"], group["token_offsets"] = _joined(tokens)
    group["texts"] = np.frombuffer(b"".join(texts), np.uint8)
    group["text_offsets"] = _offsets(len(text) for text in texts)


def _write_layouts(group: h5py.Group, images: Sequence[StoredImage], payload: Callable[[Piece], bytes]) -> None:
    layouts = [image.layout or StoredRecord(0, _OF_NOTHING) for image in images]
    texts = [text.encode() for image in images for text in image.segments]
    pieces = [Piece(image.key, LAYOUTS) for image in images if image.layout]
    group["layout_offsets"] = _offsets(each.length for each in layouts)
    group["layout_sha256"] = _digests(each.sha256 for each in layouts)
    checksums = np.full(len(images), record_checksum(b""), np.uint64)
    held = [image.layout is not None for image in images]
    checksums[held] = _write_records(group, LAYOUTS, dataset_in(group, "layout_offsets"), pieces, payload)
    group["layout_xxh3"] = checksums
    group["segment_offsets"] = _offsets(len(image.segments) for image in images)
    group["segment_texts"] = np.frombuffer(b"".join(texts), np.uint8)
    group["segment_text_offsets"] = _offsets(len(text) for text in texts)


def _write_narratives(group: h5py.Group, images: Sequence[StoredImage], payload: Callable[[Piece], bytes]) -> None:
    narratives = [each for image in images for each in image.narratives]
    pieces = [Piece(image.key, NARRATIVES, n) for image in images for n in range(len(image.narratives))]
    group["narrative_offsets"] = _offsets(len(image.narratives) for image in images)
    group["narrative_byte_offsets"] = _offsets(each.length for each in narratives)
    group["narrative_sha256"] = _digests(each.sha256 for each in narratives)
    offsets = dataset_in(group, "narrative_byte_offsets")
    group["narrative_xxh3"] = _write_records(group, NARRATIVES, offsets, pieces, payload)
    group["narrative_tokens"], group["narrative_token_offsets"] = _joined([each.tokens for each in narratives])


def _write_records(
    group: h5py.Group,
    name: str,
    offsets: h5py.Dataset,
    pieces: Sequence[Piece],
    payload: Callable[[Piece], bytes],
) -> np.ndarray:
    """Write records contiguously; returns the checksum of each."""
    records = group.create_dataset(name, (int(offsets[-1]),), np.uint8)
    written, checksums = 0, []

    def payloads() -> Iterator[bytes]:
        for piece in pieces:
            data = payload(piece)
            checksums.append(record_checksum(data))
            yield data

    for block in _blocks(payloads()):
        records[written : written + len(block)] = np.frombuffer(block, np.uint8)
        written += len(block)
    return np.array(checksums, np.uint64)


def _blocks(payloads: Iterable[bytes]) -> Iterator[bytes]:
    """Join payloads to blocks of some megabytes, because HDF5 takes as long for a small write."""
    block = bytearray()
    for payload in payloads:
        block += payload
        if len(block) >= _BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def _joined(rows: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """All rows concatenated, and the offset of each row."""
    return np.array([number for row in rows for number in row], np.int32), _offsets(len(row) for row in rows)


def _digests(digests: Iterable[str]) -> np.ndarray:
    return np.frombuffer(b"".join(map(bytes.fromhex, digests)), np.uint8).reshape(-1, 32)


def _offsets(lengths: Iterable[int]) -> np.ndarray:
    return np.cumsum([0, *lengths], dtype=np.int64)
