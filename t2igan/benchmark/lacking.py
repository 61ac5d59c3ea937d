"""Networks and files that a plan's protocols will miss, reported before the plan runs."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
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
from t2igan.evaluation.metrics import ScoredMetric
from t2igan.evaluation.protocol import load_protocol
from t2igan.evaluation.record import by_reason

# Option by which a plan passes each kind of network.
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
    """Metrics of protocols that cannot be measured, with what would give their networks and files.

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
        found = {spec.name: _lack(spec, given, evaluate) for spec in protocol.metrics}
        for names, lack in by_reason({metric: lack for metric, lack in found.items() if lack}):
            yield f"{names} of {protocol.name}: no {lack}: {left_out}"


def _lack(spec: ScoredMetric, given: set[type[NetworkSource]], evaluate: Mapping[str, Any]) -> str:
    """What a metric needs and does not find; empty where nothing."""
    source, folder = spec.network(), Path(evaluate.get("checkpoints", "checkpoints"))
    if type(source) in KEYS:
        return "" if type(source) in given else KEYS[type(source)]
    by_hand = [getattr(spec, "statistics", ""), *getattr(source, "by_hand", ())]
    if missing := [str(folder / file) for file in by_hand if file and not (folder / file).is_file()]:
        return " and no ".join(missing)
    off = isinstance(source, DOWNLOADED) and evaluate.get("download") is False
    return f"download (`download` is false), unless the weights lie in {folder}" if off else ""
