"""Records -> tables. Only records of one protocol hash and one data set stand together."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from statistics import fmean, stdev

from rich.markup import escape
from rich.table import Table

from t2igan.evaluation.record import MetricValue, ResultRecord, SubjectCard, TrainingCard, by_reason
from t2igan.identity import identity_of

KIND_ORDER = ("untrained", "checkpoint", "images", "real")
LOWER_IS_BETTER = ("fid", "fd-", "kid")
# Where two decimals would hide the value.
DECIMALS = {"kid": 5, "precision": 3, "recall": 3, "density": 3, "coverage": 3, "lpips": 3}
# A column: the metric's name and the sha256 of the network that judges.
Column = tuple[str, str]


@dataclass(frozen=True)
class Summary:
    """A metric over the runs of one row.

    Attributes:
        values: of each run that has it, in the order of the runs.
        mean: over runs.
        spread: sample standard deviation over runs; of a single run that over its folds, None where it has none.
    """

    values: tuple[MetricValue, ...]
    mean: float
    spread: float | None

    @property
    def runs(self) -> int:
        """Runs that have the metric."""
        return len(self.values)


@dataclass(frozen=True)
class Row:
    """One experiment, or one subject that is no training.

    Attributes:
        name: told apart from the others of the table.
        records: one for each run.
        labels: of the runs.
    """

    name: str
    records: tuple[ResultRecord, ...]
    labels: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Kind of its subject."""
        return self.records[0].subject.kind

    @property
    def title(self) -> str:
        """Its name, with the number of runs where there are several."""
        return f"{self.name}, {len(self.records)} runs" if len(self.records) > 1 else self.name

    def summary(self, column: Column) -> Summary | None:
        """A metric over its runs, None where no run has it."""
        name, judge = column
        found = [record.metrics[name] for record in self.records if name in record.metrics]
        values = tuple(value for value in found if value.judge == judge)
        if not values:
            return None
        numbers = [value.value for value in values]
        return Summary(values, fmean(numbers), stdev(numbers) if len(values) > 1 else values[0].spread)


@dataclass(frozen=True)
class Board:
    """Comparable records.

    Attributes:
        dataset: name of the data set.
        fingerprint: of its store.
        protocol: name.
        protocol_hash: what all rows share.
        columns: metrics, in the order of their first appearance.
        rows: the untrained first, the real images last.
    """

    dataset: str
    fingerprint: str
    protocol: str
    protocol_hash: str
    columns: list[Column]
    rows: list[Row]

    @property
    def title(self) -> str:
        """Data set, protocol and hash."""
        return f"{self.dataset} ({self.fingerprint[:8]}), protocol {self.protocol} ({self.protocol_hash[:8]})"

    @property
    def records(self) -> list[ResultRecord]:
        """Of all rows."""
        return [record for row in self.rows for record in row.records]

    @property
    def headers(self) -> list[str]:
        """Titles of the columns; equal metrics of different judges are told apart by the judge's hash."""
        names = [name for name, _ in self.columns]
        return [_header(name, judge if names.count(name) > 1 else None) for name, judge in self.columns]

    def grid(self, runs: bool = True) -> list[list[str]]:
        """The whole table as text, headers first.

        Args:
            runs: under an experiment of several runs a line for each.
        """
        lines = [["subject", "pictures", *self.headers]]
        for row in self.rows:
            lines.append([row.title, _pictures(row), *self.cells(row)])
            if runs and len(row.records) > 1:
                lines += [self._line(record, f"· {label}") for record, label in zip(row.records, row.labels)]
        return lines

    def cells(self, row: Row) -> list[str]:
        """One cell a column."""
        return [format_summary(column[0], row.summary(column)) for column in self.columns]

    def _line(self, record: ResultRecord, label: str) -> list[str]:
        return [label, f"{record.n_generated:,}", *self.cells(Row(label, (record,), (label,)))]

    @property
    def footnotes(self) -> list[str]:
        """What the numbers are to be held against, what may be said of them, and what is missing."""
        values = [value for record in self.records for value in record.metrics.values()]
        chances = sorted({value.chance for value in values if value.chance is not None})
        notes = [f"R-precision by guessing: {chance:.2%} ({round(1 / chance)} candidates)" for chance in chances]
        if any(len(row.records) > 1 for row in self.rows):
            notes.append("± of several runs: sample standard deviation over them; of one run: over its folds")
        notes += verdicts(self)
        for row in self.rows:
            for record, label in zip(row.records, row.labels):
                who = row.name if len(row.records) == 1 else f"{row.name}, {label}"
                notes += [f"{who}: {names} not computed: {why}" for names, why in by_reason(record.not_computed)]
                notes += [f"{who}: {note}" for note in record.notes]
        return notes


