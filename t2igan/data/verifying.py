"""Whether a store still holds what was written: every byte is read."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np

from t2igan.data.layout import SPLITS
from t2igan.data.store import Store, StoreSplit, dataset_in, open_store
from t2igan.data.writing import StoredImage, StoreHeader, fingerprint
from t2igan.errors import UserError

_THREADS = 4  # hashing lets go of the interpreter's lock
_ROUND = 256  # images handed to the threads at a time: bounds the memory


def verify_store(path: Path, progress: Callable[[int, int], None] | None = None) -> list[str]:
    """Read a whole store and compare it with the checksums that were written with it.

    The fingerprint is that of everything but the images, their digests included; so it is compared first, and then
    each image with its digest.

    Args:
        path: of the store.
        progress: called with (images read, images in all).

    Returns:
        One line for each thing that is damaged; none: the store is whole.

    Raises:
        UserError: the store does not open.
    """
    store = open_store(path)
    digests = read_digests(path)
    if not _is_described_as_written(store, digests):
        return [f"{path}: captions, words, classes or sizes are not those that were written"]
    damaged, done, total = [], 0, sum(map(len, digests.values()))
    for name, expected in digests.items():
        for image, intact in enumerate(_intact(store.split(name), expected)):
            damaged += [] if intact else [f"{path}: {name} image {image} is damaged"]
            done += 1
            if progress:
                progress(done, total)
    store.close()
    return damaged


def _intact(split: StoreSplit, digests: np.ndarray) -> Iterator[bool]:
    """For each image whether its bytes are those that were written."""

    def check(image: int) -> bool:
        try:
            return sha256(split.stored(image).data).digest() == digests[image].tobytes()
        except UserError:
            return False

    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(split), _ROUND):
            yield from pool.map(check, range(start, min(start + _ROUND, len(split))))


def _is_described_as_written(store: Store, digests: dict[str, np.ndarray]) -> bool:
    """Whether everything but the images gives the fingerprint."""
    images = {name: stored_images(store.split(name), digests[name]) for name in SPLITS}
    try:
        return fingerprint(header_of(store), store.vocabulary, store.class_names, images) == store.fingerprint
    except (ValueError, IndexError):  # offsets that point nowhere, bytes that are no UTF-8
        return False


def header_of(store: Store) -> StoreHeader:
    """The attributes of a store as they were handed to the writer."""
    return StoreHeader(
        store.name, store.split_scheme, store.image_size, store.short_side, store.encoding, store.crop_by_box
    )


def read_digests(path: Path) -> dict[str, np.ndarray]:
    """The SHA-256 of every image of each split, uint8 (N, 32), as it was written."""
    with h5py.File(path, "r", locking=False) as file:
        return {name: dataset_in(file, f"{name}/sha256")[:] for name in SPLITS}


def stored_images(split: StoreSplit, digests: np.ndarray) -> Iterator[StoredImage]:
    """The images of a split as they were handed to the writer.

    Args:
        split: of a store.
        digests: of its images, see :func:`read_digests`.
    """
    for image in range(len(split)):
        box = tuple(split.boxes[image].tolist())
        captions = split.captions_of(image)
        yield StoredImage(
            key=split.key(image),
            class_id=int(split.class_ids[image]),
            box=None if np.isnan(box).any() else box,
            shape=split.shape(image),
            length=split.stored_bytes(image),
            sha256=digests[image].tobytes().hex(),
            texts=[split.caption_text(caption) for caption in captions],
            tokens=[split.caption_tokens(caption).tolist() for caption in captions],
        )
