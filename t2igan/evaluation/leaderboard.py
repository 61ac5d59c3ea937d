"""Records -> tables. Only records of one protocol hash and one data set stand together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from t2igan.evaluation.record import MetricValue, ResultRecord

KIND_ORDER = ("untrained", "checkpoint", "images", "real")
LOWER_IS_BETTER = ("fid", "fd-")
# A column: the metric's name and the sha256 of the network that judges.
Column = tuple[str, str]


@dataclass(frozen=True)
class Board:
    """Comparable records.

    Attributes:
        title: data set, protocol and hash.
        columns: metrics, in the order of their first appearance.
        rows: newest record of each subject; the untrained first, the real images last.
    """

    title: str
    columns: list[Column]
    rows: list[ResultRecord]

    @property
    def headers(self) -> list[str]:
        """Titles of the columns; equal metrics of different judges are told apart by the judge's hash."""
        names = [name for name, _ in self.columns]
        return [_header(name, judge if names.count(name) > 1 else None) for name, judge in self.columns]

    def cells(self, record: ResultRecord) -> list[str]:
        """One cell a column."""
        return [_cell(name, judge, record) for name, judge in self.columns]

    def _name(self, record: ResultRecord) -> str:
        """The subject's name; with what tells it from another of that name."""
        subject = record.subject
        if [row.subject.name for row in self.rows].count(subject.name) == 1:
            return subject.name
        parts = (subject.path, subject.weights, subject.seed)
        return f"{subject.name} ({', '.join(str(part) for part in parts if part is not None)})"

    def grid(self) -> list[list[str]]:
        """The whole table as text, headers first."""
        rows = [[self._name(row), f"{row.n_generated:,}", *self.cells(row)] for row in self.rows]
        return [["subject", "pictures", *self.headers], *rows]

    @property
    def footnotes(self) -> list[str]:
        """What the numbers are to be held against, and what is missing."""
        values = [value for record in self.rows for value in record.metrics.values()]
        chances = sorted({value.chance for value in values if value.chance is not None})
        notes = [
            f"R-precision by guessing: {chance:.2%} ({round(1 / chance)} candidates)" for chance in chances
        ]
        for record in self.rows:
            for name, reason in record.not_computed.items():
                notes.append(f"{record.subject.name}: {name} not computed: {reason}")
            notes += [f"{record.subject.name}: {note}" for note in record.notes]
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
    rows = sorted(newest.values(), key=lambda record: KIND_ORDER.index(record.subject.kind))
    columns = dict.fromkeys((name, value.judge) for record in rows for name, value in record.metrics.items())
    last = records[-1]
    title = f"{last.dataset} ({last.fingerprint[:8]}), protocol {last.protocol} ({last.protocol_hash[:8]})"
    return Board(title, list(columns), rows)


def _header(name: str, judge: str | None) -> str:
    arrow = "↓" if name.startswith(LOWER_IS_BETTER) else "" if "shuffled" in name else "↑"
    told_apart = f" [{judge[:8]}]" if judge else ""
    return f"{name}{told_apart} {arrow}".rstrip()


def _cell(name: str, judge: str, record: ResultRecord) -> str:
    value = record.metrics.get(name)
    if value is None or value.judge != judge:
        return "-"
    return format_value(value)


def format_value(value: MetricValue) -> str:
    """A number with its spread; shares as percentages."""
    factor, unit = (100, " %") if value.chance is not None else (1, "")
    spread = "" if value.spread is None else f" ± {value.spread * factor:.2f}"
    return f"{value.value * factor:.2f}{spread}{unit}"


def rich_table(board: Board, width: int = 10_000) -> Table:
    """For a terminal of ``width`` columns: a row a subject, or a column a subject where that is too wide."""
    grid = board.grid()
    if _width(grid) > width:
        grid = [list(column) for column in zip(*grid)]
    table = Table(title=board.title, title_justify="left")
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
    headers, *rows = board.grid()
    lines = [f"**{board.title}**", "", _markdown_row(headers), _markdown_row(["---"] * len(headers))]
    lines += map(_markdown_row, rows)
    if board.footnotes:
        lines += ["", *(f"* {note}" for note in board.footnotes)]
    return "\n".join(lines) + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
