"""Scorer of diversity, with a separate pass that generates several images per caption."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from t2igan.data.selection import Numbers
from t2igan.evaluation.features.cache import shelf_for
from t2igan.evaluation.features.embedders import Embedder, Rows
from t2igan.evaluation.features.feeding import Feed, feed
from t2igan.evaluation.images.generate import NumberedImages
from t2igan.evaluation.metrics.lpips_diversity import LPIPSDiversity
from t2igan.evaluation.plan import ImagePlan
from t2igan.evaluation.record import MetricValue
from t2igan.evaluation.scorers.base import Scorer, Setting, measured
from t2igan.evaluation.timing import DRAWING, charged
from t2igan.metrics.lpips import Diversity


class DiversityScorer(Scorer):
    """Mean distance between the samples of a caption; the spread is over captions.

    Sample j of a caption is its j-th image under the protocol.

    Args:
        spec: the metric, with the number of captions (the first of the plan) and of samples.
        embedder: computes the distances between the samples of a caption.
        setting: settings of the evaluation; a batch holds at least all samples of one caption.
    """

    def __init__(self, spec: LPIPSDiversity, embedder: Embedder, setting: Setting) -> None:
        self.title, self.embedder, self.network_sha256 = spec.name, embedder, embedder.sha256
        self.wanted = np.zeros(len(setting.plan), bool)
        self._samples, self._setting = spec.samples, setting
        self._captions = np.array(list(dict.fromkeys(setting.plan.captions.tolist()))[: spec.captions], np.int64)

    def values(self) -> dict[str, MetricValue]:
        """Generate the samples and compute the distance."""
        setting, protocol, captions = self._setting, self._setting.protocol, self._captions
        metric = Diversity().to(setting.device)

        def take(numbers: torch.Tensor, rows: Rows) -> None:
            metric.update(rows[0], numbers)

        ids = np.stack([captions, np.zeros_like(captions)], axis=1)
        content = setting.subject.address(protocol, setting.store)
        shelf = shelf_for(setting.options.cache, content, [*self.embedder.identity, self._samples])
        feeds = [Feed(self.embedder, np.ones(len(captions), bool), [take], shelf)]
        told = partial(setting.progress, "samples of a caption") if setting.progress else None
        feed(feeds, ids, self._draw, setting.device, told)
        with metric.sync_context():
            (estimate,) = metric.estimates(*setting.bootstrap).values()
        estimate = replace(estimate, count=len(captions) * self._samples)
        return {self.title: measured(estimate, self.network_sha256, setting, captions)}

    def _draw(self, own: Numbers) -> Iterator[NumberedImages]:
        """Generate the samples of some captions, (B, K, 3, S, S)."""
        setting, samples, captions = self._setting, self._samples, self._captions
        plan = ImagePlan(np.repeat(captions, samples), np.tile(np.arange(samples), len(captions)))
        # A batch holds all images of its captions.
        size = max(1, setting.options.batch_size // samples) * samples
        numbers = (np.asarray(own, np.int64)[:, None] * samples + np.arange(samples)).ravel()
        how = setting.protocol, setting.store, plan, numbers, size, setting.device
        for some in charged(DRAWING, setting.subject.images(*how)):
            images = some.images.unflatten(0, (-1, samples))
            yield NumberedImages(some.numbers[::samples] // samples, images)
