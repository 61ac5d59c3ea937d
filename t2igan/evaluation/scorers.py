"""Metrics fed by the one pass over the pictures, each network used once per picture."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from t2igan.data.store import Store, StoreSplit
from t2igan.errors import UserError
from t2igan.evaluation.control import ShuffledRPrecision
from t2igan.evaluation.generate import Pictures, batches, caption_tokens
from t2igan.evaluation.plan import Plan, shuffled_captions
from t2igan.evaluation.protocol import ISClassifier, Protocol, RPrecision
from t2igan.evaluation.record import MetricValue
from t2igan.evaluation.subjects import label_of, require_same_words
from t2igan.metrics import r_precision
from t2igan.metrics.backbones import Backbone
from t2igan.metrics.frechet import FrechetDistance
from t2igan.metrics.inception_score import InceptionScore
from t2igan.metrics.weights import file_sha256
from t2igan.models.classifier import ClassifierBackbone, EvaluationClassifier
from t2igan.models.damsm import DAMSM
from t2igan.models.suite_module import load_module
from t2igan.nn.images import to_signed

CAPTIONS_AT_A_TIME = 512


class Scorer(ABC):
    """Some metrics that share a network."""

    @abstractmethod
    def add(self, pictures: Pictures) -> None:
        """Take pictures that are scored."""

    @abstractmethod
    def add_reference(self, images: Tensor) -> None:
        """Take reference images, uint8 (B, 3, S, S)."""

    @abstractmethod
    def values(self) -> dict[str, MetricValue]:
        """The metrics by name, over the pictures of all processes."""


class BackboneScorer(Scorer):
    """Frechet distance and inception score of one backbone. Pictures shown before are left out.

    Args:
        backbone: the network, on its device.
        frechet: name of the Frechet distance, None for none.
        inception: options of the inception score, None for none.
        distinct: bool (N,), False for pictures shown before.
        device: of the metrics.
    """

    def __init__(
        self,
        backbone: Backbone,
        frechet: str | None,
        inception: ISClassifier | None,
        distinct: np.ndarray,
        device: torch.device,
    ) -> None:
        self.backbone, self.frechet_name, self.inception_spec = backbone, frechet, inception
        self._distinct = torch.from_numpy(distinct)
        self._frechet = FrechetDistance(backbone.feature_dim).to(device) if frechet else None
        self._inception = None
        if inception:
            self._inception = InceptionScore(inception.splits, inception.drop_remainder, inception.seed).to(
                device
            )

    def add_reference(self, images: Tensor) -> None:
        """Features of the reference."""
        if self._frechet is not None:
            self._frechet.update(self.backbone(images)[0], real=True)

    def add(self, pictures: Pictures) -> None:
        """Features and class probabilities."""
        new = self._distinct[pictures.numbers]
        if not new.any():
            return
        features, logits = self.backbone(pictures.images[new.to(pictures.images.device)])
        if self._frechet is not None:
            self._frechet.update(features, real=False)
        if self._inception is not None:
            self._inception.update(logits.softmax(dim=1), pictures.numbers[new])

    def values(self) -> dict[str, MetricValue]:
        """What was asked for."""
        count, judge, found = int(self._distinct.sum()), self.backbone.sha256, {}
        if self._frechet is not None:
            found[self.frechet_name] = MetricValue(self._frechet.compute().item(), None, count, judge)
        if self._inception is not None:
            mean, spread = self._inception.compute()
            found[self.inception_spec.name] = MetricValue(mean.item(), spread.item(), count, judge)
        return found


@dataclass(frozen=True)
class Judge:
    """A DAMSM that scores.

    Attributes:
        label: for the names of metrics.
        sha256: of its checkpoint.
        module: the DAMSM.
    """

    label: str
    sha256: str
    module: DAMSM


def load_judges(paths: Sequence[str | Path], store: Store) -> list[Judge]:
    """DAMSMs out of checkpoints, under labels that differ.

    Raises:
        UserError: one cannot be read, is no DAMSM, knows other words than the store, or is given twice.
    """
    judges: list[Judge] = []
    for path in paths:
        module = load_module(path)
        if not isinstance(module, DAMSM):
            raise UserError(f"--damsm: {path} holds {type(module).__name__}, not a DAMSM")
        require_same_words(module, store, str(path))
        sha256, label = file_sha256(Path(path)), label_of(path)
        if sha256 in {judge.sha256 for judge in judges}:
            raise UserError(f"--damsm: {path} is given twice; the second is to be a DAMSM of another seed")
        if label in {judge.label for judge in judges}:
            label = f"{label}-{sha256[:8]}"
        judges.append(Judge(label, sha256, module))
    return judges


def load_classifier(path: str | Path, store: Store) -> ClassifierBackbone:
    """The backbone of the evaluation classifier in a checkpoint.

    Raises:
        UserError: it cannot be read, is no classifier, or was trained on another vocabulary than the store's.
    """
    module = load_module(path)
    if not isinstance(module, EvaluationClassifier):
        raise UserError(f"--classifier: {path} holds {type(module).__name__}, not an EvaluationClassifier")
    require_same_words(module, store, str(path))
    return module.backbone(file_sha256(Path(path)))


class MatchingScorer(Scorer):
    """R-precision of one DAMSM, and its control: the same pictures under captions of other classes.

    Args:
        judge: the DAMSM, which is moved to ``device``.
        spec: options.
        protocol: gives the words.
        split: whose captions are the candidates.
        plan: all pictures.
        device: where to score.
    """

    def __init__(
        self,
        judge: Judge,
        spec: RPrecision,
        protocol: Protocol,
        split: StoreSplit,
        plan: Plan,
        device: torch.device,
    ) -> None:
        self.judge, self.spec = judge, spec
        self._count = len(plan)
        image_ids = split.caption_images
        class_ids = split.class_ids[image_ids]
        groups = class_ids if spec.negatives == "other-class" else image_ids
        shuffled = shuffled_captions(plan.captions, groups[plan.captions], spec.seed)
        self._captions, self._shuffled = torch.from_numpy(plan.captions), torch.from_numpy(shuffled)
        self._encoder = judge.module.image_encoder.to(device)
        sentences = encode_captions(judge.module, split, protocol, device)
        options = asdict(spec)
        del options["source"]
        self._metric = r_precision.RPrecision(class_ids, image_ids, **options).to(device)
        self._metric.set_captions(sentences)
        self._control = ShuffledRPrecision(class_ids, image_ids, sentences, spec).to(device)

    def add_reference(self, images: Tensor) -> None:
        """The reference plays no part in R-precision."""

    @torch.no_grad()
    def add(self, pictures: Pictures) -> None:
        """Image vectors."""
        seen = pictures.drawn if self.spec.source == "float" and pictures.drawn is not None else None
        _, codes = self._encoder(to_signed(pictures.images) if seen is None else seen)
        numbers = pictures.numbers
        captions, shuffled = self._captions[numbers], self._shuffled[numbers]
        self._metric.update(codes, captions, numbers)
        self._control.update(codes, captions, shuffled, numbers)

    def values(self) -> dict[str, MetricValue]:
        """The metric and its control."""
        found = {}
        for name, metric in (("r-precision", self._metric), ("r-precision-shuffled", self._control)):
            mean, spread = metric.compute()
            found[f"{name}@{self.judge.label}"] = MetricValue(
                mean.item(), spread.item(), self._count, self.judge.sha256, 1 / self.spec.candidates
            )
        return found


@torch.no_grad()
def encode_captions(damsm: DAMSM, split: StoreSplit, protocol: Protocol, device: torch.device) -> Tensor:
    """Sentence vectors (M, D) of every caption of a split, each encoded once."""
    encoder = damsm.text_encoder.to(device)
    sentences = []
    for batch in batches(range(split.n_captions), CAPTIONS_AT_A_TIME):
        captions, lengths = caption_tokens(split, batch, protocol.words, protocol.words_seed)
        sentences.append(encoder(captions.to(device), lengths.to(device)).sentence)
    return torch.cat(sentences)
