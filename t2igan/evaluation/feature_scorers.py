"""Values made of the features and class logits of one backbone."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from t2igan.errors import UserError
from t2igan.evaluation.costs import part
from t2igan.evaluation.embedders import BackboneEmbedder, Rows
from t2igan.evaluation.metric_specs import FID, IS, KID, PRDC, FDClassifier, FIDInfinity, ISClassifier
from t2igan.evaluation.protocol import Protocol
from t2igan.evaluation.record import MetricValue
from t2igan.evaluation.scorers import Scorer, Values
from t2igan.metrics.bootstrap import interval
from t2igan.metrics.feature_sets import FeatureSetMetric
from t2igan.metrics.frechet import frechet_distance
from t2igan.metrics.frechet_sampling import FrechetToReal, frechet_infinity, frechet_replicates, infinity_replicates
from t2igan.metrics.inception_score import InceptionScore, calibrated
from t2igan.metrics.kernel_distance import all_kernel_distances
from t2igan.metrics.manifold import bootstrap_manifold

Statistics = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Sets:
    """What the metrics of features are computed from.

    Attributes:
        real: (M, D), features of the reference; no row where nothing asked for them.
        generated: (N, D), in the order of their numbers.
        judge: sha256 of the network.
        statistics: mean and covariance that stand for the reference, None for the features themselves.
        protocol: gives the bootstrap.
    """

    real: Tensor
    generated: Tensor
    judge: str
    statistics: Statistics | None
    protocol: Protocol

    @cached_property
    def reference(self) -> Statistics:
        """Mean and unbiased covariance of the reference.

        Raises:
            UserError: it has fewer than two images.
        """
        if self.statistics is not None:
            return self.statistics
        if len(self.real) < 2:
            raise UserError(f"Frechet distance: the reference has {len(self.real)} images, at least 2 are needed")
        real = self.real.double()
        return real.mean(0), real.T.cov()

    @cached_property
    def to_reference(self) -> FrechetToReal:
        """Frechet distances to the reference."""
        return FrechetToReal(*self.reference)

    @cached_property
    def frechet_replicates(self) -> Tensor:
        """Frechet distances with resampled pictures; the same for the distance and for its limit."""
        options = self.protocol.bootstrap, self.protocol.bootstrap_seed
        return frechet_replicates(self.to_reference, self.generated, *options)

    def value(
        self,
        value: float,
        spread: float | None = None,
        replicates: Callable[[], Tensor] | None = None,
        over: str | None = None,
    ) -> MetricValue:
        """A value with its interval; ``replicates()`` is asked only where the protocol wants one."""
        found = MetricValue(value, spread, len(self.generated), self.judge, spread_over=over)
        if not self.protocol.bootstrap or replicates is None:
            return found
        low, high = interval(value, replicates(), self.protocol.confidence)
        return replace(found, low=low, high=high)


def _frechet(spec: FID | FDClassifier, sets: Sets) -> dict[str, MetricValue]:
    batch = spec.loader_batch if isinstance(spec, FID) and spec.loader_batch else 1
    generated = sets.generated[: len(sets.generated) - len(sets.generated) % batch]
    if len(generated) < 2:
        raise UserError(f"Frechet distance: {len(generated)} pictures, at least 2 are needed: score more")
    if len(generated) < len(sets.generated):
        sets = replace(sets, generated=generated)
    value = frechet_distance(*sets.reference, generated.double().mean(0), generated.double().T.cov()).item()
    return {spec.name: sets.value(value, None, lambda: sets.frechet_replicates)}


def _infinity(spec: FIDInfinity, sets: Sets) -> dict[str, MetricValue]:
    options = spec.points, spec.smallest, spec.seed
    found, _ = frechet_infinity(sets.real, sets.generated, *options, sets.to_reference)
    name = "fd-classifier-infinity" if spec.flavour == "classifier" else spec.name
    protocol = sets.protocol
    if not protocol.bootstrap:
        return {name: sets.value(found.item())}
    bootstrap = protocol.bootstrap, protocol.bootstrap_seed
    replicates = infinity_replicates(sets.to_reference, sets.generated, *bootstrap, *options)
    return {name: sets.value(found.item(), replicates.std().item(), lambda: replicates, "bootstrap")}


def _kernel(spec: KID, sets: Sets) -> dict[str, MetricValue]:
    options = spec.subsets, spec.subset_size, spec.degree, spec.seed
    bootstrap = sets.protocol.bootstrap, sets.protocol.bootstrap_seed
    found = all_kernel_distances(sets.real, sets.generated, *options, *bootstrap)
    mean, spread = found.subsets.mean().item(), found.subsets.std(correction=0).item()
    suffix = _suffix(spec)
    # The subsets' mean is an average of the same pairs: its sampling error is that of the whole set.
    return {
        f"kid{suffix}": sets.value(mean, spread, lambda: found.replicates, "subsets"),
        f"kid-full{suffix}": sets.value(found.full.item(), None, lambda: found.replicates),
    }


def _manifold(spec: PRDC, sets: Sets) -> dict[str, MetricValue]:
    protocol = sets.protocol
    found = bootstrap_manifold(
        sets.real, sets.generated, spec.neighbours, protocol.bootstrap, protocol.bootstrap_seed
    )
    return {
        f"{name}{_suffix(spec)}": sets.value(row[0].item(), None, lambda row=row: row[1:])
        for name, row in found.items()
    }


def _suffix(spec: KID | PRDC) -> str:
    """Tells values of the classifier's features from those of Inception's, with which they do not compare."""
    return "-classifier" if spec.flavour == "classifier" else ""


MEASURES: dict[type, Callable[[Any, Sets], dict[str, MetricValue]]] = {
    FID: _frechet,
    FDClassifier: _frechet,
    FIDInfinity: _infinity,
    KID: _kernel,
    PRDC: _manifold,
}


class FeatureScorer(Scorer):
    """All metrics of one backbone. Pictures shown before are left out.

    Args:
        embedder: the network.
        specs: metrics of features and of class logits.
        protocol: gives the bootstrap.
        distinct: bool (N,), False for pictures shown before.
        statistics: of a precomputed reference for the FID, None for the reference images.
        statistics_sha256: of their file.
        device: of the metrics.
    """

    def __init__(
        self,
        embedder: BackboneEmbedder,
        specs: list[Any],
        protocol: Protocol,
        distinct: np.ndarray,
        device: torch.device,
        statistics: Statistics | None = None,
        statistics_sha256: str = "",
    ) -> None:
        self.embedder, self._protocol, self.wanted = embedder, protocol, distinct
        self._statistics, self._statistics_sha256 = statistics, statistics_sha256
        self._specs = [spec for spec in specs if type(spec) in MEASURES]
        self._features = FeatureSetMetric(embedder.backbone.feature_dim).to(device)
        scores = [spec for spec in specs if isinstance(spec, IS | ISClassifier)]
        self._scores = [(spec, _inception_score(spec).to(device)) for spec in scores]
        needs = [spec for spec in self._specs if not (isinstance(spec, FID) and statistics is not None)]
        self.wants_reference = bool(needs)

    def add_reference(self, numbers: Tensor, rows: Rows) -> None:
        """Features of the reference."""
        self._features.update(rows[0], numbers, real=True)

    def add(self, numbers: Tensor, rows: Rows) -> None:
        """Features and class logits."""
        features, logits = rows
        if self._specs:
            self._features.update(features, numbers, real=False)
        for spec, metric in self._scores:
            metric.update(calibrated(logits, spec.temperature), numbers)

    def values(self) -> Values:
        """What was asked for."""
        found, failed = {}, {}
        sets = self._sets() if self._specs else {}
        for spec in self._specs:
            precomputed = isinstance(spec, FID) and self._statistics is not None
            try:
                with part(f"metric {spec.name}"):
                    found |= MEASURES[type(spec)](spec, sets[precomputed])
            except UserError as error:
                failed[spec.name] = str(error)
        for spec, metric in self._scores:
            try:
                with part(f"metric {spec.name}"):
                    found[spec.name] = self._score(metric)
            except UserError as error:
                failed[spec.name] = str(error)
        return found, failed

    def _sets(self) -> dict[bool, Sets]:
        """What is compared, without and with precomputed statistics of the reference."""
        real, generated = self._features.compute()
        found = {False: Sets(real, generated, self.embedder.sha256, None, self._protocol)}
        if self._statistics is not None:
            # Values against two precomputed references do not compare: the file is part of the judge.
            judge = f"{self.embedder.sha256}+{self._statistics_sha256}"
            found[True] = Sets(real, generated, judge, self._statistics, self._protocol)
        return found

    def _score(self, metric: InceptionScore) -> MetricValue:
        mean, spread = metric.compute()
        with metric.sync_context():
            count = sum(map(len, metric.parts()))
            replicates = None
            if self._protocol.bootstrap:
                replicates = metric.replicates(self._protocol.bootstrap, self._protocol.bootstrap_seed)
        value = MetricValue(mean.item(), None, count, self.embedder.sha256)
        if metric.splits > 1:
            value = replace(value, spread=spread.item(), spread_over="folds")
        if replicates is None:
            return value
        low, high = interval(value.value, replicates, self._protocol.confidence)
        return replace(value, low=low, high=high)


def _inception_score(spec: ISClassifier) -> InceptionScore:
    seed = spec.seed if spec.order == "shuffled" else None
    return InceptionScore(spec.splits, spec.drop_remainder, seed, spec.loader_batch)
