"""Which networks a protocol needs, which metrics cannot be computed and why, and who scores."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from t2igan.data.store import Store
from t2igan.errors import UserError
from t2igan.evaluation.costs import NETWORK, part
from t2igan.evaluation.embedders import BackboneEmbedder, ClipEmbedder, DamsmEmbedder, Judge
from t2igan.evaluation.feature_scorers import FeatureScorer, Statistics
from t2igan.evaluation.metric_specs import (
    FID,
    KID,
    PRDC,
    CLIPRPrecision,
    CLIPScore,
    FDClassifier,
    FIDInfinity,
    Inception,
    LPIPSDiversity,
    RPrecision,
)
from t2igan.evaluation.plan import Plan
from t2igan.evaluation.protocol import Protocol
from t2igan.evaluation.record import by_reason
from t2igan.evaluation.scorers import ClipScorer, MatchingScorer, Scorer, encode_captions
from t2igan.evaluation.subjects import RealImages, Subject
from t2igan.metrics.backbones import InceptionBackbone
from t2igan.metrics.clip import ClipEncoder
from t2igan.metrics.lpips import LpipsNetwork
from t2igan.metrics.statistics import read_statistics
from t2igan.metrics.weights import file_sha256
from t2igan.models.classifier import ClassifierBackbone


@dataclass(frozen=True)
class Options:
    """What may change without changing a number.

    Attributes:
        batch_size: pictures at a time.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...
        weights_folder: where the weights of Inception and LPIPS, and statistics of references, are looked for.
        download: whether the net may be asked for them.
        skip_missing: leave out metrics whose networks are not there, and say so in the record.
        cache: folder where the rows of networks are kept, None to keep none.
        clip: folder of a CLIP, None for none.
    """

    batch_size: int = 64
    device: str = "auto"
    weights_folder: Path = Path("checkpoints")
    download: bool = True
    skip_missing: bool = False
    cache: Path | None = None
    clip: Path | None = None


@dataclass
class Networks:
    """What was found for the metrics of a protocol.

    Attributes:
        backbones: each with the metrics that share it.
        statistics: of a precomputed reference, and the sha256 of its file.
        judges: for R-precision.
        clip: for the metrics of CLIP.
        lpips: for the diversity.
        not_computed: why a metric is left out, by its name.
        sentences: vectors of all captions of the split by the network's sha256; made once, however often it scores.
    """

    backbones: list[tuple[BackboneEmbedder, list[Any]]] = field(default_factory=list)
    statistics: tuple[Statistics, str] | None = None
    judges: Sequence[Judge] = ()
    clip: ClipEncoder | None = None
    lpips: LpipsNetwork | None = None
    not_computed: dict[str, str] = field(default_factory=dict)
    sentences: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def sha256(self) -> dict[str, str]:
        """sha256 by name of all that values are made of beside pictures and DAMSMs."""
        found = {embedder.name: embedder.sha256 for embedder, _ in self.backbones}
        if self.clip is not None:
            found[ClipEmbedder.name] = self.clip.sha256
        if self.statistics is not None:
            found["statistics of the reference"] = self.statistics[1]
        if self.lpips is not None:
            found["lpips"] = self.lpips.sha256
        return found


def find_networks(
    subject: Subject,
    protocol: Protocol,
    judges: Sequence[Judge],
    classifier: ClassifierBackbone | None,
    options: Options,
    device: torch.device,
) -> Networks:
    """The networks that the protocol's metrics need.

    Raises:
        UserError: naming everything that is missing at once, unless metrics may be left out; or nothing is left.
    """
    networks, missing = Networks(), {}
    find = _Finder(networks, judges, classifier, options, device)
    for spec in protocol.metrics:
        reason = _impossible(spec, subject, protocol)
        if reason:
            networks.not_computed[spec.name] = reason
            continue
        try:
            find(spec)
        except UserError as error:
            missing[spec.name] = str(error)
    if missing and not options.skip_missing:
        lines = _in_words(missing)
        raise UserError(f"{protocol.name} needs what is not there (--skip_missing true leaves it out): {lines}")
    networks.not_computed |= missing
    if len(networks.not_computed) == len(protocol.metrics):
        reasons = _in_words(networks.not_computed)
        raise UserError(f"no metric of protocol {protocol.name} can be computed: {reasons}")
    return networks


def _in_words(missing: dict[str, str]) -> str:
    return "; ".join(f"{names}: {reason}" for names, reason in by_reason(missing))


class _Finder:
    """Finds what one metric needs, and puts it where it belongs.

    Raises, when called, a UserError that says what is missing.
    """

    def __init__(
        self,
        networks: Networks,
        judges: Sequence[Judge],
        classifier: ClassifierBackbone | None,
        options: Options,
        device: torch.device,
    ) -> None:
        self._networks, self._judges, self._classifier = networks, judges, classifier
        self._options, self._device = options, device
        self._backbones: dict[tuple[str, ...], tuple[BackboneEmbedder, list[Any]]] = {}

    def __call__(self, spec: Any) -> None:
        """Find it."""
        if isinstance(spec, RPrecision):
            self._need(self._judges, "no DAMSM: train one with a damsm.yaml and give --damsm")
            self._networks.judges = self._judges
        elif isinstance(spec, CLIPRPrecision | CLIPScore):
            self._need(self._options.clip, "no CLIP: give the folder of one with --clip")
            self._networks.clip = self._networks.clip or ClipEncoder(self._options.clip)
        elif isinstance(spec, LPIPSDiversity):
            self._networks.lpips = LpipsNetwork(
                folder=self._options.weights_folder, download=self._options.download
            )
        else:
            # The file first: without it the network would be loaded for nothing.
            statistics = self._statistics(spec) if isinstance(spec, FID) and spec.statistics else None
            self._backbone(spec)
            self._networks.statistics = statistics or self._networks.statistics

    @staticmethod
    def _need(thing: Any, otherwise: str) -> None:
        if not thing:
            raise UserError(otherwise)

    def _statistics(self, spec: FID) -> tuple[Statistics, str]:
        path = self._options.weights_folder / spec.statistics
        statistics = read_statistics(path, InceptionBackbone.feature_dim)
        return statistics, file_sha256(path)

    def _backbone(self, spec: Any) -> None:
        inception = isinstance(spec, Inception) and spec.flavour != "classifier"
        key = (spec.flavour, spec.resize, spec.source) if inception else ("classifier",)
        if key not in self._backbones:
            embedder = self._inception(spec) if inception else self._own_classifier()
            self._backbones[key] = embedder, []
            self._networks.backbones.append(self._backbones[key])
        self._backbones[key][1].append(spec)

    def _inception(self, spec: Inception) -> BackboneEmbedder:
        backbone = InceptionBackbone(
            spec.flavour,
            folder=self._options.weights_folder,
            download=self._options.download,
            resize=None if spec.resize == "flavour" else spec.resize,
        )
        return BackboneEmbedder(backbone, spec.source, self._device)

    def _own_classifier(self) -> BackboneEmbedder:
        self._need(
            self._classifier, "no evaluation classifier: train one with a classifier.yaml and give --classifier"
        )
        return BackboneEmbedder(self._classifier, "uint8", self._device)


def _impossible(spec: Any, subject: Subject, protocol: Protocol) -> str:
    """Why a metric makes no sense for a subject, or an empty string."""
    against_itself = (
        isinstance(subject, RealImages)
        and isinstance(spec, FID | FDClassifier | FIDInfinity | KID | PRDC)
        and not getattr(spec, "statistics", "")
        and (protocol.reference, protocol.reference_of) == ("whole", protocol.split)
    )
    if against_itself:
        return "the reference is these very images; a protocol with `reference: halves` has this row"
    about_captions = isinstance(spec, RPrecision | CLIPRPrecision | CLIPScore)
    if about_captions and not subject.knows_captions:
        return "the file names do not tell the captions; name files <key>_c<number of the caption>"
    if getattr(spec, "source", "uint8") == "float" and not subject.has_floats:
        return "the protocol scores pictures before quantisation, which these have not"
    if isinstance(spec, LPIPSDiversity) and not subject.has_floats:
        return "it needs several pictures of one caption, which only a generator draws"
    return ""


def make_scorers(
    networks: Networks,
    subject: Subject,
    protocol: Protocol,
    store: Store,
    plan: Plan,
    device: torch.device,
) -> list[Scorer]:
    """A scorer for each backbone, and for each judge of captions."""
    split = store.split(protocol.split)
    specs = {type(spec): spec for spec in protocol.metrics if spec.name not in networks.not_computed}
    distinct = subject.distinct(plan, split)
    scorers: list[Scorer] = []
    for embedder, own in networks.backbones:
        precomputed = networks.statistics if any(isinstance(spec, FID) for spec in own) else None
        scorers.append(FeatureScorer(embedder, own, protocol, distinct, device, *(precomputed or ())))
    for judge in networks.judges:
        spec = specs[RPrecision]
        embedder = DamsmEmbedder(judge, spec.source, device, spec.resize)
        if judge.sha256 not in networks.sentences:
            networks.sentences[judge.sha256] = encode_captions(judge.module, split, protocol, device)
        sentences = networks.sentences[judge.sha256]
        scorers.append(MatchingScorer(embedder, judge.label, sentences, spec, protocol, split, plan, device))
    if networks.clip is not None:
        embedder = ClipEmbedder(networks.clip, device)
        if networks.clip.sha256 not in networks.sentences:
            texts = [split.caption_text(caption) for caption in range(split.n_captions)]
            with part(f"{NETWORK} clip, captions"):
                networks.sentences[networks.clip.sha256] = networks.clip.caption_vectors(texts)
        sentences = networks.sentences[networks.clip.sha256]
        if CLIPRPrecision in specs:
            spec = specs[CLIPRPrecision]
            scorers.append(MatchingScorer(embedder, None, sentences, spec, protocol, split, plan, device))
        if CLIPScore in specs:
            scorers.append(ClipScorer(embedder, sentences, protocol, plan, device))
    return scorers
