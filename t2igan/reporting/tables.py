"""Leaderboards as text, for the terminal and in Markdown."""

import html
from collections.abc import Sequence

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from t2igan.reporting.leaderboard import Board


def rich_table(board: Board, width: int = 10_000) -> Group:
    """A leaderboard for a terminal of ``width`` columns.

    One row per subject; if that is too wide, one column per subject; if still too wide, without single runs, and
    with subjects in several tables, so that none is cut off.
    """
    whole, short = board.grid(), board.grid(runs=False)
    for grid in (whole, _turned(whole)):
        if _width(grid) <= width:
            return Group(grid_table(board.title, grid, width))
    return divided_table(board.title, _turned(short), width)


def divided_table(title: str, grid: Sequence[Sequence[str]], width: int) -> Group:
    """A table of text, headers first, for a terminal of ``width`` columns, in several parts if it is too wide."""
    found = parts([3 + _least(column, width) for column in zip(*grid)], width - 1)
    titles = [title, *[""] * (len(found) - 1)]
    return Group(*(grid_table(each, columns_of(grid, part), width) for each, part in zip(titles, found)))


def parts(widths: Sequence[int], room: int) -> list[list[int]]:
    """Divide the columns of a table among as few tables as fit, the first column in each of them.

    Args:
        widths: width of each column.
        room: greatest width of a table; a single column may be wider.

    Returns:
        the numbers of the columns of each table.
    """
    first, *others = widths
    made: list[list[int]] = [[0]]
    for place, width in enumerate(others, start=1):
        used = first + sum(widths[each] for each in made[-1][1:])
        if len(made[-1]) > 1 and used + width > room:
            made.append([0])
        made[-1].append(place)
    return made


def columns_of(grid: Sequence[Sequence[str]], places: Sequence[int]) -> list[list[str]]:
    """Some columns of a table."""
    return [[row[place] for place in places] for row in grid]


def _turned(grid: Sequence[Sequence[str]]) -> list[list[str]]:
    return [list(column) for column in zip(*grid)]


def _longest_word(texts: Sequence[str]) -> int:
    return max((len(word) for text in texts for word in text.split()), default=0)


def _least(column: Sequence[str], room: int) -> int:
    """Width of a column that breaks no word, unless two such columns were too wide for a table."""
    return min(_longest_word(column), (room - 7) // 2)


def _widths(grid: Sequence[Sequence[str]], room: int) -> list[int]:
    """Widths of columns that break no word: the room that is left goes to the narrowest that has use for it."""
    columns = list(zip(*grid))
    widths, longest = [_least(column, room) for column in columns], [max(map(len, column)) for column in columns]
    for _ in range(room - 1 - 3 * len(widths) - sum(widths)):
        if wanting := [place for place, width in enumerate(widths) if width < longest[place]]:
            widths[min(wanting, key=widths.__getitem__)] += 1
    return widths


def grid_table(title: str, grid: Sequence[Sequence[str]], room: int = 10_000) -> Table:
    """A table of text, headers first, for the terminal.

    Args:
        title: title of the table.
        grid: cells.
        room: columns of the terminal; names and numbers are broken between words as far as these allow it.
    """
    widths = _widths(grid, room)
    table = Table(title=escape(title), title_justify="left")
    for number, header in enumerate(grid[0]):
        justify = "right" if number else "left"
        table.add_column(escape(header), justify=justify, overflow="fold", width=widths[number])
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
