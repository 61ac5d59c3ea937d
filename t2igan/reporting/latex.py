"""Tables in LaTeX (booktabs), with title and footnotes."""

from collections.abc import Sequence

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


def latex_table(title: str, grid: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """A table over the width of the page.

    Args:
        title: caption of the table.
        grid: cells, headers first; the first column is flush left, numbers are flush right.
        notes: lines under the table.
    """
    headers, *rows = [" & ".join(map(escape, row)) + r" \\" for row in grid]
    lines = [r"\begin{table*}", r"\centering", r"\footnotesize", rf"\caption{{{escape(title)}}}"]
    lines += [rf"\begin{{tabular}}{{l{'r' * (len(grid[0]) - 1)}}}", r"\toprule", headers, r"\midrule", *rows]
    lines += [r"\bottomrule", r"\end{tabular}"]
    if notes:
        lines += ["", r"\raggedright", *(rf"{escape(note)}.\par" for note in notes)]
    return "\n".join([*lines, r"\end{table*}"]) + "\n"
