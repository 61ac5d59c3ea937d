"""Base classes of metrics: options, network, computation and display, in one registered class.

A protocol names metrics; :func:`known_metrics` has them. Nothing heavy is imported here or at the top of the
suite's metrics, so that protocols and metrics can be listed quickly: the computing code is imported on use.
"""

import typing
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, ClassVar, Literal, TypeVar

from t2igan.schema import FromFile

if typing.TYPE_CHECKING:
    from torch import Tensor

    from t2igan.evaluation.features.embedders import Embedder, Rows
    from t2igan.evaluation.features.networks import NetworkSource, Supply
    from t2igan.evaluation.protocol import Protocol
    from t2igan.evaluation.scorers.base import Scorer, Setting
    from t2igan.evaluation.subjects.base import Subject
    from t2igan.metrics.indexed import IndexedMetric


def added(default: Any, minimum: float | None = None) -> Any:
    """A field added after the first release of protocols; at its default it does not enter the hash."""
    return field(default=default, metadata={"minimum": minimum, "added": True})


def hashed_fields(of: Any) -> dict[str, Any]:
    """The fields of a dataclass that enter the hash, by name."""
    found = {own.name: getattr(of, own.name) for own in fields(of)}
    optional = {own.name for own in fields(of) if own.metadata.get("added") and found[own.name] == own.default}
    # Increased when a metric changes under the same name and options: such values are not comparable.
    rules = {"rules": of.rules} if hasattr(of, "rules") else {}
    return {name: value for name, value in found.items() if name not in optional} | rules


@dataclass(frozen=True)
class Shown:
    """How a value stands in tables.

    Attributes:
        better: ``higher`` or ``lower``; ``neither`` for a control.
        decimals: number of decimals.
    """

    better: Literal["higher", "lower", "neither"]
    decimals: int = 2


@dataclass(frozen=True)
class ScoredMetric(FromFile, ABC):
    """A metric that a protocol may name: a frozen dataclass of its options, registered with :func:`register`.

    Attributes:
        name: name of the metric in protocols.
        shown: display of each of its values, by the value's name in records (without ``@label``).
    """

    name: ClassVar[str]
    shown: ClassVar[dict[str, Shown]]

    @abstractmethod
    def network(self) -> "NetworkSource":
        """Source of the network; metrics with equal sources share it."""

    @abstractmethod
    def scorer(self, embedder: "Embedder", setting: "Setting") -> "Scorer":
        """Make the scorer, which turns the rows of the network into values."""

    def find(self, supply: "Supply") -> Sequence["Embedder"]:
        """Find the networks, each of which gives values, and further files that the metric needs.

        Raises:
            UserError: a network or file is missing.
        """
        return supply.embedders(self.network())

    def obstacle(self, subject: "Subject", protocol: "Protocol") -> str:
        """Reason why the metric does not apply to a subject, or an empty string."""
        if getattr(self, "source", "uint8") == "float" and not subject.has_floats:
            return "the protocol scores images before quantisation, which these have not"
        return ""


Kind = TypeVar("Kind", bound=type[ScoredMetric])
_PACKAGE = __name__.rpartition(".")[0]
_registered: dict[str, type[ScoredMetric]] = {}


@cache
def known_metrics() -> dict[str, type[ScoredMetric]]:
    """The registered metrics by name.

    The files of this folder are imported at the first call and not with the package: metrics may import whatever
    they compute with, and that imports protocols.
    """
    for module in iter_modules([str(Path(__file__).parent)]):
        import_module(f"{_PACKAGE}.{module.name}")
    return _registered


def register(kind: Kind) -> Kind:
    """Register a metric under its name, for use in protocols.

    Raises:
        ValueError: the name is taken, or the class lacks the display of its values.
    """
    known = _registered if kind.__module__.startswith(f"{_PACKAGE}.") else known_metrics()
    if kind.name in known and known[kind.name].__qualname__ != kind.__qualname__:
        raise ValueError(f"metric {kind.name!r} is registered already, by {known[kind.name].__qualname__}")
    if not kind.shown:
        raise ValueError(f"metric {kind.name!r}: shown names no value")
    _registered[kind.name] = kind
    return kind


