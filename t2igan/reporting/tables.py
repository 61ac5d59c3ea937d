"""Leaderboards as text, for the terminal and in Markdown."""

import html
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from t2igan.reporting.leaderboard import Board


def rich_table(board: Board, width: int = 10_000) -> Table:
    """A leaderboard for a terminal of ``width`` columns.

    One row per subject; if that is too wide, one column per subject; if still too wide, without single runs.
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
        # Names of metrics are wrapped only between words, on narrow terminals too.
        least = 1 if number else max(len(word) for row in grid for word in [*row[0].split(), ""])
        table.add_column(escape(header), justify="right" if number else "left", overflow="fold", min_width=least)
    for row in grid[1:]:
        table.add_row(*(escape(cell) for cell in row))
    return table


def _width(grid: Sequence[Sequence[str]]) -> int:
    """Width of a table in terminal columns, including lines and padding."""
    return 1 + sum(3 + max(map(len, column)) for column in zip(*grid))


def markdown(board: Board) -> str:
    """A leaderboard in Markdown."""
    lines = [f"**{html.escape(board.title, quote=False)}**", "", markdown_table(board.grid())]
    if board.footnotes:
        lines += ["", *(f"* {html.escape(note, quote=False)}" for note in board.footnotes)]
    return "\n".join(lines) + "\n"


def markdown_table(grid: Sequence[Sequence[str]]) -> str:
    """A Markdown table of text, headers first, with HTML escaped."""
    headers, *rows = grid
    return "\n".join(map(_markdown_row, [headers, ["---"] * len(headers), *rows]))


def _markdown_row(cells: Sequence[str]) -> str:
    texts = (html.escape(" ".join(cell.split()), quote=False).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(texts)} |"
