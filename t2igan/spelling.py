"""Spelling suggestions for error messages."""

import difflib
from collections.abc import Iterable

ALLOW_HELP = (
    "module of your own (mine, or folder/mine.py) whose classes checkpoints may name; may be given several times"
)

DASHES = "-\N{EN DASH}\N{EM DASH}"
"""What is typed, or made of two hyphens by a text processor, before an option's name."""


def nearest(wrong: str, known: Iterable[str]) -> str:
    """Suggestion such as ``" (did you mean batch_size?)"``, empty if no name is similar."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(wrong.lower(), by_lower, n=1)
    return f" (did you mean {by_lower[near[0]]}?)" if near else ""
