"""Comparison of two rows of a leaderboard: the difference of each metric, with its interval."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
import torch

from t2igan.errors import UserError
from t2igan.evaluation.identity import identity_of
from t2igan.metrics.bootstrap import interval
from t2igan.reporting.leaderboard import OTHERWISE_CHOSEN, Board, BoardRow, Column
from t2igan.reporting.names import system_name
from t2igan.reporting.numbers import (
    CONFIDENCE,
    Summary,
    format_interval,
    format_number,
    format_summary,
    student,
    welch,
)

PAIRED, UNPAIRED = "seeds, paired", "seeds, not paired"
IMAGES, INDEPENDENT = "images, paired", "images, as independent"
NONE = "no interval"
NOTES = {
    PAIRED: f"{PAIRED}: {CONFIDENCE:.0%} by Student's t over the differences of runs of equal training seeds",
    UNPAIRED: f"{UNPAIRED}: {CONFIDENCE:.0%} by Welch's t, for the runs have other training seeds",
    IMAGES: f"{IMAGES}: one run each, bootstrap over captions and noise of both; other seeds may differ by more",
    INDEPENDENT: f"{INDEPENDENT}: one run each, both intervals joined (MOVER); other seeds may differ by more",
    NONE: f"{NONE}: a record has none, or only one of the two was trained several times",
}


@dataclass(frozen=True)
class Difference:
    """The difference of a metric between two rows.

    Attributes:
        column: metric and network.
        first: value of the first row.
        second: value of the second row.
        value: first minus second; over the paired runs if runs are paired.
        ends: confidence interval of the difference, None without one.
        over: items that the interval is computed over, a key of ``NOTES``.
    """

    column: Column
    first: Summary
    second: Summary
    value: float
    ends: tuple[float, float] | None
    over: str


@dataclass(frozen=True)
class Comparison:
    """Comparison of two rows of a table.

    Attributes:
        board: table of both rows.
        first: the first row.
        second: the second row.
        differences: differences of each metric that both have.
    """

    board: Board
    first: BoardRow
    second: BoardRow
    differences: list[Difference]

    @property
    def title(self) -> str:
        """Names of both rows and of the protocol."""
        return f"{self.first.title} against {self.second.title}: {self.board.title}"

    def grid(self) -> list[list[str]]:
        """The comparison as text cells, headers first."""
        one, two = system_name(self.first.name), system_name(self.second.name)
        headers = dict(zip(self.board.columns, self.board.headers))
        lines = [["metric", one, two, "difference", "interval", "over"]]
        for each in self.differences:
            name, share = each.column[0], each.first.values[0].chance is not None
            cells = [format_summary(name, each.first), format_summary(name, each.second)]
            difference = f"{'+' if each.value >= 0 else ''}{format_number(name, each.value, None, share)}"
            interval = format_interval(name, each.ends, share)
            lines.append([headers[each.column], *cells, difference, interval, each.over])
        return lines

    @property
    def notes(self) -> list[str]:
        """Notes about the computation of the intervals and their limits."""
        overs = {each.over for each in self.differences}
        notes = [text for over, text in NOTES.items() if over in overs]
        if lacking := [row.title for row in (self.first, self.second) if self._keeps_nothing(row)]:
            notes.append(
                f"{' and '.join(lacking)}: the record keeps no replicates, without which images are not paired: "
                "measure again, `t2igan evaluate --bootstrap 200` (the default) keeps them"
            )
        return notes + ([OTHERWISE_CHOSEN] if self.first.selection != self.second.selection else [])

    def _keeps_nothing(self, row: BoardRow) -> bool:
        """Whether a single run's record lacks replicates of a metric whose images are not paired."""
        own = [each for each in self.differences if each.over in (INDEPENDENT, NONE)]
        values = [(each.first if row is self.first else each.second).values for each in own]
        return any(len(runs) == 1 and runs[0].resampled is None for runs in values)


