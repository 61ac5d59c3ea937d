"""What feeds a metric with the rows of a network, and turns what it computes into values for the record."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from t2igan.data.store import Store, StoreSplit
from t2igan.evaluation.features.embedders import Embedder, Rows
from t2igan.evaluation.features.networks import NetworkOptions, Supply
from t2igan.evaluation.plan import ImagePlan
from t2igan.evaluation.protocol import Protocol
from t2igan.evaluation.record import MetricValue, Resampled
from t2igan.evaluation.subjects.base import Subject
from t2igan.metrics.bootstrap import interval
from t2igan.metrics.estimate import Estimate

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Setting:
    """What is scored, and how.

    Attributes:
        subject: gives the images.
        protocol: pins all that numbers depend on.
        store: the data set.
        plan: all images.
        distinct: bool (N,), False for images that an earlier number of the plan has shown already.
        supply: supply of networks and files.
        options: what does not change the numbers.
        device: where to score.
        progress: is told (stage, done, total).
    """

    subject: Subject
    protocol: Protocol
    store: Store
    plan: ImagePlan
    distinct: np.ndarray
    supply: Supply
    options: NetworkOptions
    device: torch.device
    progress: Progress | None = None

    @property
    def split(self) -> StoreSplit:
        """Whose captions are drawn."""
        return self.store.split(self.protocol.split)

    @property
    def bootstrap(self) -> tuple[int, int]:
        """Replicates and seed of the bootstrap."""
        return self.protocol.bootstrap or self.options.bootstrap, self.protocol.bootstrap_seed


class Scorer(ABC):
    """A metric with one network.

    Attributes:
        title: names it where it fails.
        embedder: the network.
        network_sha256: sha256 of the network and of what else tells values apart; values of different ones do
            not compare.
        wanted: bool (N,), the images whose rows it takes.
        wants_reference: whether it takes the reference's rows too.
        notes: what a reader of the values should know, once they are there.
    """

    title: str
    embedder: Embedder
    network_sha256: str
    wanted: np.ndarray
    wants_reference = False
    notes: Sequence[str] = ()

    def add(self, numbers: Tensor, rows: Rows) -> None:
        """Take the rows (B, ...) of the images ``numbers``, int64 (B,); only those that it wants."""
        raise NotImplementedError(f"{type(self).__name__} wants no images")

    def add_reference(self, numbers: Tensor, rows: Rows) -> None:
        """Take the rows of reference images; only where ``wants_reference``."""
        raise NotImplementedError(f"{type(self).__name__} wants no reference")

    @abstractmethod
    def values(self) -> dict[str, MetricValue]:
        """The metric's values over the images of all processes, by their names in records.

        Raises:
            UserError: it cannot be computed.
        """


def measured(
    estimate: Estimate, network_sha256: str, setting: Setting, samples: np.ndarray, chance: float | None = None
) -> MetricValue:
    """A value for the record, with its confidence interval and replicates where a bootstrap is wanted.

    Args:
        estimate: estimate of the metric.
        network_sha256: see :class:`Scorer`.
        setting: gives confidence and seed.
        samples: int64, tells the images apart that the estimate is of.
        chance: what guessing gives, where that is known.
    """
    spread = None if estimate.spread is None else estimate.spread.item()
    found = MetricValue(
        estimate.value.item(), spread, estimate.count, network_sha256, chance, spread_over=estimate.over
    )
    if estimate.replicates is None:
        return found
    low, high = interval(found.value, estimate.replicates, setting.protocol.confidence)
    replicates = estimate.replicates.double()
    deviations = [float(f"{each:.4g}") for each in (replicates - replicates.mean()).tolist()]
    pinned = f"{samples.shape} {estimate.count} {setting.bootstrap}".encode()
    digest = hashlib.sha256(pinned + np.ascontiguousarray(samples, "<i8").tobytes()).hexdigest()
    return replace(found, low=low, high=high, resampled=Resampled(digest, deviations))
