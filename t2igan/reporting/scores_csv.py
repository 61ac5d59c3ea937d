"""All numbers of a report in one tidy CSV, one line per value."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from t2igan.evaluation.identity import identity_of
from t2igan.evaluation.record import ResultRecord, TrainingCard
from t2igan.files import whole_file
from t2igan.reporting.leaderboard import Board, BoardRow, count_of
from t2igan.reporting.numbers import spread_over
from t2igan.reporting.paired import Comparison
from t2igan.reporting.published import METRICS, PublishedNumber, beside, elsewhere
from t2igan.reporting.published_tables import difference_text

# row: run (one record), mean (over the runs of an experiment: n = their number, spread = sample standard
# deviation over training seeds), published (protocol: the one that it may be compared under; protocol_hash: of the
# table it is in), difference (of two rows: spread_over says what its interval is of).
HEADERS = (
    *("row", "dataset", "fingerprint", "protocol", "protocol_hash", "subject", "kind", "training_seed", "metric"),
    *(
        "network_sha256",
        "value",
        "spread",
        "spread_over",
        "low",
        "high",
        "n",
        "chance",
        "ours",
        "ours_minus_published",
    ),
    *("images", "steps", "images_seen", "global_batch", "selection"),
    *("source", "certainty", "note", "difference", "sha256", "timestamp", "integrity"),
)


def write_csv(tables: Sequence[Board], path: Path, pair: Sequence[Comparison] = ()) -> None:
    """Write the numbers of all tables, of their runs, the published ones of their data sets, and differences."""
    with whole_file(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HEADERS, restval="")
        writer.writeheader()
        for board in tables:
            writer.writerows(_of_board(board))
        for number in elsewhere(tables):
            writer.writerow(
                _of_published(number) | {"difference": difference_text({number.metric: number}, tables)}
            )
        for one in pair:
            writer.writerows(_of_comparison(one))


def _of_board(board: Board) -> Iterator[dict[str, Any]]:
    for row in board.rows:
        for record in row.records:
            yield from _of_record(record)
        if len(row.records) > 1:
            yield from _of_means(board, row)
    for one in beside(board):
        line = _of_published(one.number) | {"protocol_hash": board.protocol_hash}
        if one.row is not None and one.difference is not None:
            line["ours"] = one.row.name
            line["ours_minus_published"] = one.difference / METRICS[one.number.metric].factor
        yield line


def _of_record(record: ResultRecord) -> Iterator[dict[str, Any]]:
    subject = record.subject
    training = subject.training or TrainingCard()
    head = _head(record) | {
        "row": "run",
        "subject": subject.name,
        "training_seed": identity_of(subject).training_seed,
        "note": "; ".join(record.notes),
        "sha256": subject.sha256,
        "timestamp": record.timestamp,
        "images": count_of(record),
        "selection": subject.selection,
        "integrity": record.integrity,
        **{key: getattr(training, key) for key in ("steps", "images_seen", "global_batch")},
    }
    for name, value in record.metrics.items():
        numbers = {
            key: getattr(value, key) for key in ("network_sha256", "value", "spread", "low", "high", "n", "chance")
        }
        yield head | {"metric": name, "spread_over": spread_over(name, value)} | numbers


def _of_means(board: Board, row: BoardRow) -> Iterator[dict[str, Any]]:
    head = _head(row.records[0]) | {"row": "mean", "subject": row.name, "images": board.count}
    for column in board.columns:
        summary = row.summary(column)
        if summary is not None:
            numbers = {
                "value": summary.mean,
                "spread": summary.spread,
                "spread_over": summary.over,
                "n": summary.runs,
            }
            if summary.ends is not None:
                numbers["low"], numbers["high"] = summary.ends
            yield head | {"metric": column[0], "network_sha256": column[1]} | numbers


def _of_comparison(one: Comparison) -> Iterator[dict[str, Any]]:
    record = one.first.records[0]
    pinned = {key: value for key, value in _head(record).items() if key != "kind"}
    head = pinned | {"row": "difference", "subject": f"{one.first.name} - {one.second.name}"}
    for each in one.differences:
        low, high = each.ends or (None, None)
        numbers = {"value": each.value, "low": low, "high": high, "spread_over": each.over}
        yield head | {"metric": each.column[0], "network_sha256": each.column[1]} | numbers


def _head(record: ResultRecord) -> dict[str, Any]:
    return {
        "dataset": record.dataset,
        "fingerprint": record.fingerprint,
        "protocol": record.protocol,
        "protocol_hash": record.protocol_hash,
        "kind": record.subject.kind,
    }


def _of_published(number: PublishedNumber) -> dict[str, Any]:
    """A published value in the units of records: shares, not percentages."""
    factor = METRICS[number.metric].factor
    return {
        "row": "published",
        "dataset": number.dataset,
        "protocol": number.protocol,
        "subject": number.who,
        "kind": "published",
        "metric": number.metric,
        "value": number.value / factor,
        "spread": None if number.spread is None else number.spread / factor,
        "source": number.source,
        "certainty": number.certainty,
        "note": number.note,
    }
