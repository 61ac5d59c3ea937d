"""Leaderboards from records. A table holds records of one protocol hash, data set and number of images only."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from t2igan.evaluation.identity import identity_of
from t2igan.evaluation.record import MetricValue, ResultRecord, SubjectCard, TrainingCard, by_reason
from t2igan.reporting.doubts import doubts
from t2igan.reporting.names import metric_name, shared_name, system_name, told_apart
from t2igan.reporting.numbers import (
    SPREADS,
    Summary,
    direction,
    format_interval,
    format_summary,
    interval_notes,
    is_better,
    spread_over,
)

KIND_ORDER = ("untrained", "checkpoint", "pipeline", "images", "real")
# Columns about the trainings, and their place in a record.
TRAINING_FACTS = {"batch": "global_batch", "steps": "steps", "images seen": "images_seen"}
CLIP_SCORE_NOTE = (
    "clip-score: 100 max(cos, 0) of the plain caption; the CLIPScore of Hessel et al. (2021) is 2.5 max(cos, 0) "
    'with the prompt "A photo depicts"'
)
OTHERWISE_CHOSEN = "rows whose checkpoints were chosen in different ways are not called better than one another"
# A column: the metric's name and the SHA-256 of its network.
Column = tuple[str, str]


@dataclass(frozen=True)
class BoardRow:
    """A row of a leaderboard: an experiment, or a subject without training.

    Attributes:
        name: unique name within the table.
        records: the records, one for each run.
        labels: labels of the runs.
    """

    name: str
    records: tuple[ResultRecord, ...]
    labels: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Kind of the subject."""
        return self.records[0].subject.kind

    @property
    def edited(self) -> bool:
        """Whether a record was edited after it had been written."""
        return any(record.integrity == "edited" for record in self.records)

    @property
    def selection(self) -> str | None:
        """Selection rule of its checkpoints, the same for all runs of a row."""
        return self.records[0].subject.selection

    @property
    def images(self) -> str:
        """Number of scored images, and of distinct ones if some are copies."""
        distinct = self.records[0].subject.n_distinct
        scored = _range(record.n_generated for record in self.records)
        same = distinct is None or distinct == self.records[0].n_generated
        return scored if same else f"{scored} ({distinct:,} distinct)"

    def training(self, name: str) -> str:
        """A quantity of its trainings, e.g. ``images_seen``, as text; a dash if unknown."""
        cards = [record.subject.training for record in self.records if record.subject.training is not None]
        return _range(value for card in cards if (value := getattr(card, name)) is not None)

    @property
    def title(self) -> str:
        """Name of the row, with the number of runs if there are several."""
        name = system_name(self.name)
        return f"{name}, {len(self.records)} runs" if len(self.records) > 1 else name

    def summary(self, column: Column) -> Summary | None:
        """Summary of a metric over its runs, None if no run has it."""
        name, network = column
        found = [record.metrics[name] for record in self.records if name in record.metrics]
        values: Sequence[MetricValue] = [value for value in found if value.network_sha256 == network]
        if not values:
            return None
        numbers = [value.value for value in values]
        if len(values) > 1:
            return Summary(tuple(values), fmean(numbers), stdev(numbers), "seeds")
        return Summary(tuple(values), numbers[0], values[0].spread, spread_over(name, values[0]))


