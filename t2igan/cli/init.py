"""``t2igan init``: copy the shipped experiments and plans into a folder for editing."""

from collections.abc import Sequence
from pathlib import Path

from t2igan.cli.parsing import call
from t2igan.errors import UserError
from t2igan.shipped import EXPERIMENTS, copy_experiments


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan init`` with the arguments that follow it."""
    call(init, argv, verb)


def init(folder: str) -> None:
    """Copy the experiments and plans of the package into a folder; existing files are kept.

    Args:
        folder: folder to hold ``experiments``; commands run there prefer these files to the package's.
    """
    target = Path(folder)
    if target.is_file():
        raise UserError(f"{folder} is a file: give a folder")
    written, kept = copy_experiments(target)
    for file in kept:
        print(f"kept {file}, which differs from the package's")
    print(f"wrote {len(written)} files to {target / EXPERIMENTS}")
    print(f"next: cd {folder} && t2igan benchmark quickstart --dry_run true")
