"""What feeds the metrics with the rows of a network, and turns them into values for the record."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from t2igan.data.store import Store, StoreSplit
from t2igan.errors import UserError
from t2igan.evaluation.costs import NETWORK, part
from t2igan.evaluation.embedders import Embedder, Judge, Rows
from t2igan.evaluation.generate import batches, caption_tokens, caption_words
from t2igan.evaluation.metric_specs import CLIPRPrecision, RPrecision
from t2igan.evaluation.plan import Plan, shuffled_captions
from t2igan.evaluation.protocol import Protocol
from t2igan.evaluation.record import MetricValue
from t2igan.evaluation.subjects import label_of, require_same_words
from t2igan.metrics import r_precision
from t2igan.metrics.bootstrap import interval, mean_replicates
from t2igan.metrics.clip import ClipScore
from t2igan.models.classifier import ClassifierBackbone, EvaluationClassifier
from t2igan.models.damsm import DAMSM
from t2igan.models.suite_module import content_sha256, load_module

CAPTIONS_AT_A_TIME = 512
# Keeps the control's candidates apart from those of the metric that it controls.
CONTROL_SEED_OFFSET = 1_000_003
# Values by name, and by the name of the metric why it could not be computed.
Values = tuple[dict[str, MetricValue], dict[str, str]]


class Scorer(ABC):
    """Metrics made of the rows of one network.

    Attributes:
        embedder: the network.
        wanted: bool (N,), the pictures whose rows it takes.
        wants_reference: whether it takes the reference's rows too.
        notes: what a reader of the values should know, once they are there.
    """

    embedder: Embedder
    wanted: np.ndarray
    wants_reference = False
    notes: Sequence[str] = ()

    @abstractmethod
    def add(self, numbers: Tensor, rows: Rows) -> None:
        """Take the rows (B, ...) of the pictures ``numbers``, int64 (B,)."""

    def add_reference(self, numbers: Tensor, rows: Rows) -> None:
        """Take the rows of reference images; only where ``wants_reference``."""
        raise NotImplementedError(f"{type(self).__name__} wants no reference")

    @abstractmethod
    def values(self) -> Values:
        """The metrics over the pictures of all processes, and why some could not be computed."""


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
        sha256, label = content_sha256(module), label_of(path)
        if sha256 in {judge.sha256 for judge in judges}:
            raise UserError(f"--damsm: {path} is given twice; the second is to be a DAMSM of another seed")
        if label in {judge.label for judge in judges}:
            label = f"{label}-{sha256[:8]}"
        origin = ", ".join(f"{part['file']} ({part['sha256'][:12]})" for part in module.imported.values())
        judges.append(Judge(label, sha256, module, origin))
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
    return module.backbone(content_sha256(module))


class MatchingScorer(Scorer):
    """R-precision, and its control: the same pictures under captions of other classes.

    All candidates of the control, the ranked one included, are of other classes than the picture. None of them is
    distinguished then, however well the network knows the picture's own class, and its value must be chance.

    Args:
        embedder: gives the image vectors.
        judge: its label, for the names of the values; None for none.
        sentences: (M, D), vectors of all captions of the split.
        spec: options.
        protocol: gives the bootstrap.
        split: whose captions are the candidates.
        plan: all pictures.
        device: where to score.
    """

    def __init__(
        self,
        embedder: Embedder,
        judge: str | None,
        sentences: Tensor,
        spec: RPrecision | CLIPRPrecision,
        protocol: Protocol,
        split: StoreSplit,
        plan: Plan,
        device: torch.device,
    ) -> None:
        self.embedder, self.spec, self._protocol = embedder, spec, protocol
        self.wanted = np.ones(len(plan), bool)
        self._suffix = "" if judge is None else f"@{judge}"
        image_ids = split.caption_images
        class_ids = split.class_ids[image_ids]
        groups = class_ids if spec.negatives == "other-class" else image_ids
        shuffled = shuffled_captions(plan.captions, groups[plan.captions], spec.seed)
        self._captions, self._draws, self._shuffled = map(torch.from_numpy, (plan.captions, plan.draws, shuffled))
        self._metric, self._control = (
            self._make(class_ids, image_ids, sentences, seed, device)
            for seed in (spec.seed, spec.seed + CONTROL_SEED_OFFSET)
        )

    def _make(
        self, class_ids: np.ndarray, image_ids: np.ndarray, sentences: Tensor, seed: int, device: torch.device
    ) -> r_precision.RPrecision:
        spec = self.spec
        folds = spec.folds, spec.fold_mode
        metric = r_precision.RPrecision(class_ids, image_ids, spec.candidates, *folds, spec.negatives, seed).to(
            device
        )
        metric.set_captions(sentences)
        return metric

    def add(self, numbers: Tensor, rows: Rows) -> None:
        """Image vectors."""
        captions, draws = self._captions[numbers], self._draws[numbers]
        with part(f"metric {self.spec.name}"):
            self._metric.update(rows[0], captions, draws)
            self._control.update(rows[0], captions, draws, self._shuffled[numbers])

    def values(self) -> Values:
        """The metric and its control."""
        found: dict[str, MetricValue] = {}
        name = self.spec.name
        try:
            for title, metric in ((name, self._metric), (f"{name}-shuffled", self._control)):
                mean, spread = metric.compute()
                with metric.sync_context():
                    hits, chance = metric.hits(), metric.chance().item()
                    if metric is self._metric:
                        self.notes = [f"{name}{self._suffix}: {note}" for note in metric.notes()]
                judge = self.embedder.sha256
                value = MetricValue(mean.item(), spread.item(), len(hits), judge, chance, spread_over="folds")
                found[f"{title}{self._suffix}"] = with_interval(value, hits, self._protocol)
        except UserError as error:
            return {}, {f"{name}{self._suffix}": str(error)}
        return found, {}


class ClipScorer(Scorer):
    """CLIP score of each picture with its caption.

    Args:
        embedder: gives the image vectors.
        sentences: (M, D), unit vectors of all captions of the split.
        protocol: gives the bootstrap.
        plan: all pictures.
        device: where to score.
    """

    def __init__(
        self, embedder: Embedder, sentences: Tensor, protocol: Protocol, plan: Plan, device: torch.device
    ) -> None:
        self.embedder, self.wanted, self._protocol = embedder, np.ones(len(plan), bool), protocol
        self._captions, self._sentences = torch.from_numpy(plan.captions), sentences.to(device)
        self._metric = ClipScore().to(device)

    def add(self, numbers: Tensor, rows: Rows) -> None:
        """Image vectors."""
        captions = self._captions[numbers].to(self._sentences.device)
        self._metric.update(rows[0], self._sentences[captions], numbers)

    def values(self) -> Values:
        """The score; its spread is over pictures."""
        scores = self._metric.compute().double()
        value = MetricValue(
            scores.mean().item(),
            scores.std(correction=0).item(),
            len(scores),
            self.embedder.sha256,
            spread_over="images",
        )
        return {"clip-score": with_interval(value, scores, self._protocol)}, {}


def with_interval(value: MetricValue, samples: Tensor, protocol: Protocol) -> MetricValue:
    """A mean over samples (N,) with its confidence interval, where the protocol wants one."""
    if not protocol.bootstrap:
        return value
    replicates = mean_replicates(samples, protocol.bootstrap, protocol.bootstrap_seed)
    low, high = interval(value.value, replicates, protocol.confidence)
    return replace(value, low=low, high=high)


@torch.no_grad()
def encode_captions(damsm: DAMSM, split: StoreSplit, protocol: Protocol, device: torch.device) -> Tensor:
    """Sentence vectors (M, D) of every caption of a split; equal captions are encoded once."""
    encoder = damsm.text_encoder.to(device)
    # Captions with equal words get equal vectors to the last bit, wherever they stand in a batch: they tie then.
    first: dict[bytes, int] = {}
    words = (
        caption_words(split, caption, protocol.words, protocol.words_seed) for caption in range(split.n_captions)
    )
    places = [first.setdefault(own.tobytes(), len(first)) for own in words]
    sentences, different = [], np.unique(places, return_index=True)[1]
    for batch in batches(different, CAPTIONS_AT_A_TIME):
        captions, lengths = caption_tokens(split, batch, protocol.words, protocol.words_seed)
        with part(f"{NETWORK} damsm, captions"):
            sentences.append(encoder(captions.to(device), lengths.to(device)).sentence)
    return torch.cat(sentences)[torch.tensor(places, device=device)]