def compare(tables: Sequence[Board], first: str, second: str) -> list[Comparison]:
    """Compare two rows in each table that has both.

    Args:
        tables: leaderboards.
        first: name of the first row, as in a table or a record.
        second: name of the second row.

    Raises:
        UserError: a row does not exist or is ambiguous, no table has both, or a record was edited.
    """
    ones, twos = (dict(_find(tables, name)) for name in (first, second))
    shared = [number for number in ones if number in twos]
    if not shared:
        raise UserError(
            f"--compare: {first} and {second} cannot be compared, they are rows of different tables: "
            f"{tables[next(iter(ones))].title} | {tables[next(iter(twos))].title}"
        )
    found = [
        Comparison(tables[n], ones[n], twos[n], list(_differences(tables[n], ones[n], twos[n]))) for n in shared
    ]
    for one in found:
        if one.first is one.second:
            raise UserError(f"--compare: {first} and {second} are the same row")
        if edited := [row.name for row in (one.first, one.second) if row.edited]:
            raise UserError(f"--compare: {edited[0]} was changed after it had been written: measure it again")
        if not one.differences:
            raise UserError(f"--compare: {first} and {second} have no metric by the same network")
    return found


def _find(tables: Sequence[Board], name: str) -> Iterator[tuple[int, BoardRow]]:
    """Rows of this name, by the index of the table."""
    missing = True
    for number, board in enumerate(tables):
        rows = [row for row in board.rows if name in _names(row)]
        if len(rows) > 1:
            raise UserError(f"--compare: {name} matches several rows: {', '.join(row.name for row in rows)}")
        if rows:
            missing = False
            yield number, rows[0]
    if missing:
        known = dict.fromkeys(row.name for board in tables for row in board.rows)
        raise UserError(f"--compare: there is no row {name!r}; choose from {', '.join(known)}")


def _names(row: BoardRow) -> set[str]:
    return {row.name, row.title, system_name(row.name), *(record.subject.name for record in row.records[:1])}


def _differences(board: Board, first: BoardRow, second: BoardRow) -> Iterator[Difference]:
    for column in board.columns:
        one, two = first.summary(column), second.summary(column)
        if one is not None and two is not None:
            yield _difference(column, (first, one), (second, two))


def _difference(column: Column, first: tuple[BoardRow, Summary], second: tuple[BoardRow, Summary]) -> Difference:
    (_, one), (_, two) = first, second
    value = one.mean - two.mean
    if one.runs > 1 and two.runs > 1:
        ours, theirs = (_by_seed(row, column) for row, _ in (first, second))
        pairs = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
        if len(pairs) > 1:
            return Difference(
                column, one, two, fmean(pairs), student(fmean(pairs), stdev(pairs), len(pairs)), PAIRED
            )
        return Difference(column, one, two, value, welch(one, two), UNPAIRED)
    ours, theirs = one.values[0].resampled, two.values[0].resampled
    if one.runs == two.runs == 1 and ours and theirs and ours.samples == theirs.samples:
        moved = torch.from_numpy(np.subtract(ours.deviations, theirs.deviations))
        return Difference(column, one, two, value, interval(value, moved, _confidence(first[0])), IMAGES)
    if one.runs == two.runs == 1 and one.ends and two.ends:
        low = math.hypot(one.mean - one.ends[0], two.ends[1] - two.mean)
        high = math.hypot(one.ends[1] - one.mean, two.mean - two.ends[0])
        return Difference(column, one, two, value, (value - low, value + high), INDEPENDENT)
    return Difference(column, one, two, value, None, NONE)


def _confidence(row: BoardRow) -> float:
    """Confidence level of the protocol's intervals."""
    return row.records[0].protocol_content.get("confidence", CONFIDENCE)


def _by_seed(row: BoardRow, column: Column) -> dict[int | None, float]:
    """Values of a row's runs by training seed; a row of several runs has each seed once."""
    name, network = column
    having = [one for one in row.records if name in one.metrics and one.metrics[name].network_sha256 == network]
    return {identity_of(one.subject).training_seed: one.metrics[name].value for one in having}
