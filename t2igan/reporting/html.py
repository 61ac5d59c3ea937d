"""The report as a single self-contained HTML page."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import t2igan
from t2igan.evaluation.protocol import FOLDER as PROTOCOLS
from t2igan.evaluation.protocol import load_protocol, protocol_names
from t2igan.evaluation.record import ResultRecord, TrainingCard
from t2igan.reporting.leaderboard import Board, BoardRow, Column, winners
from t2igan.reporting.names import system_name
from t2igan.reporting.numbers import format_number, format_summary, spread_over
from t2igan.reporting.published import METRICS, Beside, PublishedNumber, beside, elsewhere
from t2igan.reporting.published_tables import (
    CERTAINTIES,
    beside_notes,
    difference_text,
    elsewhere_lines,
    line_key,
    metrics_of,
    note_of,
)
from t2igan.reporting.report_runs import PageImage, RunPage
from t2igan.reporting.tables import parts

FOLDER = Path(__file__).parent / "report"
# In letters: the widest table, its column of subjects, and the space beside the letters of every other column.
PAGE, FIRST_COLUMN, SPACE = 140, 30, 3


@dataclass(frozen=True)
class Cell:
    """A cell of the leaderboard.

    Attributes:
        text: the value with its spread.
        told: how it differs from others of its column, e.g. ``n = 400``; may be empty.
        interval: confidence interval of a single run, empty if there is none.
        best: whether it beats all others beyond the spread of the runs.
        facts: (name, text) of the settings that the value depends on.
        runs: (label, text, anchor of the record) of each run.
    """

    text: str
    told: str
    interval: str
    best: bool
    facts: list[tuple[str, str]]
    runs: list[tuple[str, str, str]]


def render_page(
    tables: Sequence[Board],
    runs: Sequence[RunPage] = (),
    notes: Sequence[str] = (),
    systems: PageImage | None = None,
    zoo: Sequence[PageImage] = (),
    reproduced: Sequence[str] = (),
) -> str:
    """Render leaderboards, curves and images as one HTML document.

    Args:
        tables: leaderboards.
        runs: content of the runs' folders.
        notes: notes about the report, e.g. lines that could not be read.
        systems: sheet of all systems with the same captions, or None.
        zoo: the zoo's sample sheet, followed by masks and attention.
        reproduced: lines on whether shipped records of the zoo are reproduced; lines of single metrics are
            indented.
    """
    records = [record for board in tables for record in board.records]
    anchors = {id(record): f"record-{number}" for number, record in enumerate(records, start=1)}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        version=t2igan.__version__,
        made=datetime.now(timezone.utc).strftime("%d %B %Y, %H:%M UTC").lstrip("0"),
        datasets=list(dict.fromkeys(board.dataset for board in tables)),
        sections=_sections(tables, anchors),
        elsewhere=_elsewhere(elsewhere(tables), tables),
        certainties=CERTAINTIES,
        runs=[_run(run) for run in runs],
        records=[_record(record, anchors[id(record)]) for record in records],
        notes=list(notes),
        systems=systems,
        zoo=list(zoo),
        reproduced=list(reproduced),
        verdicts=[line for line in reproduced if not line.startswith(" ")],
    )


def _sections(tables: Sequence[Board], anchors: dict[int, str]) -> list[dict[str, Any]]:
    """Sections of the page, one for each data set, with its tables."""
    made = [_table(board, number, anchors) for number, board in enumerate(tables, start=1)]
    names = dict.fromkeys(board.dataset for board in tables)
    return [{"dataset": name, "tables": [one for one in made if one["dataset"] == name]} for name in names]


def _table(board: Board, number: int, anchors: dict[int, str]) -> dict[str, Any]:
    best = winners(board)
    found = beside(board)
    return {
        "number": number,
        "dataset": board.dataset,
        "fingerprint": board.fingerprint,
        "protocol": board.protocol,
        "hash": board.protocol_hash,
        "words": _protocol_words(board),
        "images": board.images,
        "headers": board.headers,
        "parts": _parts(board),
        "rows": [_row(board, row, best, anchors) for row in board.rows],
        "footnotes": board.footnotes,
        "beside": _beside(found),
    }


def _parts(board: Board) -> list[list[int]]:
    """Numbers of the metrics in each part of a table: as many as fit beside one another on a page."""
    widths = [FIRST_COLUMN]
    for column, header in zip(board.columns, board.headers):
        cells = [format_summary(column[0], row.summary(column)) for row in board.rows]
        widths.append(SPACE + max(map(len, [*header.split(), *cells])))
    return [[place - 1 for place in part[1:]] for part in parts(widths, PAGE)]


def _row(board: Board, row: BoardRow, best: dict[Column, BoardRow], anchors: dict[int, str]) -> dict[str, Any]:
    return {
        "name": system_name(row.name),
        "kind": row.kind,
        "runs": len(row.records),
        "training": _training_line(board, row),
        "cells": [_cell(board, row, column, best.get(column) is row, anchors) for column in board.columns],
    }


def _training_line(board: Board, row: BoardRow) -> str:
    """Summary of a row's training in one line."""
    numbers = [(title, row.training(name)) for title, name in board.facts.items()]
    return ", ".join(f"{title} {number}" for title, number in numbers if number != "-")


