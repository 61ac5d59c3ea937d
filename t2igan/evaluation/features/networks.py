"""Load the networks of a protocol's metrics, from objects that were given or from files of weights.

A metric names a :class:`NetworkSource`; equal sources share one network. A user's metric with its own network
defines its own source.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from t2igan.data.store import Store
from t2igan.errors import UserError
from t2igan.evaluation.features.embedders import (
    BackboneEmbedder,
    ClipEmbedder,
    DamsmEmbedder,
    Embedder,
    JointEmbedder,
    PairEmbedder,
    ScoringDamsm,
    SegmenterEmbedder,
)
from t2igan.evaluation.subjects.chosen import checkpoint_of, checkpoint_or_folder
from t2igan.evaluation.subjects.generated import label_of, require_same_words
from t2igan.metrics.backbones import Flavour, InceptionBackbone, Resize
from t2igan.metrics.lpips import LpipsNetwork
from t2igan.metrics.open_clip import load_clip
from t2igan.metrics.statistics import read_statistics
from t2igan.metrics.weights import PUBLISHED, file_sha256
from t2igan.models.classifier import ClassifierBackbone, EvaluationClassifier
from t2igan.models.damsm import DAMSM
from t2igan.models.joint_encoder import load_joint_encoder
from t2igan.models.segmenter import load_segmenter
from t2igan.models.suite_module import content_sha256, load_module

Statistics = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class NetworkOptions:
    """Options of an evaluation that do not change its values.

    Attributes:
        batch_size: images at a time.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...
        weights_folder: folder of the weights of Inception and LPIPS, and of reference statistics.
        download: whether missing weights may be downloaded.
        skip_missing: skip metrics whose networks are missing, and note it in the record.
        cache: folder of the feature cache, None to disable it.
        clip: folder of a CLIP, None for none.
        encoder: encoder of SpaText's distances: folder of a CLIP, or a SegmentEncoder's checkpoint or run, or None.
        segmenter: segmenter of local IoU: folder of transformers, or a Segmenter's checkpoint or run, or None.
        bootstrap: replicates for the confidence intervals where the protocol asks for none, 0 for none.
        remedy: how to request ``skip_missing``, in the terms of the calling command, for error messages.
    """

    batch_size: int = 64
    device: str = "auto"
    weights_folder: Path = Path("checkpoints")
    download: bool = True
    skip_missing: bool = False
    cache: Path | None = None
    clip: Path | None = None
    encoder: Path | None = None
    segmenter: Path | None = None
    bootstrap: int = 0
    remedy: str = "--skip_missing true"


class Supply:
    """Provides the networks of an evaluation; each is loaded once.

    Attributes:
        damsms: DAMSMs for R-precision.
        classifier: backbone of the evaluation classifier, None without one.
        options: folders of files, and whether metrics may be skipped.
        device: device of the networks.
        sha256: sha256 of each network or file used, by name, except for DAMSMs.
    """

    def __init__(
        self,
        damsms: Sequence[ScoringDamsm],
        classifier: ClassifierBackbone | None,
        options: NetworkOptions,
        device: torch.device,
    ) -> None:
        self.damsms, self.classifier, self.options, self.device = damsms, classifier, options, device
        self.sha256: dict[str, str] = {}
        self._found: dict[NetworkSource, Sequence[Embedder]] = {}
        self._statistics: dict[str, tuple[Statistics, str]] = {}

    def embedders(self, source: "NetworkSource") -> Sequence[Embedder]:
        """The networks of a source.

        Raises:
            UserError: the network is missing.
        """
        if source not in self._found:
            found = source.find(self)
            self._found[source] = found
            self.sha256 |= {each.name: each.sha256 for each in found if not isinstance(each, DamsmEmbedder)}
        return self._found[source]

    def statistics(self, file: str) -> tuple[Statistics, str]:
        """Mean and covariance of a reference's Inception features, and the sha256 of their file.

        Raises:
            UserError: the file is missing.
        """
        if file not in self._statistics:
            path = self.options.weights_folder / file
            statistics = read_statistics(path, InceptionBackbone.feature_dim)
            self._statistics[file] = statistics, file_sha256(path)
            self.sha256["statistics of the reference"] = self._statistics[file][1]
        return self._statistics[file]


class NetworkSource(ABC):
    """Base class of frozen dataclasses that describe the network of a metric, and find it."""

    @abstractmethod
    def find(self, supply: Supply) -> Sequence[Embedder]:
        """Find the network, or several networks that each give a value.

        Raises:
            UserError: the network is missing; names the remedy.
        """


@dataclass(frozen=True)
class InceptionSource(NetworkSource):
    """Inception in a flavour, see :class:`t2igan.metrics.backbones.InceptionBackbone`."""

    flavour: Flavour
    resize: Resize | Literal["flavour"]
    source: Literal["uint8", "float"]

    @property
    def by_hand(self) -> tuple[str, ...]:
        """Name of the weights file for a flavour that nobody publishes in a readable form."""
        published = PUBLISHED.get(f"inception-{self.flavour}")
        return () if published is None or published.sha256_prefix else published.files

    def find(self, supply: Supply) -> Sequence[Embedder]:
        """From its file of weights."""
        backbone = InceptionBackbone(
            self.flavour,
            folder=supply.options.weights_folder,
            download=supply.options.download,
            resize=None if self.resize == "flavour" else self.resize,
        )
        return [BackboneEmbedder(backbone, self.source, supply.device)]


@dataclass(frozen=True)
class ClassifierSource(NetworkSource):
    """The evaluation classifier."""

    def find(self, supply: Supply) -> Sequence[Embedder]:
        """As it was given."""
        if supply.classifier is None:
            raise UserError("no evaluation classifier: train one with a classifier.yaml and give --classifier")
        return [BackboneEmbedder(supply.classifier, "uint8", supply.device)]


@dataclass(frozen=True)
class DamsmSource(NetworkSource):
    """All given DAMSMs, see :class:`DamsmEmbedder`."""

    source: Literal["uint8", "float"]
    resize: Literal["damsm", "align-corners", "half-pixel"]

    def find(self, supply: Supply) -> Sequence[Embedder]:
        """As they were given."""
        if not supply.damsms:
            raise UserError("no DAMSM: train one with a damsm.yaml and give --damsm")
        return [DamsmEmbedder(damsm, self.source, supply.device, self.resize) for damsm in supply.damsms]


@dataclass(frozen=True)
class ClipSource(NetworkSource):
    """A CLIP in the folder format of transformers."""

    def find(self, supply: Supply) -> Sequence[Embedder]:
        """From the folder that was given."""
        if supply.options.clip is None:
            raise UserError("no CLIP: give the folder of one with --clip")
        return [ClipEmbedder(load_clip(supply.options.clip), supply.device)]


@dataclass(frozen=True)
class JointSource(NetworkSource):
    """The joint encoder of SpaText's distances."""

    def find(self, supply: Supply) -> Sequence[Embedder]:
        """As it was given."""
        if supply.options.encoder is None:
            raise UserError("no joint encoder: give a CLIP's folder, or a SegmentEncoder's run, with --encoder")
        path = checkpoint_or_folder(supply.options.encoder)
        return [JointEmbedder(load_joint_encoder(path, "--encoder"), supply.device)]


