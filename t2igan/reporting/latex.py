"""Tables in LaTeX (booktabs), with title and footnotes."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from textwrap import wrap

from t2igan.reporting.leaderboard import Board, winners
from t2igan.reporting.tables import parts

# In letters of \footnotesize: the text of a two-column page, the widest header, and the space behind a column.
PAGE, HEADER, SPACE = 118, 18, 3
LINES = 52  # of \footnotesize on a page, beside the caption and some notes
PREAMBLE = "% needs \\usepackage{booktabs} and UTF-8\n"
# Replaced in one pass, so that no replacement is replaced again.
LETTERS = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{letter: f"\\{letter}" for letter in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "[": "{[}",  # after \\ it would be read as a length
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "±": r"$\pm$",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "∞": r"$\infty$",
        "·": r"$\cdot$",
    }
)


def escape(text: str) -> str:
    """Escape a text for LaTeX, on one line."""
    return " ".join(text.split()).translate(LETTERS)


def board_table(board: Board) -> str:
    """A leaderboard without single runs; in bold the rows that beat all others beyond the spread of the runs."""
    places = {column: 2 + len(board.facts) + number for number, column in enumerate(board.columns)}
    best = {(1 + board.rows.index(row), places[column]) for column, row in winners(board).items()}
    return latex_table(board.title, board.grid(runs=False), board.footnotes, best)


def latex_table(
    title: str,
    grid: Sequence[Sequence[str]],
    notes: Sequence[str] = (),
    best: Collection[tuple[int, int]] = (),
) -> str:
    """A table no larger than a page.

    Columns that do not fit beside the others are in a part of their own below; rows that do not fit are in a table
    of their own. Headers are broken between words, and intervals are in a line of their own below their values.

    Args:
        title: caption of the table.
        grid: cells, headers first; the first column is flush left, numbers are flush right.
        notes: lines under the table, the last one of several.
        best: (row, column) of the cells in bold; the headers are row 0.
    """
    heads = [wrap(header, HEADER) or [""] for header in grid[0]]
    cells = [[_pieces(row[place], place) for row in grid[1:]] for place in range(len(heads))]
    widths = [SPACE + max(map(len, [*head, *chain(*own)])) for head, own in zip(heads, cells)]
    below = list(parts(widths, PAGE))
    taken = len(below) * max(map(len, heads))
    height = len(below) * (2 if any(said for _, said in chain(*cells)) else 1)
    rows, most = range(1, len(grid)), max(1, (LINES - taken) // height)
    tables = [rows[begin : begin + most] for begin in range(0, len(rows), most)] or [rows]
    lines = []
    for number, own in enumerate(tables):
        caption = escape(title) + (", continued" if number else "")
        lines += [r"\begin{table*}", r"\centering", r"\footnotesize", rf"\caption{{{caption}}}"]
        for part in below:
            lines += _part([heads[place] for place in part], grid, part, own, best)
        if notes and own is tables[-1]:
            lines += ["", r"\raggedright", *(rf"{escape(note)}.\par" for note in notes)]
        lines.append(r"\end{table*}")
    return "\n".join(lines) + "\n"


def _pieces(cell: str, place: int) -> tuple[str, str]:
    """A value, and what is said of it in brackets, its interval above all; the first column has names."""
    found = re.search(r" [(\[]", cell) if place else None
    return (cell, "") if found is None else (cell[: found.start()], cell[found.start() + 1 :])


def _part(
    heads: Sequence[Sequence[str]],
    grid: Sequence[Sequence[str]],
    part: Sequence[int],
    rows: Iterable[int],
    best: Collection[tuple[int, int]],
) -> Iterator[str]:
    """A tabular of some of the columns and rows; the headers have several lines."""
    yield rf"\begin{{tabular}}{{l{'r' * (len(part) - 1)}}}"
    yield r"\toprule"
    most = max(map(len, heads))
    for words in zip(*([""] * (most - len(head)) + [*head] for head in heads)):
        yield _row(map(escape, words))
    yield r"\midrule"
    for number in rows:
        cells = [_pieces(grid[number][place], place) for place in part]
        values = [
            rf"\textbf{{{escape(value)}}}" if (number, place) in best else escape(value)
            for place, (value, _) in zip(part, cells)
        ]
        yield _row(values)
        if any(said for _, said in cells):
            yield _row(rf"{{\scriptsize {escape(said)}}}" if said else "" for _, said in cells)
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield r"\par\smallskip"


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