@dataclass(frozen=True)
class Board:
    """A leaderboard of comparable records.

    Attributes:
        dataset: name of the data set.
        fingerprint: fingerprint of its store.
        protocol: name of the protocol.
        protocol_hash: hash of the protocol, the same for all rows.
        count: number of distinct images of each row, except for real images.
        copies: number of further images that are copies; with copies, values correspond to neither number.
        columns: names of the metrics, in the order of first appearance.
        rows: rows of the table, untrained networks first, real images last.
    """

    dataset: str
    fingerprint: str
    protocol: str
    protocol_hash: str
    count: int
    columns: list[Column]
    rows: list[BoardRow]
    copies: int = 0

    @property
    def title(self) -> str:
        """Data set, protocol, hash and number of images."""
        where = f"{self.dataset} ({self.fingerprint[:8]}), protocol {self.protocol} ({self.protocol_hash[:8]})"
        return f"{where}, {self.images}"

    @property
    def images(self) -> str:
        """Number of images that each row was scored on, as text."""
        return f"{self.count:,} images" + (f" and {self.copies:,} copies of these" if self.copies else "")

    @property
    def records(self) -> list[ResultRecord]:
        """Records of all rows."""
        return [record for row in self.rows for record in row.records]

    @property
    def headers(self) -> list[str]:
        """Titles of the columns, with the meaning of each column's ±.

        Equal metrics of different networks are distinguished by the network's hash.
        """
        names = [name for name, _ in self.columns]
        titles = [_header(name, network if names.count(name) > 1 else None) for name, network in self.columns]
        overs = [self._overs(column) for column in self.columns]
        return [f"{title} ± {next(iter(own))}" if len(own) == 1 else title for title, own in zip(titles, overs)]

    def _overs(self, column: Column) -> set[str]:
        """Meanings of the ± in a column, for rows and single runs."""
        runs = [
            BoardRow("", (record,), ("",)) for row in self.rows if len(row.records) > 1 for record in row.records
        ]
        summaries = [row.summary(column) for row in (*self.rows, *runs)]
        return {summary.over for summary in summaries if summary is not None and summary.over is not None}

    @property
    def facts(self) -> dict[str, str]:
        """Columns about trainings that at least one row can fill, by title."""
        return {
            title: name for title, name in TRAINING_FACTS.items() if any(r.training(name) != "-" for r in self.rows)
        }

    def grid(self, runs: bool = True) -> list[list[str]]:
        """The whole table as text, headers first.

        Args:
            runs: add a line for each run of an experiment.
        """
        lines = [["subject", "images", *self.facts, *self.headers]]
        for row in self.rows:
            lines.append(self._line(row.title, row))
            if runs and len(row.records) > 1:
                singles = [BoardRow(label, (record,), (label,)) for record, label in zip(row.records, row.labels)]
                lines += [self._line(f"· {single.name}", single) for single in singles]
        return lines

    def _line(self, title: str, row: BoardRow) -> list[str]:
        return [title, row.images, *map(row.training, self.facts.values()), *self.cells(row)]

    def cells(self, row: BoardRow) -> list[str]:
        """Cells of a row, one per column, with intervals."""
        return [f"{self.cell(row, column)} {self.interval(row, column)}".rstrip() for column in self.columns]

    def interval(self, row: BoardRow, column: Column) -> str:
        """Confidence interval ``[low, high]`` of a cell, empty if there is none."""
        found = row.summary(column)
        return "" if found is None else format_interval(column[0], found.ends, found.values[0].chance is not None)

    def cell(self, row: BoardRow, column: Column) -> str:
        """A value with its spread and with what is :meth:`told` of it."""
        text, told = format_summary(column[0], row.summary(column)), self.told(row, column)
        return f"{text} ({told})" if told else text

    def told(self, row: BoardRow, column: Column) -> str:
        """How a value differs from others of its column: how many runs have it, what its ± is over, its images."""
        summary = row.summary(column)
        if summary is None:
            return ""
        told = []
        if summary.runs < len(row.records):
            told.append(f"{summary.runs} of {len(row.records)} runs")
        if summary.over is not None and len(self._overs(column)) > 1:
            told.append(summary.over)
        own, all_of_them = self._counts([row], column), self._counts(self.rows, column)
        if len(all_of_them) > 1 and own != self._usual_counts(column):
            told.append(f"n = {_range(own)}")
        return ", ".join(told)

    def _counts(self, rows: Sequence[BoardRow], column: Column) -> set[int]:
        """Numbers of images that a metric was computed from."""
        found = [summary for row in rows if (summary := row.summary(column)) is not None]
        return {value.n for summary in found for value in summary.values}

    def _usual_counts(self, column: Column) -> set[int]:
        return self._counts([row for row in self.rows if row.kind != "real"], column)

    @property
    def footnotes(self) -> list[str]:
        """Footnotes about controls, intervals, significance and missing metrics."""
        values = [value for record in self.records for value in record.metrics.values()]
        chances = sorted(value.chance for value in values if value.chance is not None)
        notes = []
        if chances:
            # Chance differs slightly with the drawn candidates.
            ends = dict.fromkeys(f"{chance:.2%}" for chance in (chances[0], chances[-1]))
            counts = dict.fromkeys(f"{round(1 / chance, 1):g}" for chance in (chances[-1], chances[0]))
            notes.append(f"R-precision by guessing: {' to '.join(ends)} ({' to '.join(counts)} candidates)")
        overs = set().union(*map(self._overs, self.columns))
        if overs:
            notes.append("±: " + "; ".join(f"{over}: {SPREADS[over]}" for over in SPREADS if over in overs))
        notes += interval_notes(self.records, any(len(row.records) > 1 for row in self.rows))
        notes += [CLIP_SCORE_NOTE] if any(name == "clip-score" for name, _ in self.columns) else []
        notes += verdicts(self)
        notes += doubts(self)
        for row in self.rows:
            for record, label in zip(row.records, row.labels):
                name = system_name(row.name)
                who = name if len(row.records) == 1 else f"{name}, {label}"
                notes += [f"{who}: {names} not computed: {why}" for names, why in by_reason(record.not_computed)]
                notes += [f"{who}: {'; '.join(record.notes)}"] if record.notes else []
        return notes