@dataclass(frozen=True)
class SegmenterSource(NetworkSource):
    """The segmenter of local IoU."""

    def find(self, supply: Supply) -> Sequence[Embedder]:
        """As it was given."""
        if supply.options.segmenter is None:
            raise UserError("no segmenter: give a folder of transformers, or a Segmenter's run, with --segmenter")
        return [SegmenterEmbedder(load_segmenter(checkpoint_or_folder(supply.options.segmenter)), supply.device)]


@dataclass(frozen=True)
class LpipsSource(NetworkSource):
    """LPIPS with AlexNet."""

    def find(self, supply: Supply) -> Sequence[Embedder]:
        """From AlexNet's file of weights."""
        network = LpipsNetwork(folder=supply.options.weights_folder, download=supply.options.download)
        return [PairEmbedder(network, supply.device)]


def load_damsms(paths: Sequence[str | Path], store: Store) -> list[ScoringDamsm]:
    """Load DAMSMs from checkpoints or run folders, with distinct labels.

    Raises:
        UserError: a file cannot be read, is no DAMSM, has another vocabulary than the store, or is given twice.
    """
    damsms: list[ScoringDamsm] = []
    for path in map(checkpoint_of, paths):
        module = load_module(path)
        if not isinstance(module, DAMSM):
            raise UserError(f"--damsm: {path} holds {type(module).__name__}, not a DAMSM")
        require_same_words(module, store, str(path))
        sha256, label = content_sha256(module), label_of(path)
        if sha256 in {damsm.sha256 for damsm in damsms}:
            raise UserError(f"--damsm: {path} is given twice; the second is to be a DAMSM of another seed")
        if label in {damsm.label for damsm in damsms}:
            label = f"{label}-{sha256[:8]}"
        origin = ", ".join(f"{part['file']} ({part['sha256'][:12]})" for part in module.imported.values())
        damsms.append(ScoringDamsm(label, sha256, module, origin))
    return damsms


def load_classifier(path: str | Path, store: Store) -> ClassifierBackbone:
    """Load the backbone of the evaluation classifier from a checkpoint or run folder.

    Raises:
        UserError: it cannot be read, is no classifier, or was trained on another vocabulary than the store's.
    """
    path = checkpoint_of(path)
    module = load_module(path)
    if not isinstance(module, EvaluationClassifier):
        raise UserError(f"--classifier: {path} holds {type(module).__name__}, not an EvaluationClassifier")
    require_same_words(module, store, str(path))
    return module.backbone(content_sha256(module))
