"""Scoring during training: a reduced protocol, the module as a subject, and the names of the curves."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from t2igan.data.selection import HeldOutClasses
from t2igan.data.store import Store
from t2igan.errors import UserError
from t2igan.evaluation.features.embedders import ScoringDamsm
from t2igan.evaluation.metrics.r_precision import DAMSMRPrecision
from t2igan.evaluation.protocol import Protocol
from t2igan.evaluation.record import MetricValue, ResultRecord, SubjectCard, TrainingCard
from t2igan.evaluation.subjects.generated import GeneratedSubject
from t2igan.models.adversarial import AdversarialModule

KIND = "training"
INDEPENDENT = "independent"


def smaller(protocol: Protocol, images: int | None = None, metrics: Sequence[str] | None = None) -> Protocol:
    """Reduce a protocol to fewer images or metrics, without confidence intervals, under a new name.

    Args:
        protocol: the full protocol.
        images: number of generated images; None keeps the protocol's.
        metrics: names of the metrics to keep; None keeps all.

    Returns:
        The protocol ``<name>@<images>``, which has another hash; the full protocol if nothing is reduced.

    Raises:
        UserError: the protocol has fewer images, or lacks one of the metrics.
    """
    if images is None and metrics is None:
        return protocol
    count = protocol.images if images is None else images
    if not 2 <= count <= protocol.images:
        raise UserError(f"Scores.images: {count} is not between 2 and the {protocol.images} of {protocol.name}")
    known = {spec.name: spec for spec in protocol.metrics}
    kept = list(known) if metrics is None else list(dict.fromkeys(metrics))
    if not kept or not set(kept) <= set(known):
        raise UserError(
            f"Scores.metrics: {kept} are not all among the metrics of {protocol.name}: {', '.join(known)}"
        )
    name = f"{protocol.name}@{count}"
    return replace(protocol, name=name, images=count, metrics=tuple(known[one] for one in kept), bootstrap=0)


class TrainingSubject(GeneratedSubject):
    """The images of a module that is being trained.

    Args:
        module: module in training; its modes, weights and buffers are not changed.
        folder: folder of the run.
        weights: ``ema`` or ``raw``, as the protocol asks.
    """

    def __init__(self, module: AdversarialModule, folder: Path, weights: str) -> None:
        kind = type(module)
        card = SubjectCard(
            KIND,
            folder.name,
            str(folder),
            module=f"{kind.__module__}.{kind.__qualname__}",
            weights=weights if module.averages else "raw",
        )
        super().__init__(module, card)

    def check(self, protocol: Protocol, store: Store) -> None:
        """Check the generator like any other; held-out training classes are named as such in the record."""
        super().check(protocol, store)
        if isinstance(store, HeldOutClasses):
            self.notes = [f"scored on {len(store.held_out)} training classes that the training leaves out"]

    def at(self, step: int) -> None:
        """Note the training step in the record."""
        training = TrainingCard(
            steps=step,
            images_seen=self.module.images_seen,
            global_batch=self.module.global_batch,
            fingerprint=self.module.dataset.get("fingerprint"),
            inputs=dict(self.module.inputs),
        )
        self.card = replace(self.card, training=training)


def curve_values(
    record: ResultRecord, damsms: Sequence[ScoringDamsm], trained_against: bool, suffix: str = ""
) -> dict[str, MetricValue]:
    """The values of a record under the names of their curves, without R-precision's control.

    Args:
        record: record of a training.
        damsms: DAMSMs of the evaluation.
        trained_against: whether the first of them is the one that the generator is trained against.
        suffix: suffix of every name, such as ``@2048``.

    Returns:
        ``fid``, ``r-precision`` (of the DAMSM that is trained against), ``r-precision-independent``, a second
        independent one ``r-precision-independent-2``, ...
    """
    names = {}
    for number, damsm in enumerate(damsms, start=0 if trained_against else 1):
        kind = "" if number == 0 else f"-{INDEPENDENT}" if number == 1 else f"-{INDEPENDENT}-{number}"
        names[f"{DAMSMRPrecision.name}@{damsm.label}"] = f"{DAMSMRPrecision.name}{kind}"
    return {
        f"{names.get(name, name)}{suffix}": value
        for name, value in record.metrics.items()
        if "shuffled" not in name
    }


def only_finite(record: ResultRecord) -> ResultRecord:
    """The record with non-finite values moved to the metrics that were not computed."""
    wrong = {name for name, value in record.metrics.items() if not math.isfinite(value.value)}
    kept = {name: value for name, value in record.metrics.items() if name not in wrong}
    return replace(record, metrics=kept, not_computed=record.not_computed | dict.fromkeys(wrong, "is not a number"))
