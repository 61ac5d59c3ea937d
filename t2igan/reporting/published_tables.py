"""Published numbers as text tables, for terminal, Markdown and HTML."""

from collections.abc import Mapping, Sequence

from t2igan.reporting.comparison import NO_METRIC, NOT_KNOWN
from t2igan.reporting.leaderboard import Board
from t2igan.reporting.published import METRICS, Beside, PublishedNumber, nearest

BESIDE_HEADERS = ["published", "metric", "value", "ours", "ours - published", "certainty", "source", "note"]
CERTAINTIES = {
    "stated": "stated by the source",
    "listed": "as Papers with Code lists the paper's results",
    "quoted": "quoted by another paper",
    "recalled": "recalled from memory, unconfirmed",
    "user": "measured by users",
}
DAMSM_NOTE = (
    "published R-precision was scored by AttnGAN's released DAMSM; "
    "ours is held against it where that DAMSM was imported from released files"
)
SPREAD_NOTE = "published ±: over folds (R-precision) or parts (IS) of one run's images, as released scorers do"


def beside_grid(found: Sequence[Beside]) -> list[list[str]]:
    """Table of published numbers and ours, headers first."""
    return [BESIDE_HEADERS, *map(_beside_line, found)]


def _beside_line(one: Beside) -> list[str]:
    number = one.number
    digits = METRICS[number.metric].decimals
    ours = (f"not held against it: {one.why_not}" if one.why_not else "-") if one.value is None else ""
    if one.row is not None and one.value is not None:
        ours = f"{one.value:.{digits}f}, {one.row.title}"
    difference = "" if one.difference is None else f"{one.difference:+.{digits}f}"
    return [
        number.who,
        number.metric,
        number.text,
        ours,
        difference,
        number.certainty,
        number.source,
        number.note,
    ]


def beside_notes(found: Sequence[Beside]) -> list[str]:
    """Notes for reading the table."""
    notes = [DAMSM_NOTE] if any(one.number.metric == "r-precision" for one in found) else []
    return notes + ([SPREAD_NOTE] if any(one.number.spread is not None for one in found) else [])


def elsewhere_grid(numbers: Sequence[PublishedNumber], tables: Sequence[Board]) -> list[list[str]]:
    """Table of published numbers, one line per result and one column per metric, headers first."""
    metrics = metrics_of(numbers)
    lines = [
        [
            one.who,
            *(values[name].text if name in values else "" for name in metrics),
            difference_text(values, tables),
            one.certainty,
            one.source,
            note_of(one),
        ]
        for values, one in elsewhere_lines(numbers)
    ]
    return [["system", *metrics, "difference", "certainty", "source", "note"], *lines]


def difference_text(values: Mapping[str, PublishedNumber], tables: Sequence[Board]) -> str:
    """Differences between the measurements of a line's numbers and the nearest table."""
    board, found = nearest(list(values.values()), tables)
    if set(found) <= {NOT_KNOWN, NO_METRIC}:
        return "; ".join(found)
    return f"from {board.protocol}, {board.images}: {'; '.join(found)}"


def metrics_of(numbers: Sequence[PublishedNumber]) -> list[str]:
    """The metrics that have numbers."""
    return [name for name in METRICS if any(number.metric == name for number in numbers)]


def elsewhere_lines(numbers: Sequence[PublishedNumber]) -> list[tuple[dict[str, PublishedNumber], PublishedNumber]]:
    """Numbers by metric for each result of a source, with the first of them; sorted by certainty."""
    lines: list[tuple[dict[str, PublishedNumber], PublishedNumber]] = []
    ordered = sorted(numbers, key=lambda number: list(CERTAINTIES).index(number.certainty))
    for number in ordered:
        # A source may give a metric several times for one system; each gets its own line.
        if not lines or line_key(lines[-1][1]) != line_key(number) or number.metric in lines[-1][0]:
            lines.append(({}, number))
        lines[-1][0][number.metric] = number
    return lines


def line_key(number: PublishedNumber) -> tuple[str | None, ...]:
    """Key of the line that a number belongs to."""
    return number.dataset, number.who, number.source, number.certainty, number.note, number.protocol


def note_of(number: PublishedNumber) -> str:
    """Note of a number, and the protocol under which ours would be comparable."""
    protocol = f"would compare under {number.protocol}" if number.protocol and not number.but else ""
    return "; ".join(text for text in (protocol, number.note) if text)
