"""Writing a finished store (layout: :mod:`t2igan.data.store`)."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np

from t2igan.data.checksums import DESCRIPTION, PIXELS, description_checksum, image_checksum, read_content
from t2igan.data.layout import FINGERPRINT_VERSION, SCHEMA_VERSION
from t2igan.data.rendering import Box
from t2igan.data.vocabulary import Vocabulary
from t2igan.files import naming, sync

_BLOCK_BYTES = 2**23


@dataclass(frozen=True)
class StoreHeader:
    """The attributes of a store besides the vocabulary's hash and the fingerprint."""

    name: str
    split_scheme: str
    image_size: int
    short_side: int
    encoding: str
    crop_by_box: bool


@dataclass(frozen=True)
class StoredImage:
    """One image as it enters a store.

    Attributes:
        key: its name.
        class_id: 0-based row of the class names.
        box: x, y, width, height in the raw file, or None.
        shape: (height, width) of the stored pixels.
        length: bytes of the payload.
        sha256: hex digest of the payload.
        texts: captions as written.
        tokens: word ids of each caption.
    """

    key: str
    class_id: int
    box: Box | None
    shape: tuple[int, int]
    length: int
    sha256: str
    texts: list[str]
    tokens: list[list[int]]


def fingerprint(
    header: StoreHeader, vocabulary: Vocabulary, class_names: list[str], splits: Mapping[str, Iterable[StoredImage]]
) -> str:
    """sha256 (hex) of everything a reader can get out of the store."""
    digest = sha256()
    for part in ([FINGERPRINT_VERSION, asdict(header), vocabulary.hash, class_names], *splits.items()):
        name, images = (part[0], part[1]) if isinstance(part, tuple) else (None, [])
        digest.update(json.dumps(name or part, sort_keys=True).encode() + b"\n")
        for image in images:
            digest.update(json.dumps(vars(image), sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def write_store(
    path: Path,
    header: StoreHeader,
    vocabulary: Vocabulary,
    class_names: list[str],
    splits: dict[str, list[StoredImage]],
    payload: Callable[[str], bytes],
) -> str:
    """Write a store; it appears under its name only when it is complete.

    Args:
        path: of the finished store; an older one is replaced.
        header: attributes.
        vocabulary: the words that the images' tokens refer to.
        class_names: names of the 0-based classes.
        splits: ``{"train": images, "test": images}``.
        payload: gives the stored bytes of an image by its key.

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
    """What a store is called while it is written."""
    return path.with_name(path.name + ".writing")


def _write(
    path: Path,
    header: StoreHeader,
    vocabulary: Vocabulary,
    class_names: list[str],
    splits: dict[str, list[StoredImage]],
    payload: Callable[[str], bytes],
    value: str,
) -> None:
    # The file format since HDF5 1.10 has checksums of its own over what holds the file together.
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        for name, images in splits.items():
            _write_split(file.create_group(name), images, payload)
        for name, words in (("vocabulary", vocabulary.words), ("class_names", class_names)):
            file.create_dataset(name, data=np.array(words, dtype=object), dtype=h5py.string_dtype())
        file.attrs.update(
            schema_version=SCHEMA_VERSION,
            vocabulary_hash=vocabulary.hash,
            fingerprint=value,
            **asdict(header),
        )
        file.attrs[DESCRIPTION] = description_checksum(file, read_content(file))


def _write_split(group: h5py.Group, images: Sequence[StoredImage], payload: Callable[[str], bytes]) -> None:
    offsets = _offsets(image.length for image in images)
    pixels = group.create_dataset(PIXELS, (int(offsets[-1]),), np.uint8)
    written, checksums = 0, []

    def payloads() -> Iterator[bytes]:
        for image in images:
            data = payload(image.key)
            checksums.append(image_checksum(data))
            yield data

    for block in _blocks(payloads()):
        pixels[written : written + len(block)] = np.frombuffer(block, np.uint8)
        written += len(block)
    nothing = (np.nan,) * 4
    texts = [text.encode() for image in images for text in image.texts]
    tokens = [ids for image in images for ids in image.tokens]
    keys = np.array([image.key for image in images], dtype=object)
    group["offsets"] = offsets
    group["shapes"] = np.array([image.shape for image in images], np.int32).reshape(-1, 2)
    digests = b"".join(bytes.fromhex(image.sha256) for image in images)
    group["sha256"] = np.frombuffer(digests, np.uint8).reshape(-1, 32)
    group["xxh3"] = np.array(checksums, np.uint64)
    group.create_dataset("keys", data=keys, dtype=h5py.string_dtype())
    group["class_ids"] = np.array([image.class_id for image in images], np.int64)
    group["boxes"] = np.array([image.box or nothing for image in images], np.float64).reshape(-1, 4)
    group["caption_offsets"] = _offsets(len(image.texts) for image in images)
    group["tokens"] = np.array([index for ids in tokens for index in ids], np.int32)
    group["token_offsets"] = _offsets(len(ids) for ids in tokens)
    group["texts"] = np.frombuffer(b"".join(texts), np.uint8)
    group["text_offsets"] = _offsets(len(text) for text in texts)


def _blocks(payloads: Iterable[bytes]) -> Iterator[bytes]:
    """The payloads one after another, in pieces of some megabytes: HDF5 takes as long for a small one."""
    block = bytearray()
    for payload in payloads:
        block += payload
        if len(block) >= _BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def _offsets(lengths: Iterable[int]) -> np.ndarray:
    return np.cumsum([0, *lengths], dtype=np.int64)