def boards(records: Iterable[ResultRecord]) -> list[Board]:
    """One table for each protocol hash and data set."""
    groups: dict[tuple[str, ...], list[ResultRecord]] = {}
    for record in records:
        groups.setdefault((record.protocol_hash, record.dataset, record.fingerprint), []).append(record)
    return [_board(group) for group in groups.values()]


def _board(records: Sequence[ResultRecord]) -> Board:
    newest: dict[tuple[str | int | None, ...], ResultRecord] = {}
    for record in records:
        subject = record.subject
        newest[(subject.kind, subject.name, subject.path, subject.weights, subject.seed)] = record
    ordered = sorted(newest.values(), key=lambda record: _kind_rank(record.subject.kind))
    columns = dict.fromkeys((name, value.judge) for record in ordered for name, value in record.metrics.items())
    last = records[-1]
    rows = list(_rows(ordered))
    return Board(last.dataset, last.fingerprint, last.protocol, last.protocol_hash, list(columns), rows)


def _kind_rank(kind: str) -> int:
    return KIND_ORDER.index(kind) if kind in KIND_ORDER else len(KIND_ORDER)


def _rows(records: Sequence[ResultRecord]) -> Iterator[Row]:
    """Runs of one experiment together, where it first appears."""
    groups: dict[object, list[tuple[ResultRecord, int | None]]] = {}
    seen: Counter[object] = Counter()
    for number, record in enumerate(records):
        identity, subject = identity_of(record.subject), record.subject
        key: object = number
        known = identity.experiment is not None and identity.training_seed is not None
        if known and record.integrity != "edited":
            # Two checkpoints of one run, and one seed trained twice, are no repetitions.
            experiment = (identity.experiment, subject.weights, Path(subject.path or "").stem, *_extent(subject))
            seen[experiment, identity.training_seed] += 1
            key = (*experiment, seen[experiment, identity.training_seed])
        groups.setdefault(key, []).append((record, identity.training_seed))
    names = [_shared_name([record for record, _ in group]) for group in groups.values()]
    for name, group in zip(names, groups.values()):
        found = tuple(record for record, _ in group)
        labels = [record.subject.name if seed is None else f"seed {seed}" for record, seed in group]
        if len(set(labels)) < len(labels):
            labels = [_told_apart(record) for record in found]
        own = _told_apart(found[0]) if names.count(name) > 1 else name
        yield Row(own, found, tuple(labels))


def _extent(subject: SubjectCard) -> tuple[int | str | None, ...]:
    """How far and on how many images a step a checkpoint was trained; one that was selected stops where it was."""
    training = subject.training or TrainingCard()
    return training.global_batch, subject.selection, None if subject.selection else training.steps


def _shared_name(records: Sequence[ResultRecord]) -> str:
    """What the names of all runs begin with, without the mark of a seed."""
    names = [record.subject.name for record in records]
    if len(set(names)) == 1:
        return names[0]
    common = takewhile(lambda letters: len(set(letters)) == 1, zip(*names))
    shared = "".join(letters[0] for letters in common).rstrip("-_. 0123456789")
    for mark in ("seed", "-s", "_s"):
        shared = shared.removesuffix(mark)
    return shared.rstrip("-_. ") or names[0]


def _told_apart(record: ResultRecord) -> str:
    """A subject's name with what tells it from another of that name."""
    subject = record.subject
    parts = [str(part) for part in (subject.path, subject.weights, subject.seed) if part is not None]
    return f"{subject.name} ({', '.join(parts)})" if parts else subject.name


def direction(name: str) -> int:
    """1 for a metric of which more is better, -1 for less, 0 for a control."""
    return 0 if "shuffled" in name else -1 if name.startswith(LOWER_IS_BETTER) else 1


def _header(name: str, judge: str | None) -> str:
    arrow = {1: "↑", -1: "↓", 0: ""}[direction(name)]
    told_apart = f" [{judge[:8]}]" if judge else ""
    return f"{name}{told_apart} {arrow}".rstrip()


