"""Evaluation protocols: everything that a number depends on beside the images, as data.

Nothing heavy is imported here, so that protocols can be listed at once.
"""

import hashlib
import json
import typing
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin

import yaml

from t2igan.errors import UserError

FOLDER = Path(__file__).parent / "protocols"
# Part of every hash: raised when the meaning of a protocol changes though its words stay.
RULES = 1

T = TypeVar("T")


def _at_least(minimum: int, default: Any = MISSING) -> Any:
    return field(default=default, metadata={"minimum": minimum})


@dataclass(frozen=True)
class FID:
    """Frechet distance of Inception features.

    Attributes:
        flavour: see :class:`t2igan.metrics.backbones.InceptionBackbone`; values of two flavours do not compare.
    """

    name: ClassVar[str] = "fid"
    flavour: Literal["tf-2015", "torchvision-affine", "torchvision"] = "torchvision-affine"


@dataclass(frozen=True)
class FDClassifier:
    """Frechet distance of the evaluation classifier's features."""

    name: ClassVar[str] = "fd-classifier"


@dataclass(frozen=True)
class ISClassifier:
    """Inception score of the evaluation classifier's class probabilities.

    Attributes:
        splits: parts over which mean and spread are taken.
        drop_remainder: parts of exactly N // splits pictures.
        seed: of the order in which pictures are cut into parts.
    """

    name: ClassVar[str] = "is-classifier"
    splits: int = _at_least(1, 10)
    drop_remainder: bool = False
    seed: int = _at_least(0, 0)


@dataclass(frozen=True)
class RPrecision:
    """R-precision with each DAMSM given, and its control with shuffled captions.

    Attributes:
        candidates: captions per trial, the true one included.
        folds: over which mean and spread are taken.
        fold_mode: see :func:`t2igan.metrics.r_precision.fold_statistics`.
        negatives: which captions may be mismatching ones.
        seed: of mismatching captions, of the folds and of the control.
        source: whether the DAMSM sees the pictures as stored (8 bits) or as drawn.
    """

    name: ClassVar[str] = "r-precision"
    candidates: int = _at_least(2, 100)
    folds: int = _at_least(1, 10)
    fold_mode: Literal["exact", "dmgan-2999"] = "exact"
    negatives: Literal["other-class", "other-image"] = "other-class"
    seed: int = _at_least(0, 0)
    source: Literal["uint8", "float"] = "uint8"


MetricSpec = FID | FDClassifier | ISClassifier | RPrecision
METRICS: dict[str, type] = {kind.name: kind for kind in get_args(MetricSpec)}


@dataclass(frozen=True)
class Protocol:
    """What is measured, and how.

    Attributes:
        name: under which it is found; not part of the hash.
        dataset: name of the data set that it is for.
        image_size: side of the pictures, drawn and real.
        images: how many pictures are drawn.
        metrics: what is computed.
        split: whose captions are drawn and whose images are the reference.
        captions: ``even``: every caption as often as any other, as far as the number allows
            (:func:`t2igan.evaluation.plan.plan_pictures`).
        words: the most words of a caption; words above are sub-sampled.
        words_seed: of that choice.
        noise_seed: of the noise of each picture.
        weights: of a checkpoint: averaged or as trained.
        quantisation: from [-1, 1] to 8 bits.
        reference: ``whole``: every image of the split. ``halves``: images 0, 2, 4, ... are the reference of every
            row, and images 1, 3, 5, ... are the row of real images.
    """

    name: str
    dataset: str
    image_size: int = _at_least(1)
    images: int = _at_least(2)
    metrics: tuple[MetricSpec, ...] = ()
    split: Literal["test", "train"] = "test"
    captions: Literal["even"] = "even"
    words: int = _at_least(1, 18)
    words_seed: int = _at_least(0, 0)
    noise_seed: int = _at_least(0, 100)
    weights: Literal["ema", "raw"] = "ema"
    quantisation: Literal["round", "truncate"] = "round"
    reference: Literal["whole", "halves"] = "whole"

    @property
    def hash(self) -> str:
        """sha256 (hex) of the canonical JSON of all but the name; numbers compare only where it is equal."""
        content = asdict(self)
        del content["name"]
        content["metrics"] = {spec.name: asdict(spec) for spec in self.metrics}
        content["rules"] = RULES
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def protocol_names() -> list[str]:
    """The protocols that come with the suite, e.g. ``drawn-birds/quick``."""
    return sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.yaml"))


def load_protocol(name: str) -> Protocol:
    """A protocol of the suite by name, or one of your own by the path of its YAML file.

    Raises:
        UserError: there is none of that name, or the file has a key or value that is not allowed.
    """
    own = Path(name)
    path = own if own.suffix in (".yaml", ".yml") else FOLDER / f"{name}.yaml"
    if not path.is_file() or (path is not own and name not in protocol_names()):
        raise UserError(f"--protocol: no {name!r}; there are {', '.join(protocol_names())}, or give a .yaml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold keys and values, such as `images: 1000`")
    if "name" in content:
        raise UserError(f"{path}: name: a protocol is named by its file; remove the key")
    title = own.stem if path is own else name
    metrics = _read_metrics(content.pop("metrics", None), path)
    return _read(Protocol, {**content, "name": title, "metrics": metrics}, path, "")


def _read_metrics(entries: Any, path: Path) -> tuple[MetricSpec, ...]:
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{path}: metrics: must be a list of `- name: ...`; names are {', '.join(METRICS)}")
    specs = []
    for number, entry in enumerate(entries):
        where = f"metrics[{number}]"
        name = entry.get("name") if isinstance(entry, dict) else entry
        if name not in METRICS:
            raise UserError(f"{path}: {where}.name: {name!r} is not one of {', '.join(METRICS)}")
        options = (
            {key: value for key, value in entry.items() if key != "name"} if isinstance(entry, dict) else {}
        )
        specs.append(_read(METRICS[name], options, path, f"{where}."))
    names = [spec.name for spec in specs]
    if len(set(names)) < len(names):
        raise UserError(f"{path}: metrics: each may come once, got {', '.join(names)}")
    return tuple(specs)


def _read(kind: type[T], values: Mapping[Any, Any], path: Path, prefix: str) -> T:
    """A dataclass from plain values, each checked against the type of its field."""
    types, known = typing.get_type_hints(kind), {own.name: own for own in fields(kind)}
    for key in values:
        if key not in known:
            raise UserError(f"{path}: {prefix}{key}: unknown key; there are {', '.join(known) or 'none'}")
    for key, own in known.items():
        if key in values and key != "metrics":
            wrong = _objection(values[key], types[key], own.metadata.get("minimum"))
            if wrong:
                raise UserError(f"{path}: {prefix}{key}: {values[key]!r} {wrong}")
        elif key not in values and own.default is MISSING:
            raise UserError(f"{path}: {prefix}{key} is missing")
    return kind(**values)


def _objection(value: Any, wanted: Any, minimum: int | None) -> str:
    """What is wrong with a value, or an empty string."""
    if get_origin(wanted) is Literal:
        choices = get_args(wanted)
        return "" if value in choices else f"is not one of {', '.join(choices)}"
    if type(value) is not wanted:
        return f"is not of type {wanted.__name__}"
    if minimum is not None and value < minimum:
        return f"is below {minimum}"
    return ""
