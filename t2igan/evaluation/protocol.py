"""Evaluation protocols: all settings besides the images that a value depends on, as data.

Nothing heavy is imported here, so that protocols can be listed quickly.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from t2igan.errors import UserError
from t2igan.evaluation.metrics import ScoredMetric, find_metric, known_metrics
from t2igan.evaluation.metrics.base import added, hashed_fields
from t2igan.plain_files import read_yaml
from t2igan.schema import FromFile, at_least, checked_mapping, read_as
from t2igan.spelling import nearest
from t2igan.user_modules import code_of, look_beside, word_for

FOLDER = Path(__file__).parent / "protocols"
# Part of every hash: increased when the meaning of an unchanged protocol changes.
RULES = 1

# Fields that select images or metrics; the image of a caption depends on all other fields.
CHOICES = {
    *("name", "source", "dataset", "images", "metrics", "captions", "captions_seed", "passes", "loader_batch"),
    *("told", "reference", "reference_split", "reference_images", "reference_count", "reference_seed"),
    *("bootstrap", "bootstrap_seed", "confidence"),
}
# Fields that no image depends on without segment conditions.
SEGMENT_FIELDS = {"segments", "segments_smallest", "segments_seed", "segments_masks"}


@dataclass(frozen=True)
class Protocol(FromFile):
    """A pinned evaluation protocol.

    Attributes:
        name: name of the protocol; not part of the hash.
        dataset: name of its data set.
        image_size: side of generated and real images in pixels.
        images: maximum number of generated images.
        metrics: the metrics to compute.
        split: split whose captions are used and whose images are the reference.
        captions: ``even``: every caption as often as any other, as far as the number allows. ``random``: passes
            over the images in a random order, each with one random caption, as the released samplers do.
            See :mod:`t2igan.evaluation.plan`.
        words: the most words of a caption; words above are sub-sampled.
        words_seed: seed of the choice of words.
        noise_seed: seed of the noise of each image.
        weights: weights of a checkpoint to use: ``ema`` (averaged) or ``raw``.
        quantisation: rounding from [-1, 1] to 8 bits.
        reference: ``whole``: every image of the split. ``halves``: images 0, 2, 4, ... are the reference of every
            row, and images 1, 3, 5, ... are the row of real images.
        source: where the protocol is described; not part of the hash.
        captions_seed: seed of ``random`` captions.
        passes: the most passes over the images with ``random`` captions, 0 for as many as ``images`` asks for.
        loader_batch: with ``random`` captions, images beyond the last whole batch of this size are left out of a
            pass (the loaders' drop_last); 0 leaves out none.
        truncation: bound of the noise's truncated normal distribution, 0 for the whole normal distribution.
        noise_scale: factor of the noise.
        conditioning: noise of a conditioning augmentation: random, or zero (its mean).
        reference_split: split of the reference images, if it is not ``split``.
        reference_images: ``crop``: centre crops; ``full``: whole images, squeezed to a square; ``augmented``:
            random crops and flips, as training sees them.
        reference_count: images of an ``augmented`` reference.
        reference_seed: seed of the crops and flips.
        bootstrap: replicates for the confidence intervals of all metrics, 0 for none.
        bootstrap_seed: seed of the replicates.
        confidence: confidence level of the intervals.
        told: texts to use: the data set's captions, or its narratives, which leaves out images without one.
        segments: maximum number of segments given to a generator per image; 0 gives all, and metrics of segments do
            not apply.
        segments_smallest: minimum area of a given segment as a share of the image, if any segment is that large.
        segments_seed: seed of the choice of segments.
        segments_masks: roughening of their masks, see :func:`t2igan.layout.segments.roughened`.
    """

    name: str
    dataset: str
    image_size: int = at_least(1)
    images: int = at_least(2)
    metrics: tuple[ScoredMetric, ...] = ()
    split: Literal["test", "train"] = "test"
    captions: Literal["even", "random"] = "even"
    words: int = at_least(1, 18)
    words_seed: int = at_least(0, 0)
    noise_seed: int = at_least(0, 100)
    weights: Literal["ema", "raw"] = "ema"
    quantisation: Literal["round", "truncate"] = "round"
    reference: Literal["whole", "halves"] = "whole"
    source: str = added("")
    captions_seed: int = added(0, minimum=0)
    passes: int = added(0, minimum=0)
    loader_batch: int = added(0, minimum=0)
    truncation: float = added(0.0, minimum=0)
    noise_scale: float = added(1.0, minimum=0)
    conditioning: Literal["drawn", "zero"] = added("drawn")
    reference_split: Literal["same", "test", "train"] = added("same")
    reference_images: Literal["crop", "full", "augmented"] = added("crop")
    reference_count: int = added(30_000, minimum=2)
    reference_seed: int = added(0, minimum=0)
    bootstrap: int = added(0, minimum=0)
    bootstrap_seed: int = added(0, minimum=0)
    confidence: float = added(0.95, minimum=0.5)
    told: Literal["captions", "narratives"] = added("captions")
    segments: int = added(0, minimum=0)
    segments_smallest: float = added(0.05, minimum=0)
    segments_seed: int = added(0, minimum=0)
    segments_masks: Literal["exact", "dilated", "eroded", "ellipse", "box"] = added("exact")

    @property
    def hash(self) -> str:
        """sha256 (hex) of the canonical JSON of all but the name; only values with equal hashes are comparable.

        The code of user-defined metrics is part of it.
        """
        content = hashed_fields(self)
        for documentation in ("name", "source"):
            content.pop(documentation, None)
        content["metrics"] = {spec.name: {**hashed_fields(spec), **code_of(type(spec))} for spec in self.metrics}
        content["rules"] = RULES
        return hash_of(content)

    @property
    def content(self) -> dict[str, Any]:
        """All keys with plain values, including defaults."""
        named = {own.name: getattr(self, own.name) for own in fields(self)}
        return named | {"metrics": [{"name": spec.name, **asdict(spec)} for spec in self.metrics]}

    @property
    def allow(self) -> list[str]:
        """Modules of metrics of one's own, as ``--allow`` takes them: a report knows then which way is better."""
        return sorted({word_for(type(spec).__module__) for spec in self.metrics if code_of(type(spec))})

    @property
    def drawing(self) -> dict[str, Any]:
        """The fields that determine the image of a caption."""
        left_out = CHOICES if self.segments else CHOICES | SEGMENT_FIELDS
        return {own.name: getattr(self, own.name) for own in fields(self) if own.name not in left_out}

    @property
    def reference_drawing(self) -> dict[str, Any]:
        """The fields that determine each reference image: all fields of the reference except for the count."""
        found = {own.name: getattr(self, own.name) for own in fields(self) if own.name.startswith("reference")}
        del found["reference_count"]
        if self.reference_images != "augmented":
            del found["reference_seed"]
        return found | {"reference_split": self.reference_of, "image_size": self.image_size}

    @property
    def reference_of(self) -> str:
        """The split of the reference images."""
        return self.split if self.reference_split == "same" else self.reference_split


def hash_of(content: Mapping[str, Any]) -> str:
    """sha256 (hex) of the canonical JSON of plain values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def protocol_names() -> list[str]:
    """The protocols that come with the suite, e.g. ``drawn-birds/quick``."""
    return sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.yaml"))


def load_protocol(name: str) -> Protocol:
    """A protocol of the suite by name, or one of your own by the path of its YAML file.

    Raises:
        UserError: the protocol does not exist, or the file has an invalid key or value.
    """
    own = Path(name)
    path = own if own.suffix in (".yaml", ".yml") else FOLDER / f"{name}.yaml"
    if not path.is_file() or (path is not own and name not in protocol_names()):
        near = nearest(name, protocol_names())
        raise UserError(f"--protocol: no {name!r}{near}; t2igan list protocols has them all, or give a .yaml file")
    content = dict(checked_mapping(read_yaml(path), path, "images: 1000"))
    if "model" in content:
        raise UserError(f"{path} describes a training, not a protocol; t2igan list protocols has them all")
    if "name" in content:
        raise UserError(f"{path}: name: a protocol is named by its file; remove the key")
    if path is not own:
        return protocol_of({**content, "name": name}, path)
    look_beside([path])
    return _protocol({**content, "name": own.stem}, path, _metric_of_file)


def protocol_of(content: Mapping[str, Any], where: str | Path) -> Protocol:
    """Restore a protocol from its :attr:`Protocol.content`, without importing user modules.

    Args:
        content: content of the protocol in a record.
        where: name of the source for error messages.

    Raises:
        UserError: a key or value is unknown to this version.
    """
    return _protocol(content, where, _known_metric)


FindMetric = Callable[[Any], type[ScoredMetric]]


def _protocol(content: Mapping[str, Any], where: str | Path, find: FindMetric) -> Protocol:
    rest = {key: value for key, value in content.items() if key != "metrics"}
    metrics = _read_metrics(content.get("metrics"), where, find)
    return replace(read_as(Protocol, rest, where), metrics=metrics)


def _known_metric(name: Any) -> type[ScoredMetric]:
    if not isinstance(name, str) or name not in known_metrics():
        raise UserError(f"{name!r} is not one of {', '.join(sorted(known_metrics()))}")
    return known_metrics()[name]


def _metric_of_file(name: Any) -> type[ScoredMetric]:
    """A metric named in a user's file, which may be a class path like in a training's YAML."""
    return find_metric(name) if isinstance(name, str) and "." in name else _known_metric(name)


def _read_metrics(entries: Any, path: str | Path, find: FindMetric) -> tuple[ScoredMetric, ...]:
    if not isinstance(entries, list) or not entries:
        names = ", ".join(sorted(known_metrics()))
        raise UserError(f"{path}: metrics: must be a list of `- name: ...`; names are {names}")
    specs = []
    for number, entry in enumerate(entries):
        where = f"metrics[{number}]"
        name = entry.get("name") if isinstance(entry, dict) else entry
        try:
            kind = find(name)
        except UserError as error:
            raise UserError(f"{path}: {where}.name: {error}") from error
        options = {key: value for key, value in entry.items() if key != "name"} if isinstance(entry, dict) else {}
        specs.append(read_as(kind, options, path, f"{where}."))
    names = [spec.name for spec in specs]
    if len(set(names)) < len(names):
        raise UserError(f"{path}: metrics: each may come once, got {', '.join(names)}")
    return tuple(specs)
