"""Scorers of SpaText's metrics, which compare images with captions and with given segments."""

import hashlib
from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from t2igan.evaluation.features.embedders import CaptionEmbedder, Embedder, JointEmbedder, Rows, SegmenterEmbedder
from t2igan.evaluation.images.generate import NumberedImages
from t2igan.evaluation.images.told import UNSEEN, Told, told_of
from t2igan.evaluation.metrics.spatext import SpaTextGlobalDistance, SpaTextLocalDistance, SpaTextLocalIoU
from t2igan.evaluation.plan import shuffled_captions
from t2igan.evaluation.record import MetricValue
from t2igan.evaluation.scorers.base import Scorer, Setting, measured
from t2igan.layout.segments import Segments, crop_segments
from t2igan.metrics import spatext
from t2igan.models.conditioner import labels_of


class GlobalScorer(Scorer):
    """Distance of each image to its caption, and to the caption of another image.

    Args:
        spec: the metric.
        embedder: joint encoder of images and texts.
        setting: what is scored.
    """

    def __init__(self, spec: SpaTextGlobalDistance, embedder: Embedder, setting: Setting) -> None:
        assert isinstance(embedder, CaptionEmbedder)
        self.title, self.embedder, self.network_sha256 = spec.name, embedder, embedder.sha256
        self._setting, self.wanted = setting, np.ones(len(setting.plan), bool)
        captions = setting.plan.captions
        shuffled = shuffled_captions(captions, setting.split.caption_images[captions], spec.seed)
        sentences = embedder.captions(setting.split, setting.protocol).to(setting.device)
        self._own = [
            (name, torch.from_numpy(ids), sentences, spatext.GlobalDistance().to(setting.device))
            for name, ids in ((spec.name, captions), (f"{spec.name}-shuffled", shuffled))
        ]

    def add(self, numbers: Tensor, rows: Rows) -> None:
        """Store image vectors."""
        for _, captions, sentences, metric in self._own:
            metric.update(rows[0], sentences[captions[numbers].to(sentences.device)], numbers)

    def values(self) -> dict[str, MetricValue]:
        """Compute both distances."""
        found, setting = {}, self._setting
        for name, _, _, metric in self._own:
            with metric.sync_context():
                [estimate] = metric.estimates(*setting.bootstrap).values()
            found[name] = measured(estimate, self.network_sha256, setting, setting.plan.ids)
        return found


class SegmentEmbedder(Embedder):
    """Values of the given segments of each image, in columns of ``protocol.segments``; NaN without a segment.

    Columns: own masks and texts as given; those of another image; own with exact masks; 1 for segments whose like
    no training image shows, 0 for those whose like one does, NaN for those that are in neither group.

    Args:
        network: joint encoder or segmenter.
        setting: settings of the evaluation, which determine the segments.
        seed: seed of the shuffling.
    """

    def __init__(self, network: Embedder, setting: Setting, seed: int) -> None:
        self._network, self._setting = network, setting
        self.name, self.sha256, self.source = network.name, network.sha256, network.source
        captions = setting.plan.captions
        self._shuffled = shuffled_captions(captions, setting.split.caption_images[captions], seed)
        self._partners = hashlib.sha256(self._shuffled.tobytes()).hexdigest()

    @property
    def identity(self) -> list[str]:
        """Includes the assignment of other images' segments, which depends on the whole plan."""
        return [*super().identity, self._partners, "seen and unseen of pairs alone"]

    @torch.no_grad()
    def __call__(self, shown: NumberedImages) -> Rows:
        """Compute one tensor (B, 4 K)."""
        store, protocol, numbers = self._setting.store, self._setting.protocol, shown.numbers.numpy()
        split, images = self._setting.split, shown.images
        own, other = (
            told_of(split, store.image_size, protocol, ids[numbers])
            for ids in (self._setting.plan.captions, self._shuffled)
        )
        seen = self._seen(images)
        is_unseen = UNSEEN.get(store.name, lambda text: None)
        answers = [is_unseen(text) for text in own.given.flat_texts]
        flags = [float("nan") if answer is None else float(answer) for answer in answers]
        columns = [
            self._spread(self._values(seen, images, own, own.given), own.given),
            self._spread(self._values(seen, images, other, other.given), other.given),
            self._spread(self._values(seen, images, own, own.exact), own.exact),
            self._spread(torch.tensor(flags), own.given),
        ]
        return (torch.cat(columns, dim=1),)

    def _embed(self, images: Tensor) -> Rows:
        return self._network._embed(images)

    def _seen(self, images: Tensor) -> Tensor | None:
        """Output of the network for whole images, for values that need it."""
        return None

    @abstractmethod
    def _values(self, seen: Tensor | None, images: Tensor, told: Told, segments: Segments) -> Tensor:
        """The value of each segment, float (N,), in the order of ``segments.places``."""

    def _spread(self, values: Tensor, segments: Segments) -> Tensor:
        """Scatter values to (B, K) on the CPU, by image and position."""
        table = torch.full((len(segments), self._setting.protocol.segments), torch.nan)
        for (image, place), value in zip(segments.places, values.tolist()):
            table[image, place] = value
        return table