def _pictures(row: Row) -> str:
    counts = sorted({record.n_generated for record in row.records})
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,}-{counts[-1]:,}"


def format_summary(name: str, summary: Summary | None) -> str:
    """A number with its spread; shares as percentages."""
    if summary is None:
        return "-"
    return format_number(name, summary.mean, summary.spread, summary.values[0].chance is not None)


def format_number(name: str, value: float, spread: float | None = None, share: bool = False) -> str:
    """A number of a metric.

    Args:
        name: of the metric.
        value: as recorded.
        spread: as recorded.
        share: whether it is shown in per cent.
    """
    factor, unit = (100, " %") if share else (1, "")
    decimals = 2 if share else next((n for start, n in DECIMALS.items() if name.startswith(start)), 2)
    beside = "" if spread is None else f" ± {spread * factor:.{decimals}f}"
    return f"{value * factor:.{decimals}f}{beside}{unit}"


def is_better(name: str, first: Summary, second: Summary) -> bool:
    """Whether several runs of one beat several of the other by more than both spreads together."""
    if min(first.runs, second.runs) < 2 or not direction(name):
        return False
    lead = direction(name) * (first.mean - second.mean)
    return lead > (first.spread or 0.0) + (second.spread or 0.0) and not math.isclose(lead, 0.0)


def verdicts(board: Board) -> list[str]:
    """What the table says of experiments of several runs: who beats whom beyond the spread, in each column."""
    trained = [row for row in board.rows if row.kind == "checkpoint"]
    repeated = [row for row in trained if len(row.records) > 1]
    if len(trained) < 2:
        return []
    if len(repeated) < 2:
        return ["no row is called better than another: that takes several runs (seeds) of both"]
    lines = []
    for column, header in zip(board.columns, board.headers):
        name = column[0]
        found = {row.name: summary for row in repeated if (summary := row.summary(column)) and summary.runs > 1}
        if not direction(name) or len(found) < 2:
            continue
        beaten = {one: [two for two in found if is_better(name, found[one], found[two])] for one in found}
        said = [f"{one} is better than {' and '.join(worse)}" for one, worse in beaten.items() if worse]
        lines.append(f"{header}: {'; '.join(said) or 'no difference'} beyond the spread of the runs")
    return lines


def winners(board: Board) -> dict[Column, Row]:
    """The row of a column that beats all other experiments beyond the spread, where there is one."""
    trained = [row for row in board.rows if row.kind == "checkpoint"]
    found = {}
    for column in board.columns:
        scores = [(row, summary) for row in trained if (summary := row.summary(column))]
        for row, own in scores:
            others = [summary for other, summary in scores if other is not row]
            if others and all(is_better(column[0], own, other) for other in others):
                found[column] = row
    return found


def rich_table(board: Board, width: int = 10_000) -> Table:
    """For a terminal of ``width`` columns.

    A row a subject; where that is too wide a column a subject; where that is too wide too, without the single runs.
    """
    whole, short = board.grid(), board.grid(runs=False)
    for grid in (whole, _turned(whole), _turned(short)):
        if _width(grid) <= width:
            break
    return grid_table(board.title, grid)


def _turned(grid: Sequence[Sequence[str]]) -> list[list[str]]:
    return [list(column) for column in zip(*grid)]


def grid_table(title: str, grid: Sequence[Sequence[str]]) -> Table:
    """A table of text, headers first, for the terminal."""
    table = Table(title=escape(title), title_justify="left")
    for number, header in enumerate(grid[0]):
        table.add_column(escape(header), justify="right" if number else "left", overflow="fold")
    for row in grid[1:]:
        table.add_row(*(escape(cell) for cell in row))
    return table


def _width(grid: Sequence[Sequence[str]]) -> int:
    """Terminal columns that a table takes, lines and padding included."""
    return 1 + sum(3 + max(map(len, column)) for column in zip(*grid))


def markdown(board: Board) -> str:
    """The same as Markdown."""
    lines = [f"**{board.title}**", "", markdown_table(board.grid())]
    if board.footnotes:
        lines += ["", *(f"* {note}" for note in board.footnotes)]
    return "\n".join(lines) + "\n"


def markdown_table(grid: Sequence[Sequence[str]]) -> str:
    """A table of text, headers first."""
    headers, *rows = grid
    return "\n".join(map(_markdown_row, [headers, ["---"] * len(headers), *rows]))


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