def shown(value: str) -> Shown:
    """Display of a value in tables, by its name in records.

    Args:
        value: name of the value in records; the direction is unknown for values of unregistered metrics.
    """
    plain = value.partition("@")[0]
    ways = (kind.shown[plain] for kind in known_metrics().values() if plain in kind.shown)
    return next(ways, Shown("neither"))


InceptionFlavour = Literal["tf-2015", "torchvision-affine", "torchvision", "dfgan", "slim-birds"]
FeatureFlavour = Literal["tf-2015", "torchvision-affine", "torchvision", "dfgan", "slim-birds", "classifier"]
OWN_IMAGES = "the reference is these very images; a protocol with `reference: halves` has this row"


class FeatureMetric(ScoredMetric):
    """A metric of feature sets, computed by a :class:`t2igan.metrics.feature_sets.FeatureSetMetric`.

    If a subclass has no option ``flavour``, its features are those of the evaluation classifier.
    """

    @abstractmethod
    def metric(self, feature_dim: int) -> "IndexedMetric":
        """Make the torchmetrics object that computes the metric from features."""

    def network(self) -> "NetworkSource":
        """Inception in the configured flavour, or the evaluation classifier."""
        from t2igan.evaluation.features.networks import ClassifierSource, InceptionSource

        flavour: Any = getattr(self, "flavour", "classifier")
        if flavour == "classifier":
            return ClassifierSource()
        return InceptionSource(flavour, getattr(self, "resize", "flavour"), getattr(self, "source", "uint8"))

    def scorer(self, embedder: "Embedder", setting: "Setting") -> "Scorer":
        """Make the scorer that feeds :meth:`metric` and names its values."""
        from t2igan.evaluation.scorers.features import FeatureScorer

        return FeatureScorer(self, embedder, setting)

    def take(self, metric: Any, numbers: "Tensor", rows: "Rows", real: bool) -> None:
        """Update :meth:`metric` with features (B, F) and class logits (B, C)."""
        metric.update(rows[0], numbers, real=real)

    def value_name(self, key: str) -> str:
        """Name in records of one of the values of :meth:`metric`; a single value has the key ''.

        Values of the classifier's features get a suffix, because they are not comparable with Inception's.
        """
        told_apart = getattr(self, "flavour", None) == "classifier"
        return (key or self.name) + ("-classifier" if told_apart else "")

    def obstacle(self, subject: "Subject", protocol: "Protocol") -> str:
        """Real images are not compared with themselves."""
        itself = (protocol.reference, protocol.reference_of) == ("whole", protocol.split)
        if itself and subject.card.kind == "real" and self.wants_reference:
            return OWN_IMAGES
        return super().obstacle(subject, protocol)

    @property
    def wants_reference(self) -> bool:
        """Whether the metric needs features of the reference images."""
        return True


@dataclass(frozen=True)
class Features:
    """Options of a metric whose features are Inception's or the evaluation classifier's.

    With ``classifier``, the value names get that suffix, because they are not comparable with Inception's.

    Attributes:
        flavour: see :class:`t2igan.metrics.backbones.InceptionBackbone`; values of two flavours do not compare.
        resize: ``flavour`` for the flavour's own resize, or another resize of that class.
        source: whether the network gets images as stored (8 bits) or as generated floats.
    """

    flavour: FeatureFlavour = "torchvision-affine"
    resize: Literal["flavour", "pil", "pil-128", "tensor", "tf1", "clean"] = added("flavour")
    source: Literal["uint8", "float"] = added("uint8")


@dataclass(frozen=True)
class Inception(Features):
    """Options of a metric whose features are always Inception's."""

    flavour: InceptionFlavour = "torchvision-affine"


def with_classifier(ways: Mapping[str, Shown]) -> dict[str, Shown]:
    """Add the display of the classifier's values."""
    return {**ways, **{f"{name}-classifier": way for name, way in ways.items()}}