def boards(records: Iterable[ResultRecord]) -> list[Board]:
    """Make a table for each protocol hash, data set and number of images.

    Real images appear in each table of their protocol, whatever their number. Scores during training are left out.
    """
    groups: dict[tuple[str, ...], list[ResultRecord]] = {}
    for record in records:
        if record.subject.kind == "training":
            continue
        groups.setdefault((record.protocol_hash, record.dataset, record.fingerprint), []).append(record)
    return [board for group in groups.values() for board in _by_count(group)]


def _by_count(records: Sequence[ResultRecord]) -> Iterator[Board]:
    newest: dict[tuple[str | int | None, ...], ResultRecord] = {}
    for record in records:
        subject = record.subject
        same = subject.kind, subject.name, subject.path, subject.weights, subject.seed, *_counts_of(record)
        newest[(*same, record.integrity == "edited")] = record
    made = [record for record in newest.values() if record.subject.kind != "real"]
    for counts in dict.fromkeys(_counts_of(record) for record in made or newest.values()):
        own = [r for r in newest.values() if _counts_of(r) == counts or (made and r.subject.kind == "real")]
        yield _board(own, *counts)


def count_of(record: ResultRecord) -> int:
    """Number of distinct images of a record, if counted, otherwise of all its images."""
    distinct = record.subject.n_distinct
    return record.n_generated if distinct is None else distinct


def _counts_of(record: ResultRecord) -> tuple[int, int]:
    """Number of distinct images of a record, and of copies."""
    return count_of(record), record.n_generated - count_of(record)


def _board(records: Sequence[ResultRecord], count: int, copies: int) -> Board:
    ordered = sorted(records, key=lambda record: _kind_rank(record.subject.kind))
    columns = dict.fromkeys(
        (name, value.network_sha256) for record in ordered for name, value in record.metrics.items()
    )
    last = records[-1]
    rows = list(_rows(ordered))
    pinned = last.dataset, last.fingerprint, last.protocol, last.protocol_hash
    return Board(*pinned, count, list(columns), rows, copies)


def _kind_rank(kind: str) -> int:
    return KIND_ORDER.index(kind) if kind in KIND_ORDER else len(KIND_ORDER)


