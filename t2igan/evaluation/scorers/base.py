"""Base class of scorers, which feed the rows of a network to a metric and collect its values."""

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
    """Common settings of the scorers of one evaluation.

    Attributes:
        subject: source of the images.
        protocol: the evaluation protocol.
        store: store of the data set.
        plan: plan of all images.
        distinct: bool (N,), False for repetitions of an earlier image of the plan.
        supply: provides networks and files.
        options: options that do not change the values.
        device: device to compute on.
        progress: called with (stage, done, total).
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
        """The split whose captions are used."""
        return self.store.split(self.protocol.split)

    @property
    def bootstrap(self) -> tuple[int, int]:
        """Replicates and seed of the bootstrap."""
        return self.protocol.bootstrap or self.options.bootstrap, self.protocol.bootstrap_seed


class Scorer(ABC):
    """Feeds the rows of one network to a metric.

    Attributes:
        title: name of the scorer for error messages.
        embedder: the network.
        network_sha256: sha256 of the network and of other settings that make values incomparable.
        wanted: bool (N,), which images it needs.
        wants_reference: whether it needs the rows of the reference images.
        notes: notes to the reader, available after :meth:`values`.
    """

    title: str
    embedder: Embedder
    network_sha256: str
    wanted: np.ndarray
    wants_reference = False
    notes: Sequence[str] = ()

    def add(self, numbers: Tensor, rows: Rows) -> None:
        """Add the rows (B, ...) of images ``numbers``, int64 (B,), which are among :attr:`wanted`."""
        raise NotImplementedError(f"{type(self).__name__} wants no images")

    def add_reference(self, numbers: Tensor, rows: Rows) -> None:
        """Add the rows of reference images; called only if :attr:`wants_reference`."""
        raise NotImplementedError(f"{type(self).__name__} wants no reference")

    @abstractmethod
    def values(self) -> dict[str, MetricValue]:
        """The metric's values over the images of all processes, by their names in records.

        Raises:
            UserError: a value cannot be computed.
        """


def measured(
    estimate: Estimate, network_sha256: str, setting: Setting, samples: np.ndarray, chance: float | None = None
) -> MetricValue:
    """Make a value of the record, with confidence interval and replicates if a bootstrap is requested.

    Args:
        estimate: the metric's estimate.
        network_sha256: see :class:`Scorer`.
        setting: settings with confidence level and bootstrap seed.
        samples: int64, ids of the images that the estimate is computed from.
        chance: value of random guessing, None if unknown.
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