def _cell(board: Board, row: BoardRow, column: Column, best: bool, anchors: dict[int, str]) -> Cell | None:
    summary = row.summary(column)
    if summary is None:
        return None
    name, network = column
    having = [
        (record, label)
        for record, label in zip(row.records, row.labels)
        if name in record.metrics and record.metrics[name].network_sha256 == network
    ]
    runs = []
    for record, label in having:
        value = record.metrics[name]
        single = BoardRow(label, (record,), (label,))
        text = format_number(name, value.value, value.spread, value.chance is not None)
        runs.append((label, f"{text} {board.interval(single, column)}".strip(), anchors[id(record)]))
    facts = _facts(having[0][0], name, len(having))
    text, told = format_summary(name, summary), board.told(row, column)
    return Cell(text, told, board.interval(row, column), best, facts, runs)


def _facts(record: ResultRecord, name: str, runs: int) -> list[tuple[str, str]]:
    """Settings that a value depends on; if several runs differ, those of the first."""
    value, subject = record.metrics[name], record.subject
    of_run = "" if runs == 1 else " (of the first run)"
    facts = [
        ("value" + of_run, repr(value.value)),
        (f"± over {spread_over(name, value)}", None if value.spread is None else repr(value.spread)),
        ("by guessing", None if value.chance is None else f"{value.chance:.2%}"),
        ("images", f"{value.n:,} of {record.n_generated:,}"),
        ("reference images", f"{record.n_real:,}" if record.n_real else "precomputed statistics, or none"),
        ("network", f"sha256 {value.network_sha256[:16]}"),
        ("protocol", f"{record.protocol}, {record.protocol_hash[:16]}"),
        ("subject" + of_run, subject.path),
        *_training_facts(record),
        ("its sha256" + of_run, subject.sha256 and subject.sha256[:16]),
        ("weights", subject.weights),
        ("seed of the noise", str(record.seed)),
        ("measured" + of_run, f"{record.timestamp}, {record.device}, {record.seconds:,.0f} s"),
        ("code", _code(record)),
        (
            "record" + of_run,
            f"{record.integrity}, sha256 {record.digest[:16]}" if record.digest else record.integrity,
        ),
    ]
    return [(what, text) for what, text in facts if text]


def _training_facts(record: ResultRecord) -> list[tuple[str, str | None]]:
    training, selection = record.subject.training or TrainingCard(), record.subject.selection
    numbers = [("steps", training.steps), ("images seen", training.images_seen), ("batch", training.global_batch)]
    return [(what, f"{number:,}" if number else None) for what, number in numbers] + [("selected by", selection)]


def _code(record: ResultRecord) -> str:
    """Git commit, and whether the working tree was unmodified."""
    commit, clean = record.environment.get("git_commit"), record.environment.get("git_clean")
    return f"commit {commit[:12]}{'' if clean else ', changed since'}" if commit else ""


def _protocol_words(board: Board) -> str:
    """Text of the protocol's file, empty if the records were made with another version of it."""
    if board.protocol not in protocol_names() or load_protocol(board.protocol).hash != board.protocol_hash:
        return ""
    return (PROTOCOLS / f"{board.protocol}.yaml").read_text(encoding="utf-8")


def _beside(found: Sequence[Beside]) -> dict[str, Any]:
    """Published numbers of the same protocol, one line for each result of a source, with ours under each value."""
    metrics = metrics_of([one.number for one in found])
    lines: dict[tuple[str | None, ...], dict[str, Any]] = {}
    for one in found:
        line = lines.setdefault(line_key(one.number), _published_line(one.number, one.number.note) | {"cells": {}})
        cell = line["cells"].setdefault(one.number.metric, {"text": one.number.text, "ours": []})
        if one.row is not None and one.difference is not None:
            digits = METRICS[one.number.metric].decimals
            cell["ours"].append(f"{system_name(one.row.name)} {one.value:.{digits}f}: {one.difference:+.{digits}f}")
    reasons = [
        f"{one.row.title}, {one.number.metric}: not held against it: {one.why_not}"
        for one in found
        if one.row and one.why_not
    ]
    notes = [*dict.fromkeys(reasons), *beside_notes(found)]
    return {"headers": metrics, "lines": list(lines.values()), "notes": notes}


def _elsewhere(numbers: Sequence[PublishedNumber], tables: Sequence[Board]) -> list[dict[str, Any]]:
    """Published numbers of each data set that are comparable with no table."""
    blocks = []
    for name in dict.fromkeys(number.dataset for number in numbers):
        own = [number for number in numbers if number.dataset == name]
        lines = [
            _published_line(one, note_of(one))
            | {
                "cells": {metric: number.text for metric, number in values.items()},
                "difference": difference_text(values, tables),
            }
            for values, one in elsewhere_lines(own)
        ]
        groups = [(kind, [line for line in lines if line["certainty"] == kind]) for kind in CERTAINTIES]
        groups = [group for group in groups if group[1]]
        blocks.append({"dataset": name, "headers": metrics_of(own), "groups": groups})
    return blocks


def _published_line(number: PublishedNumber, note: str) -> dict[str, Any]:
    return {
        "who": number.who,
        "source": number.source,
        "link": number.link,
        "certainty": number.certainty,
        "note": note,
    }


def _run(run: RunPage) -> dict[str, Any]:
    quality = [tuple(map(Markup, pair)) for pair in run.quality]
    return {
        **vars(run),
        "folder": str(run.folder),
        "quality": quality,
        "curves": [Markup(svg) for svg in run.curves],
    }


def _record(record: ResultRecord, anchor: str) -> dict[str, str]:
    return {
        "anchor": anchor,
        "title": f"{system_name(record.subject.name)}, {record.protocol}, {record.timestamp}",
        "json": json.dumps(asdict(record), indent=1, ensure_ascii=False),
    }
