"""Generate (or read) each image once and pass it to all networks without cached rows for it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, distributed

from t2igan.data.selection import Numbers
from t2igan.evaluation.features.cache import Shelf
from t2igan.evaluation.features.embedders import Embedder, Rows
from t2igan.evaluation.images.generate import NumberedImages
from t2igan.evaluation.plan import share
from t2igan.evaluation.processes import processes
from t2igan.evaluation.timing import NETWORK, part

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Feed:
    """The images that one network needs, and the consumers of its rows.

    Attributes:
        embedder: the network.
        wanted: bool (N,), which images it needs.
        takers: consumers, called with (image numbers (B,), rows).
        shelf: cache of the rows, None without cache.
    """

    embedder: Embedder
    wanted: np.ndarray
    takers: Sequence[Callable[[Tensor, Rows], None]]
    shelf: Shelf | None = None

    def give(self, numbers: Tensor, rows: Rows) -> None:
        """Pass rows to all consumers."""
        for taker in self.takers:
            taker(numbers, rows)


def feed(
    feeds: Sequence[Feed],
    ids: np.ndarray,
    draw: Callable[[Numbers], Iterator[NumberedImages]],
    device: torch.device,
    told: Told | None = None,
) -> None:
    """Pass to every feed the rows of its images, from its cache if possible.

    Each process takes a share of the cached images and a share of those to be generated.

    Args:
        feeds: feeds, one per network.
        ids: int64 (N, 2), ids of the images in the caches.
        draw: generates or reads images, given their numbers.
        device: device to which cached rows are moved.
        told: called with (done, total).
    """
    rank, world_size = processes()
    kept = [_kept(one, ids) for one in feeds]
    if world_size > 1:
        # All processes must read the cache before one writes to it, or their shares would not be disjoint.
        distributed.barrier()
    missing = []
    for one, (numbers, rows) in zip(feeds, kept):
        own = share(len(numbers), rank, world_size)
        if len(own):
            mine = slice(own.start, own.stop)
            loaded = tuple(torch.from_numpy(column[mine]).to(device) for column in rows)
            one.give(torch.from_numpy(numbers[mine]), loaded)
        lacking = one.wanted.copy()
        lacking[numbers] = False
        missing.append(lacking)
    if not feeds:
        return
    todo = np.flatnonzero(np.any(missing, axis=0))
    own, done = share(len(todo), rank, world_size), 0
    try:
        for images in draw(todo[own.start : own.stop]):
            for one, lacking in zip(feeds, missing):
                _show(one, lacking, images, ids)
            done += len(images)
            if told:
                told(done, len(own))
    finally:
        for one in feeds:
            if one.shelf is not None:
                one.shelf.flush()


def _kept(one: Feed, ids: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Numbers and rows of cached images."""
    numbers = np.flatnonzero(one.wanted)
    if one.shelf is None:
        return numbers[:0], []
    places, rows = one.shelf.load(ids[numbers])
    return numbers[places], rows


def _show(one: Feed, lacking: np.ndarray, images: NumberedImages, ids: np.ndarray) -> None:
    numbers = images.numbers.numpy()
    mask = torch.from_numpy(lacking[numbers])
    if not mask.any():
        return
    with part(f"{NETWORK} {one.embedder.name}"):
        rows = one.embedder(images.only(mask))
    one.give(images.numbers[mask], rows)
    if one.shelf is not None:
        one.shelf.add(ids[numbers[mask.numpy()]], [column.float().cpu().numpy() for column in rows])
