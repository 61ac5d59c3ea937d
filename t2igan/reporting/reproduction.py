"""Compare a measurement with a record of the same weights from another machine."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from t2igan.evaluation.record import ResultRecord, read_records
from t2igan.reporting.names import metric_name, system_name
from t2igan.zoo import RECORDS, is_there, is_zoo_name, locate

MOST_DIGITS = 15
ENOUGH = 3
"""Significant digits that a table shows at most: less than these is called different."""


@dataclass(frozen=True)
class Reproduced:
    """A measured and a recorded value of a metric.

    Attributes:
        metric: name of the value in records.
        measured: value measured on this machine.
        recorded: value in the other record.
    """

    metric: str
    measured: float
    recorded: float

    @property
    def digits(self) -> int:
        """Number of significant digits in which both agree, 15 for equal numbers."""
        if self.measured == self.recorded:
            return MOST_DIGITS
        scale = max(abs(self.measured), abs(self.recorded))
        gap = abs(self.measured - self.recorded)
        if not math.isfinite(gap) or not math.isfinite(scale):
            return 0
        return max(0, min(MOST_DIGITS, math.floor(-math.log10(gap / scale))))

    def __str__(self) -> str:
        told = "equal" if self.digits == MOST_DIGITS else f"{self.digits} digits"
        return f"{metric_name(self.metric)} {self.measured:.6g} (recorded {self.recorded:.6g}): {told}"


def comparable(record: ResultRecord, shipped: Iterable[ResultRecord]) -> ResultRecord | None:
    """The newest record of the same images, protocol, store and networks, or None."""
    found = [
        one
        for one in shipped
        if one.integrity != "edited"
        and one.subject.same_images(record.subject)
        and (one.protocol_hash, one.fingerprint) == (record.protocol_hash, record.fingerprint)
        and one.damsm == record.damsm
        and one.backbones == record.backbones
    ]
    return found[-1] if found else None


def compare(measured: ResultRecord, recorded: ResultRecord) -> list[Reproduced]:
    """Compare the metrics that both records have."""
    both: Mapping[str, float] = {name: one.value for name, one in recorded.metrics.items()}
    return [Reproduced(name, one.value, both[name]) for name, one in measured.metrics.items() if name in both]


def verdict(who: str, recorded: str, found: Iterable[Reproduced]) -> list[str]:
    """Lines for people: whether a record is reproduced, and each metric's digits.

    Args:
        who: what reproduces it, or does not.
        recorded: names the record.
        found: metrics that both have.
    """
    rows = list(found)
    if not rows:
        return [f"{who} has no metric of {recorded}"]
    least = min(row.digits for row in rows)
    if least == MOST_DIGITS:
        head = f"{who} reproduces {recorded} exactly"
    elif least >= ENOUGH:
        head = f"{who} reproduces {recorded} to {least} digits"
    else:
        head = f"{who} does NOT reproduce {recorded} ({least} digits)"
    return [head, *(f"  {row}" for row in rows)]


def of_one_another(records: Iterable[ResultRecord]) -> list[str]:
    """For each subject that was measured several times whether the newest record reproduces the oldest.

    Args:
        records: oldest first.
    """
    groups: dict[str, list[ResultRecord]] = {}
    for record in records:
        card = record.subject
        known = card.same_images(card)  # not so of a subject whose content has no hash
        if record.integrity != "edited" and known and card.kind != "training":
            same = [card.kind, card.sha256, card.weights, card.seed, record.protocol_hash, record.fingerprint]
            groups.setdefault(json.dumps([same, record.damsm, record.backbones], sort_keys=True), []).append(record)
    lines = []
    for oldest, *others in groups.values():
        if others and (found := compare(others[-1], oldest)):
            name = f"{system_name(oldest.subject.name)}, {oldest.protocol}: measured {len(others) + 1} times"
            lines += verdict(f"{name}, the newest record", "the oldest", found)
    return lines


def of_other_weights(records: Iterable[ResultRecord]) -> list[str]:
    """Which records no table shows, because a newer one is of other weights in the same place.

    Args:
        records: oldest first.
    """
    newest: dict[tuple[object, ...], ResultRecord] = {}
    lines = []
    for record in records:
        card = record.subject
        place = card.kind, card.name, card.path, card.weights, card.seed, record.protocol_hash, record.fingerprint
        before = newest.get(place, record)
        newest[place] = record
        if before.subject.sha256 != card.sha256 and card.kind != "training":
            which = f"the record of {before.timestamp} (weights {str(before.subject.sha256)[:8]})"
            lines.append(f"{system_name(card.name)}: {which} is not shown, a newer one is of others at {card.path}")
    return lines


def of_the_zoo(records: Iterable[ResultRecord]) -> list[str]:
    """For each scored zoo entry, lines on whether its shipped record is reproduced."""
    newest = {one.subject.path: one for one in records if one.subject.path and is_zoo_name(one.subject.path)}
    lines = []
    for name, record in newest.items():
        if not is_there(name) or not (file := locate(name).with_name(RECORDS)).is_file():
            continue
        shipped = read_records(file)
        if record.digest in {one.digest for one in shipped}:
            continue
        recorded = comparable(record, shipped)
        if recorded is None:
            told = "the shipped record is of another protocol, store or network; nothing is compared"
            lines.append(f"{name}: {told}")
        else:
            lines += verdict(f"{name}: this machine", "the shipped record", compare(record, recorded))
    return lines
