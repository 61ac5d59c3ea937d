"""``t2igan init``: experiments and plans out of the package, for changing."""

from collections.abc import Sequence
from pathlib import Path

from t2igan.cli.parsing import call
from t2igan.errors import UserError
from t2igan.shipped import EXPERIMENTS, copy_experiments


def run(verb: str, argv: Sequence[str]) -> None:
    """Run the verb."""
    call(init, argv, verb)


def init(folder: str) -> None:
    """Copy the experiments and plans of the package into a folder; what is there already is kept.

    Args:
        folder: to hold ``experiments``; commands given there take these files before those of the package.
    """
    target = Path(folder)
    if target.is_file():
        raise UserError(f"{folder} is a file: give a folder")
    written, kept = copy_experiments(target)
    for file in kept:
        print(f"kept {file}, which differs from the package's")
    print(f"wrote {len(written)} files to {target / EXPERIMENTS}")
    print(f"next: cd {folder} && t2igan benchmark quickstart --dry_run true")
