"""Find the differences between the measurements of a published number and of our own."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from t2igan.errors import UserError
from t2igan.evaluation.metrics import ScoredMetric, known_metrics
from t2igan.evaluation.protocol import Protocol, load_protocol, protocol_names, protocol_of
from t2igan.evaluation.record import ResultRecord
from t2igan.reporting.leaderboard import Board

# Fields of a protocol without influence on the numbers' meaning: name, intervals, and seeds of random choices.
UNIMPORTANT = frozenset(
    {
        *("name", "source", "metrics", "bootstrap", "bootstrap_seed", "confidence"),
        *("noise_seed", "words_seed", "captions_seed", "reference_seed", "seed"),
        # Described by :func:`_of_counts`, with their numbers.
        *("images", "passes", "loader_batch"),
    }
)
IMAGES = "images"
NOT_MEASURED = "not in the table's protocol"
NOT_KNOWN, NO_METRIC = "how it was measured is not known", "no protocol of the suite measures it"
REFERENCE = ("reference", "reference_split", "reference_images", "reference_count")
WITHOUT_REFERENCE = ("is", "is-classifier", "r-precision", "clip-r-precision", "clip-score", "lpips-diversity")


def settings() -> set[str]:
    """Keys of protocols and metrics, in which a source may deviate from a protocol of the suite."""
    return {own.name for kind in (Protocol, *known_metrics().values()) for own in fields(kind)} | {IMAGES}


@dataclass(frozen=True)
class Measured:
    """How a published number was measured, according to its source.

    Attributes:
        metric: name of the metric in records, None if the suite lacks it.
        protocol: name of the suite's nearest protocol, None if unknown.
        but: (key, text) of differences from that protocol, and of settings that the source does not tell.
        test_images: minimum and maximum number of images of the test split.
    """

    metric: str | None
    protocol: str | None
    but: tuple[tuple[str, str], ...]
    test_images: tuple[int, int]


def differences(measured: Measured, board: Board) -> list[str]:
    """Differences between the measurements of a published number and a table; empty if they are comparable."""
    if measured.metric is None:
        return [NO_METRIC]
    if measured.protocol is None:
        return [NOT_KNOWN]
    theirs, ours = _pinned(measured.protocol), protocol_of_record(_witness(board))
    if ours is None:
        return ["the table's protocol is not one of today"]
    their_spec, our_spec = (_spec(each, measured.metric) for each in (theirs, ours))
    if their_spec is None or our_spec is None:
        return [NOT_MEASURED]
    skipped = UNIMPORTANT
    if measured.metric in WITHOUT_REFERENCE or getattr(their_spec, "statistics", ""):
        skipped = skipped | set(REFERENCE)
    keys = {own.name for each in (theirs, their_spec) for own in fields(each)} | {IMAGES}
    but = {key: text for key, text in measured.but if key in keys}
    found = [f"{key}: {text}" for key, text in but.items()]
    found += _of_fields(theirs, ours, skipped | but.keys())
    found += _of_fields(their_spec, our_spec, (UNIMPORTANT - {"loader_batch"}) | but.keys())
    return found + list(_of_counts(theirs, board, measured.test_images, IMAGES not in but))


def _spec(protocol: Protocol, metric: str) -> ScoredMetric | None:
    return next((spec for spec in protocol.metrics if spec.name == metric), None)


@cache
def _pinned(name: str) -> Protocol:
    """Load a protocol of the suite, cached because a report needs each some hundred times."""
    return load_protocol(name)


def protocol_of_record(record: ResultRecord) -> Protocol | None:
    """The protocol of a record; None if the record lacks it, or its meaning has changed since."""
    if record.protocol_content:
        try:
            found = protocol_of(record.protocol_content, record.protocol)
        except UserError:
            return None
    elif record.protocol in protocol_names():
        found = _pinned(record.protocol)
    else:
        return None
    return found if found.hash == record.protocol_hash else None


def _witness(board: Board) -> ResultRecord:
    """The record that tells how a table was measured, preferring unedited ones."""
    return next((record for record in board.records if record.integrity != "edited"), board.records[0])


def _of_fields(theirs: Any, ours: Any, skipped: frozenset[str]) -> list[str]:
    values = [(own.name, getattr(theirs, own.name), getattr(ours, own.name)) for own in fields(theirs)]
    return [f"{key}: {one}, ours {other}" for key, one, other in values if key not in skipped and one != other]


def _of_counts(theirs: Protocol, board: Board, split: tuple[int, int], said: bool) -> Iterator[str]:
    """Differences in the number of test images and, if the source tells it, of generated images."""
    record = _witness(board)
    images = record.n_real if record.n_split is None else record.n_split
    low, high = split
    if not images:
        yield "test images: the record does not say how many"
        return
    if not low <= images <= high:
        yield f"test images: {low:,}{'' if low == high else f' to {high:,}'}, ours {images:,}"
    wanted = images_of(theirs, min(max(images, low), high))
    if said and (board.count, board.copies) != (wanted, 0):
        copies = f" and {board.copies:,} copies" if board.copies else ""
        yield f"{IMAGES}: {wanted:,}, ours {board.count:,}{copies}"


def images_of(protocol: Protocol, images: int) -> int:
    """Number of images that a protocol generates for a split of this size."""
    one_pass = images - images % max(protocol.loader_batch, 1)
    return min(protocol.images, protocol.passes * one_pass) if protocol.passes else protocol.images
