"""What a metric is: one registered class with its options, its network, how it is computed and how it is shown.

A protocol names metrics; :data:`METRICS` knows them. Nothing heavy is imported here or at the top of a metric's
module, so that protocols and metrics can be listed at once: what computes is imported where it computes.
"""

import typing
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
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
    """A field that came after the first protocols; at its default it is no part of the hash, theirs stay so."""
    return field(default=default, metadata={"minimum": minimum, "added": True})


def hashed_fields(of: Any) -> dict[str, Any]:
    """The fields of a dataclass that belong in a hash, by name."""
    found = {own.name: getattr(of, own.name) for own in fields(of)}
    optional = {own.name for own in fields(of) if own.metadata.get("added") and found[own.name] == own.default}
    # Raised when the meaning of a metric changes though its words stay: such values do not compare.
    rules = {"rules": of.rules} if hasattr(of, "rules") else {}
    return {name: value for name, value in found.items() if name not in optional} | rules


@dataclass(frozen=True)
class Shown:
    """How a value stands in tables.

    Attributes:
        better: ``higher`` or ``lower``; ``neither`` for a control.
        decimals: behind the point.
    """

    better: Literal["higher", "lower", "neither"]
    decimals: int = 2


@dataclass(frozen=True)
class ScoredMetric(FromFile, ABC):
    """A metric that a protocol may name: a frozen dataclass of its options, registered with :func:`register`.

    Attributes:
        name: in protocols.
        shown: how each of its values stands in tables, by the value's name in records (without ``@label``).
    """

    name: ClassVar[str]
    shown: ClassVar[dict[str, Shown]]

    @abstractmethod
    def network(self) -> "NetworkSource":
        """The network that it needs; metrics whose sources are equal share it."""

    @abstractmethod
    def scorer(self, embedder: "Embedder", setting: "Setting") -> "Scorer":
        """What turns the rows of the network into values."""

    def find(self, supply: "Supply") -> Sequence["Embedder"]:
        """The networks, one after the other scored by; with files that it needs beside them.

        Raises:
            UserError: something is not there.
        """
        return supply.embedders(self.network())

    def obstacle(self, subject: "Subject", protocol: "Protocol") -> str:
        """Why it makes no sense for a subject, or an empty string."""
        if getattr(self, "source", "uint8") == "float" and not subject.has_floats:
            return "the protocol scores images before quantisation, which these have not"
        return ""


Kind = TypeVar("Kind", bound=type[ScoredMetric])
METRICS: dict[str, type[ScoredMetric]] = {}


def register(kind: Kind) -> Kind:
    """Make a metric known to protocols by its name.

    Raises:
        ValueError: the name is taken, or the class does not say how its values are shown.
    """
    if kind.name in METRICS and METRICS[kind.name].__qualname__ != kind.__qualname__:
        raise ValueError(f"metric {kind.name!r} is registered already, by {METRICS[kind.name].__qualname__}")
    if not kind.shown:
        raise ValueError(f"metric {kind.name!r}: shown names no value")
    METRICS[kind.name] = kind
    return kind


def shown(value: str) -> Shown:
    """How a value stands in tables.

    Args:
        value: its name in records; of one that no known metric gives it is not said which way is better.
    """
    plain = value.partition("@")[0]
    ways = (kind.shown[plain] for kind in METRICS.values() if plain in kind.shown)
    return next(ways, Shown("neither"))


InceptionFlavour = Literal["tf-2015", "torchvision-affine", "torchvision", "dfgan", "slim-birds"]
FeatureFlavour = Literal["tf-2015", "torchvision-affine", "torchvision", "dfgan", "slim-birds", "classifier"]
OWN_IMAGES = "the reference is these very images; a protocol with `reference: halves` has this row"


class FeatureMetric(ScoredMetric):
    """A metric of features: a :class:`t2igan.metrics.feature_sets.FeatureSetMetric` computes it.

    Where a subclass has no option ``flavour``, the features are those of the evaluation classifier.
    """

    @abstractmethod
    def metric(self, feature_dim: int) -> "IndexedMetric":
        """The torchmetrics class that computes it, ready to take in features."""

    def network(self) -> "NetworkSource":
        """Inception as the options say, or the evaluation classifier."""
        from t2igan.evaluation.features.networks import ClassifierSource, InceptionSource

        flavour: Any = getattr(self, "flavour", "classifier")
        if flavour == "classifier":
            return ClassifierSource()
        return InceptionSource(flavour, getattr(self, "resize", "flavour"), getattr(self, "source", "uint8"))

    def scorer(self, embedder: "Embedder", setting: "Setting") -> "Scorer":
        """Feeds :meth:`metric` and names what it computes."""
        from t2igan.evaluation.scorers.features import FeatureScorer

        return FeatureScorer(self, embedder, setting)

    def take(self, metric: Any, numbers: "Tensor", rows: "Rows", real: bool) -> None:
        """Hand rows of the network, features (B, F) and class logits (B, C), to :meth:`metric`."""
        metric.update(rows[0], numbers, real=real)

    def value_name(self, key: str) -> str:
        """The name in records of one of the values that :meth:`metric` estimates; the only one has the key ''.

        Values of the classifier's features do not compare with those of Inception's, and are told apart by it.
        """
        told_apart = getattr(self, "flavour", None) == "classifier"
        return (key or self.name) + ("-classifier" if told_apart else "")

    def obstacle(self, subject: "Subject", protocol: "Protocol") -> str:
        """Images are not held against themselves."""
        itself = (protocol.reference, protocol.reference_of) == ("whole", protocol.split)
        if itself and subject.card.kind == "real" and self.wants_reference:
            return OWN_IMAGES
        return super().obstacle(subject, protocol)

    @property
    def wants_reference(self) -> bool:
        """Whether the reference's images are asked for."""
        return True


@dataclass(frozen=True)
class Features:
    """Options of a metric of features: of Inception's, or of the evaluation classifier's.

    With ``classifier``, the names of the values end so, because they do not compare with those of Inception.

    Attributes:
        flavour: see :class:`t2igan.metrics.backbones.InceptionBackbone`; values of two flavours do not compare.
        resize: ``flavour``: as the flavour does; or another one of that class.
        source: whether the network sees images as stored (8 bits) or as generated.
    """

    flavour: FeatureFlavour = "torchvision-affine"
    resize: Literal["flavour", "pil", "pil-128", "tensor", "tf1", "clean"] = added("flavour")
    source: Literal["uint8", "float"] = added("uint8")


@dataclass(frozen=True)
class Inception(Features):
    """Options of a metric that sees images through Inception alone."""

    flavour: InceptionFlavour = "torchvision-affine"


def with_classifier(ways: Mapping[str, Shown]) -> dict[str, Shown]:
    """How values are shown, also those of the classifier's features."""
    return {**ways, **{f"{name}-classifier": way for name, way in ways.items()}}
