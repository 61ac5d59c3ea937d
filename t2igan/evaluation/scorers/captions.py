"""Scorers of metrics that compare embeddings of images and captions."""

import numpy as np
import torch
from torch import Tensor

from t2igan.evaluation.features.embedders import CaptionEmbedder, Embedder, Rows
from t2igan.evaluation.metrics.clip_score import CLIPScore
from t2igan.evaluation.metrics.r_precision import Matching
from t2igan.evaluation.plan import shuffled_captions
from t2igan.evaluation.record import MetricValue
from t2igan.evaluation.scorers.base import Scorer, Setting, measured
from t2igan.evaluation.timing import part
from t2igan.metrics import r_precision
from t2igan.metrics.clip import ClipScore

# Gives the control other candidates than the metric that it controls.
CONTROL_SEED_OFFSET = 1_000_003


class MatchingScorer(Scorer):
    """R-precision with any embedder, and its control: the same images with captions of other classes.

    All candidates of the control, including the ranked one, belong to other classes than the image. So none of them
    is distinguished, however well the network recognises the image's class, and the expected value is chance.

    Args:
        spec: the metric.
        embedder: gives the vectors of images and captions.
        setting: what is scored.
    """

    def __init__(self, spec: Matching, embedder: Embedder, setting: Setting) -> None:
        assert isinstance(embedder, CaptionEmbedder)
        self.embedder, self.network_sha256, self._spec = embedder, embedder.sha256, spec
        self._setting, self.wanted = setting, np.ones(len(setting.plan), bool)
        self._suffix = f"@{embedder.label}" if embedder.label else ""
        self.title = f"{spec.name}{self._suffix}"
        split, plan = setting.split, setting.plan
        image_ids = split.caption_images
        class_ids = split.class_ids[image_ids]
        groups = class_ids if spec.negatives == "other-class" else image_ids
        shuffled = shuffled_captions(plan.captions, groups[plan.captions], spec.seed)
        self._captions, self._draws, self._shuffled = map(torch.from_numpy, (plan.captions, plan.draws, shuffled))
        sentences = embedder.captions(split, setting.protocol)
        self._metric, self._control = (
            self._make(class_ids, image_ids, sentences, seed, setting.device)
            for seed in (spec.seed, spec.seed + CONTROL_SEED_OFFSET)
        )

    def _make(
        self, class_ids: np.ndarray, image_ids: np.ndarray, sentences: Tensor, seed: int, device: torch.device
    ) -> r_precision.RPrecision:
        spec = self._spec
        folds = spec.folds, spec.fold_mode
        metric = r_precision.RPrecision(class_ids, image_ids, spec.candidates, *folds, spec.negatives, seed)
        metric.to(device).set_captions(sentences)
        return metric

    def add(self, numbers: Tensor, rows: Rows) -> None:
        """Image vectors."""
        captions, draws = self._captions[numbers], self._draws[numbers]
        with part(f"metric {self._spec.name}"):
            self._metric.update(rows[0], captions, draws)
            self._control.update(rows[0], captions, draws, self._shuffled[numbers])

    def values(self) -> dict[str, MetricValue]:
        """Compute the metric and its control."""
        setting, name = self._setting, self._spec.name
        found: dict[str, MetricValue] = {}
        for title, metric in ((name, self._metric), (f"{name}-shuffled", self._control)):
            with metric.sync_context():
                (estimate,) = metric.estimates(*setting.bootstrap).values()
                chance = metric.chance().item()
                if metric is self._metric:
                    self.notes = [f"{self.title}: {note}" for note in metric.notes()]
            value = measured(estimate, self.network_sha256, setting, setting.plan.ids, chance)
            found[f"{title}{self._suffix}"] = value
        return found


class ClipScorer(Scorer):
    """CLIP score of each image with its caption.

    Args:
        spec: the metric.
        embedder: gives the vectors of images and captions.
        setting: what is scored.
    """

    def __init__(self, spec: CLIPScore, embedder: Embedder, setting: Setting) -> None:
        assert isinstance(embedder, CaptionEmbedder)
        self.title, self.embedder, self.network_sha256 = spec.name, embedder, embedder.sha256
        self._setting, self.wanted = setting, np.ones(len(setting.plan), bool)
        self._captions = torch.from_numpy(setting.plan.captions)
        self._sentences = embedder.captions(setting.split, setting.protocol).to(setting.device)
        self._metric = ClipScore().to(setting.device)

    def add(self, numbers: Tensor, rows: Rows) -> None:
        """Image vectors."""
        captions = self._captions[numbers].to(self._sentences.device)
        self._metric.update(rows[0], self._sentences[captions], numbers)

    def values(self) -> dict[str, MetricValue]:
        """Compute the mean score."""
        with self._metric.sync_context():
            (estimate,) = self._metric.estimates(*self._setting.bootstrap).values()
        return {self.title: measured(estimate, self.network_sha256, self._setting, self._setting.plan.ids)}
