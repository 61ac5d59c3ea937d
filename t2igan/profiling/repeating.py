"""Make a large store by repeating a small one, for measurements at full size."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

from t2igan.data.store import open_store
from t2igan.data.verifying import header_of, read_digests, stored_images, stored_payloads
from t2igan.data.writing import StoredImage, write_store

_MARK = "~"


def repeat_store(store_path: Path, out: Path, records: int) -> None:
    """Write a store that repeats another's training split; each copy has its own key and bytes.

    Args:
        store_path: path of the small store.
        out: path of the large one.
        records: number of training images of the large store.
    """
    store = open_store(store_path)
    digests = read_digests(store_path)
    splits = {name: list(stored_images(store.split(name), digests[name])) for name in digests}
    payloads = {piece: data for name in digests for piece, data in stored_payloads(store.split(name))}
    repeated = {"train": list(_repeated(splits["train"], records)), "test": splits["test"]}
    write_store(
        out,
        header_of(store),
        store.vocabulary,
        store.class_names,
        repeated,
        payload=lambda piece: payloads[piece._replace(key=piece.key.rpartition(_MARK)[0] or piece.key)],
    )
    store.close()


def _repeated(images: list[StoredImage], records: int) -> Iterator[StoredImage]:
    for number, image in enumerate(islice(cycle(images), records)):
        yield replace(image, key=f"{image.key}{_MARK}{number}")
