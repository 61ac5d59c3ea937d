"""``t2igan report``: tables, curves and pictures of what was measured."""

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from t2igan.cli.parsing import call
from t2igan.cli.run_folder import read_curves
from t2igan.errors import UserError
from t2igan.evaluation.leaderboard import Board, boards, markdown, rich_table
from t2igan.evaluation.record import read_records
from t2igan.plotting.curves import plot_curves

console = Console()
CURVES = [
    "train/loss_d",
    "train/loss_g_adversarial",
    "train/loss_g_damsm",
    "train/logits_real",
    "train/logits_fake",
    "val/top1_of_batch",
]


def run(verb: str, argv: Sequence[str]) -> None:
    """Run the verb."""
    call(report, argv, verb)


def report(records: str, out: str | None = None, runs: list[str] | None = None) -> None:
    """Write scores.md and scores.csv, and for each run its curves and its last sample grid.

    Args:
        records: the JSON lines that ``t2igan evaluate`` appends to.
        out: folder of the report; default: ``report`` beside the records.
        runs: folders of runs.
    """
    folder = Path(out) if out else Path(records).parent / "report"
    missing = [path for path in [records, *(runs or [])] if not Path(path).exists()]
    if missing:
        raise UserError(f"{', '.join(missing)}: not there; the report is made of what evaluate and fit wrote")
    tables = boards(read_records(records))
    if not tables:
        raise UserError(f"{records} holds no record")
    folder.mkdir(parents=True, exist_ok=True)
    written = [_scores(tables, folder / "scores.md"), _csv(tables, folder / "scores.csv")]
    for board in tables:
        console.print(rich_table(board, console.width))
        for note in board.footnotes:
            console.print(note, soft_wrap=True)
    for path in map(Path, runs or []):
        written += _pictures(path, folder)
    console.print("wrote " + ", ".join(str(path) for path in written), soft_wrap=True)


def _scores(tables: list[Board], path: Path) -> Path:
    path.write_text("\n\n".join(markdown(board) for board in tables) + "\n")
    return path


def _csv(tables: list[Board], path: Path) -> Path:
    """One row a value, so that tables of different columns share the file."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["dataset", "protocol", "protocol_hash", "subject", "metric", "judge", "value", "spread"])
        for record in (row for board in tables for row in board.rows):
            head = [record.dataset, record.protocol, record.protocol_hash, record.subject.name]
            for name, value in record.metrics.items():
                writer.writerow([*head, name, value.judge, value.value, value.spread])
    return path


def _pictures(run_folder: Path, folder: Path) -> list[Path]:
    """The curves of a run and a copy of its last sample grid."""
    curves = folder / f"{run_folder.name}-curves.png"
    rows = read_curves(run_folder / "metrics.csv")
    keys = [key for key in CURVES if any(key in row for row in rows)]
    plot_curves({run_folder.name: rows}, curves, keys=keys or None)
    written = [curves]
    grids = sorted((run_folder / "samples").glob("step_*.png"))
    if grids:
        written.append(folder / f"{run_folder.name}-birds.png")
        shutil.copyfile(grids[-1], written[-1])
    return written
