"""Verify every byte of a store against its checksums."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np

from t2igan.data.checksums import LAYOUTS, NARRATIVES, PIXELS
from t2igan.data.layout import SPLITS
from t2igan.data.records import dataset_in
from t2igan.data.store import Store, StoreSplit, open_store
from t2igan.data.writing import Piece, StoredImage, StoredRecord, StoreHeader, fingerprint
from t2igan.errors import UserError

Digests = dict[str, np.ndarray]
"""By kind of record the SHA-256 of each, uint8 (N, 32)."""

_THREADS = 4  # hashing releases the GIL
_ROUND = 256  # images given to the threads at a time, which bounds memory


def verify_store(path: Path, progress: Callable[[int, int], None] | None = None) -> list[str]:
    """Read a whole store and compare it with the checksums that were written with it.

    The fingerprint covers everything but the records, including their digests; so it is compared first, then
    each record with its digest.

    Args:
        path: path of the store.
        progress: called with (records read, records in all).

    Returns:
        One line for each damaged part; empty if the store is intact.

    Raises:
        UserError: the store cannot be opened.
    """
    store = open_store(path)
    digests = read_digests(path)
    if not _is_described_as_written(store, digests):
        return [f"{path}: captions, words, classes or sizes are not those that were written"]
    damaged, done = [], 0
    checks = [(name, *check) for name in SPLITS for check in _checks(name, store.split(name), digests[name])]
    total = sum(len(expected) for _, _, _, expected in checks)
    for name, what, read, expected in checks:
        for number, intact in enumerate(_intact(read, expected)):
            damaged += [] if intact else [f"{path}: {name} {what} {number} is damaged"]
            done += 1
            if progress:
                progress(done, total)
    store.close()
    return damaged


Read = Callable[[int], np.ndarray]


def _checks(name: str, split: StoreSplit, digests: Digests) -> Iterator[tuple[str, Read, np.ndarray]]:
    """The records to compare: their names, their reader, and their digests."""
    yield "image", split.stored, digests[PIXELS]
    for what, records in (("layout", split.annotations.layouts), ("narrative", split.annotations.narratives)):
        if records is not None:
            yield what, records.read, digests[f"{what}s"]


def _intact(read: Read, digests: np.ndarray) -> Iterator[bool]:
    """Yield for each record whether its bytes match its digest."""

    def check(number: int) -> bool:
        try:
            return sha256(read(number).data).digest() == digests[number].tobytes()
        except UserError:
            return False

    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(digests), _ROUND):
            yield from pool.map(check, range(start, min(start + _ROUND, len(digests))))


def _is_described_as_written(store: Store, digests: dict[str, Digests]) -> bool:
    """Whether everything but the records matches the fingerprint."""
    images = {name: stored_images(store.split(name), digests[name]) for name in SPLITS}
    try:
        return fingerprint(header_of(store), store.vocabulary, store.class_names, images) == store.fingerprint
    except (ValueError, IndexError):  # offsets that point nowhere, bytes that are no UTF-8
        return False


def header_of(store: Store) -> StoreHeader:
    """The attributes of a store in the form that the writer takes."""
    return StoreHeader(
        store.name, store.split_scheme, store.image_size, store.short_side, store.encoding, store.crop_by_box
    )


def read_digests(path: Path) -> dict[str, Digests]:
    """The stored SHA-256 of every record of each split."""
    names = {PIXELS: "sha256", LAYOUTS: "layout_sha256", NARRATIVES: "narrative_sha256"}
    with h5py.File(path, "r", locking=False) as file:
        return {
            split: {
                kind: dataset_in(file, f"{split}/{name}")[:]
                for kind, name in names.items()
                if f"{split}/{kind}" in file
            }
            for split in SPLITS
        }


def stored_images(split: StoreSplit, digests: Digests) -> Iterator[StoredImage]:
    """The images of a split in the form that the writer takes.

    Args:
        split: split of a store.
        digests: digests of the split's records, see :func:`read_digests`.
    """
    layouts, narratives = split.annotations.layouts, split.annotations.narratives
    for image in range(len(split)):
        box = tuple(split.boxes[image].tolist())
        captions = split.captions_of(image)
        layout = None
        if layouts is not None and layouts.size(image):
            layout = StoredRecord(layouts.size(image), digests[LAYOUTS][image].tobytes().hex())
        yield StoredImage(
            key=split.key(image),
            class_id=int(split.class_ids[image]),
            box=None if np.isnan(box).any() else box,
            shape=split.shape(image),
            length=split.stored_bytes(image),
            sha256=digests[PIXELS][image].tobytes().hex(),
            texts=[split.caption_text(caption) for caption in captions],
            tokens=[split.caption_tokens(caption).tolist() for caption in captions],
            layout=layout,
            segments=list(split.segment_texts(image)),
            narratives=[
                StoredRecord(
                    narratives.size(number),
                    digests[NARRATIVES][number].tobytes().hex(),
                    split.narrative_tokens(number).tolist(),
                )
                for number in split.narratives_of(image)
            ]
            if narratives is not None
            else [],
        )


def stored_payloads(split: StoreSplit) -> Iterator[tuple[Piece, bytes]]:
    """The records of a split in the form that the writer takes."""
    layouts, narratives = split.annotations.layouts, split.annotations.narratives
    for image in range(len(split)):
        key = split.key(image)
        yield Piece(key), split.stored(image).tobytes()
        if layouts is not None and layouts.size(image):
            yield Piece(key, LAYOUTS), layouts.read(image).tobytes()
        if narratives is None:
            continue
        for place, number in enumerate(split.narratives_of(image)):
            yield Piece(key, NARRATIVES, place), narratives.read(number).tobytes()