class LocalDistances(SegmentEmbedder):
    """Cosine distances between crops and texts."""

    def _values(self, seen: Tensor | None, images: Tensor, told: Told, segments: Segments) -> Tensor:
        assert isinstance(self._network, JointEmbedder)
        encoder, masks = self._network.network, segments.masks
        crops = crop_segments(images, segments, encoder.side)
        vectors, texts = encoder.image_vectors(crops), encoder.caption_vectors(segments.flat_texts)
        return spatext.cosine_distances(vectors, texts).cpu().masked_fill(~masks.any(2).any(1), torch.nan)


class LocalIoUs(SegmentEmbedder):
    """IoU of masks and a segmenter's predictions."""

    def _seen(self, images: Tensor) -> Tensor | None:
        assert isinstance(self._network, SegmenterEmbedder)
        return self._network.network.label_maps(images).cpu()

    def _values(self, seen: Tensor | None, images: Tensor, told: Told, segments: Segments) -> Tensor:
        assert seen is not None
        places = torch.tensor([image for image, _ in segments.places], dtype=torch.int64)
        # The label comes from the exact mask: a rough one may overlap other things.
        return spatext.local_ious(seen, places, segments.masks, labels_of(told.exact, told.layouts))


class SegmentScorer(Scorer):
    """Means over the given segments, and over those seen and unseen in training.

    Args:
        spec: the metric.
        embedder: computes the values of the segments.
        setting: what is scored.
    """

    def __init__(
        self, spec: SpaTextLocalDistance | SpaTextLocalIoU, embedder: SegmentEmbedder, setting: Setting
    ) -> None:
        self.title, self.embedder, self.network_sha256 = spec.name, embedder, embedder.sha256
        self._setting, self.wanted = setting, np.ones(len(setting.plan), bool)
        kind = spatext.LocalDistance if isinstance(spec, SpaTextLocalDistance) else spatext.LocalIoU
        kinds = ["", "-shuffled", "-seen", "-unseen"]
        if isinstance(spec, SpaTextLocalIoU) and setting.protocol.segments_masks != "exact":
            kinds.append("-exact")
        self._metrics = {ending: kind().to(setting.device) for ending in kinds}

    def add(self, numbers: Tensor, rows: Rows) -> None:
        """Store the values of the segments."""
        device = self._setting.device
        own, other, exact, unseen = rows[0].to(device).chunk(4, dim=1)
        places = torch.arange(own.shape[1], device=device)
        index = spatext.segment_numbers(numbers.to(device)[:, None], places)
        columns = {"": own, "-shuffled": other, "-exact": exact}
        columns |= {"-seen": own.where(unseen == 0, torch.nan), "-unseen": own.where(unseen == 1, torch.nan)}
        for ending, metric in self._metrics.items():
            metric.update(columns[ending].flatten(), index.flatten())

    def values(self) -> dict[str, MetricValue]:
        """Compute the means of all groups that have segments."""
        found, setting = {}, self._setting
        for ending, metric in self._metrics.items():
            with metric.sync_context():
                [estimate] = metric.estimates(*setting.bootstrap).values()
            if estimate.count:
                value = measured(estimate, self.network_sha256, setting, setting.plan.ids)
                found[f"{self.title}{ending}"] = value
        return found
