"""Batch samplers for training and evaluation, resumable and independent of the number of ranks."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from torch.utils.data import DistributedSampler

T = TypeVar("T")
Position = Callable[[], tuple[int, int]]
"""Gives (epoch, first batch) each time the loader begins an epoch."""


class _WholeBatches(DistributedSampler):
    """Base of samplers that yield whole batches (for ``DataLoader(batch_size=None)``).

    A ``DistributedSampler`` by type, so that Lightning sees that the ranks are taken care of and leaves it alone.
    """

    def __init__(self, length: int, rank: int, world_size: int, seed: int, shuffle: bool) -> None:
        images: Any = range(length)  # only its length counts
        super().__init__(images, num_replicas=world_size, rank=rank, shuffle=shuffle, seed=seed)


class TrainingBatches(_WholeBatches):
    """Batches of (epoch, image): a permutation that depends on (seed, epoch) alone, incomplete batches dropped.

    With W ranks, batch b of all of them together is images b*B*W ... (b+1)*B*W - 1 of the permutation. Each rank is
    given the whole of it, so that it can be put in one order whatever W is; :func:`share_of` is what a rank takes.

    Args:
        images: number of images.
        batch_size: images per batch and rank.
        seed: seed of the order.
        rank: rank of this process.
        world_size: how many processes share the images.
        shuffle: False: the order of the store in every epoch.
        position: returns the (epoch, batch) at which to start; None: ``(epoch, start_batch)`` of this object.

    Attributes:
        epoch: set by the trainer (``set_epoch``).
        start_batch: first batch of the epoch, used once: the epochs after it begin at 0.
    """

    def __init__(
        self,
        images: int,
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        shuffle: bool = True,
        position: Position | None = None,
    ) -> None:
        super().__init__(images, rank, world_size, seed, shuffle)
        self.images, self.batch_size, self.start_batch = images, batch_size, 0
        self._position = position

    def __len__(self) -> int:
        """Number of batches in a whole epoch, including those before ``start_batch``."""
        return self.images // (self.batch_size * self.num_replicas)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        # Asked here, not in the generator: workers fetch ahead as soon as the loader's iterator is made.
        epoch, start = self._position() if self._position else (self.epoch, self.start_batch)
        self.start_batch = 0
        return self._batches(epoch, start)

    def _batches(self, epoch: int, start: int) -> Iterator[list[tuple[int, int]]]:
        order = self.order(epoch)
        together = self.batch_size * self.num_replicas
        for batch in range(start, len(self)):
            yield [(epoch, int(image)) for image in order[batch * together : (batch + 1) * together]]

    def order(self, epoch: int) -> np.ndarray:
        """The order of the images in an epoch, int64 (images,), the same on every rank."""
        if not self.shuffle:
            return np.arange(self.images)
        return np.random.default_rng([self.seed, epoch]).permutation(self.images)


def share_of(batch: Sequence[T], rank: int, world_size: int) -> Sequence[T]:
    """One rank's share of a batch of all ranks: consecutive items, equally many for all ranks, no padding."""
    size = len(batch) // world_size
    return batch[rank * size : (rank + 1) * size]


class EvaluationBatches(_WholeBatches):
    """Batches of caption ids: rank r of W takes every W-th id from r on; nothing is padded or dropped.

    Args:
        captions: the ids, in the order of evaluation.
        batch_size: ids per batch.
        rank: rank of this process.
        world_size: how many processes share them.
    """

    def __init__(self, captions: Sequence[int], batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(len(captions), rank, world_size, seed=0, shuffle=False)
        self.share = np.asarray(captions, dtype=np.int64)[rank::world_size]
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.share) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for start in range(0, len(self.share), self.batch_size):
            yield self.share[start : start + self.batch_size].tolist()