def _rows(records: Sequence[ResultRecord]) -> Iterator[BoardRow]:
    """Group the runs of each experiment, in the order of first appearance."""
    groups: dict[object, list[tuple[ResultRecord, int | None]]] = {}
    seen: Counter[object] = Counter()
    for number, record in enumerate(records):
        identity, subject = identity_of(record.subject), record.subject
        key: object = number
        known = identity.experiment is not None and identity.training_seed is not None
        if known and record.integrity != "edited":
            # Two checkpoints of one run, or one seed trained twice, are not repetitions.
            experiment = (identity.experiment, subject.weights, Path(subject.path or "").stem, *_extent(subject))
            seen[experiment, identity.training_seed] += 1
            key = (*experiment, seen[experiment, identity.training_seed])
        groups.setdefault(key, []).append((record, identity.training_seed))
    names = [shared_name([record for record, _ in group]) for group in groups.values()]
    for name, group in zip(names, groups.values()):
        found = tuple(record for record, _ in group)
        labels = [record.subject.name if seed is None else f"seed {seed}" for record, seed in group]
        if len(set(labels)) < len(labels):
            labels = [told_apart(record) for record in found]
        own = told_apart(found[0]) if names.count(name) > 1 else name
        edited = any(record.integrity == "edited" for record in found)
        yield BoardRow(f"{own} (edited)" if edited else own, found, tuple(labels))


def _extent(subject: SubjectCard) -> tuple[int | str | None, ...]:
    """Length and batch size of a checkpoint's training; for a selected checkpoint those of the whole run."""
    training = subject.training or TrainingCard()
    return training.global_batch, subject.selection, None if subject.selection else training.steps


def _header(name: str, network: str | None) -> str:
    arrow = {1: "↑", -1: "↓", 0: ""}[direction(name)]
    told_apart = f" [{network[:8]}]" if network else ""
    return f"{metric_name(name)}{told_apart} {arrow}".rstrip()


def _range(numbers: Iterable[int]) -> str:
    """Minimum and maximum of some numbers as text, a dash for none."""
    found = sorted(set(numbers))
    return "-".join(f"{number:,}" for number in dict.fromkeys((found[0], found[-1]))) if found else "-"


def verdicts(board: Board) -> list[str]:
    """For experiments with several runs, which beats which beyond the spread, in each column."""
    trained = _trained(board)
    repeated = [row for row in trained if len(row.records) > 1]
    if len(trained) < 2:
        return []
    if len(repeated) < 2:
        return ["no row is called better than another: that takes several runs (seeds) of both"]
    chosen = {row.name: row.selection for row in repeated}
    lines = [] if len(set(chosen.values())) == 1 else [OTHERWISE_CHOSEN]
    for column, header in zip(board.columns, board.headers):
        name = column[0]
        found = {row.name: summary for row in repeated if (summary := row.summary(column)) and summary.runs > 1}
        if not direction(name) or len(found) < 2:
            continue
        beaten = {
            one: [two for two in found if chosen[one] == chosen[two] and is_better(name, found[one], found[two])]
            for one in found
        }
        said = [
            f"{system_name(one)} is better than {' and '.join(map(system_name, worse))}"
            for one, worse in beaten.items()
            if worse
        ]
        lines.append(f"{header}: {'; '.join(said) or 'no difference'} beyond the spread of the runs")
    return lines


def _trained(board: Board) -> list[BoardRow]:
    """Rows that are eligible as winners."""
    return [row for row in board.rows if row.kind == "checkpoint" and not row.edited]


def winners(board: Board) -> dict[Column, BoardRow]:
    """The row of a column that beats all other experiments beyond the spread, or None."""
    trained = _trained(board)
    found = {}
    for column in board.columns:
        scores = [(row, summary) for row in trained if (summary := row.summary(column))]
        for row, own in scores:
            others = [(other.selection, summary) for other, summary in scores if other is not row]
            if others and all(how == row.selection and is_better(column[0], own, other) for how, other in others):
                found[column] = row
    return found
