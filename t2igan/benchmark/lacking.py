"""What the protocols of a plan will lack, said before anything runs."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from t2igan.evaluation.features.networks import (
    ClassifierSource,
    ClipSource,
    DamsmSource,
    InceptionSource,
    JointSource,
    LpipsSource,
    NetworkSource,
    SegmenterSource,
)
from t2igan.evaluation.protocol import load_protocol

# What a plan gives each kind of network by.
KEYS: dict[type[NetworkSource], str] = {
    DamsmSource: "a model that names a `damsm`, or `independent_damsm`",
    ClassifierSource: "`classifier`",
    ClipSource: "`evaluate: {clip: FOLDER}`",
    JointSource: "`evaluate: {encoder: FOLDER}`",
    SegmenterSource: "`evaluate: {segmenter: FOLDER}`",
}
OPTIONS: dict[str, type[NetworkSource]] = {
    "clip": ClipSource,
    "encoder": JointSource,
    "segmenter": SegmenterSource,
}
DOWNLOADED = (InceptionSource, LpipsSource)


def lacking(protocols: Iterable[str], damsm: bool, classifier: bool, evaluate: Mapping[str, Any]) -> Iterator[str]:
    """Metrics of protocols that cannot be measured, with what would give their networks.

    Args:
        protocols: names or files.
        damsm: whether there is a DAMSM to score with.
        classifier: whether there is an evaluation classifier.
        evaluate: options of ``t2igan evaluate``.
    """
    given: set[type[NetworkSource]] = {kind for option, kind in OPTIONS.items() if evaluate.get(option)}
    given |= ({DamsmSource} if damsm else set()) | ({ClassifierSource} if classifier else set())
    left_out = "left out" if evaluate.get("skip_missing") else "`t2igan evaluate` will refuse it"
    for name in protocols:
        protocol = load_protocol(name)
        for spec in protocol.metrics:
            kind = type(spec.network())
            if kind in KEYS and kind not in given:
                yield f"{spec.name} of {protocol.name} lacks {KEYS[kind]}: {left_out}"
            elif kind in DOWNLOADED and evaluate.get("download") is False:
                yield f"{spec.name} of {protocol.name} needs weights in `checkpoints`: `download` is false"
