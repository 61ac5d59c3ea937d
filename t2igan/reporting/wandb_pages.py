"""Log scores, leaderboards and sample sheets to wandb, for ``evaluate`` and ``report``."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from t2igan.errors import UserError
from t2igan.evaluation.history import run_folder_of
from t2igan.evaluation.record import ResultRecord
from t2igan.files import make_folder
from t2igan.reporting.leaderboard import Board
from t2igan.reporting.numbers import spread_over
from t2igan.reporting.tracking import PROJECT, read_address

Mode = Literal["online", "offline", "disabled"]


@contextmanager
def opened(folder: Path, mode: Mode, **settings: Any) -> Iterator[Any]:
    """Context with a wandb run; environment variables have precedence over the settings.

    Args:
        folder: wandb's files lie in it.
        mode: online or offline.
        **settings: settings of ``wandb.init``; None is left to wandb.

    Yields:
        The run.

    Raises:
        UserError: wandb cannot be reached, or nobody is logged in.
    """
    import wandb  # imported late, because it is slow
    from wandb.errors import Error as WandbError

    variables = {"project": "PROJECT", "name": "NAME", "group": "RUN_GROUP", "tags": "TAGS", "id": "RUN_ID"}
    given = {
        key: value
        for key, value in settings.items()
        if value is not None and f"WANDB_{variables.get(key)}" not in os.environ
    }
    make_folder(folder)
    try:
        run = wandb.init(dir=str(folder), mode=mode, **given)
    except WandbError as error:
        what = str(error).splitlines()[0]
        raise UserError(f"wandb: {what} Or give --wandb offline, and send it later with `wandb sync`") from error
    failed = True
    try:
        yield run
        failed = False
    finally:
        run.finish(exit_code=int(failed))


def log_scores(record: ResultRecord, mode: Mode) -> None:
    """Log a record to the summary of the scored run, or to a new run if wandb does not know it.

    Args:
        record: record of ``evaluate``.
        mode: mode of wandb.
    """
    subject = record.subject
    folder = run_folder_of(subject.path) if subject.kind == "checkpoint" and subject.path else None
    address = {} if folder is None else read_address(folder)
    if "id" in address:
        page: dict[str, Any] = {"id": address["id"], "project": address.get("project"), "resume": "allow"}
    else:
        page = {"name": f"{subject.name}, {record.protocol}", "project": PROJECT, "job_type": "evaluate"}
        page["tags"] = [record.dataset]
    with opened(folder or Path("runs"), mode, **page) as run:
        run.config.update({f"scored {record.protocol}": _facts(record)}, allow_val_change=True)
        run.summary.update(summary_of(record))


def summary_of(record: ResultRecord) -> dict[str, float]:
    """Summary entries ``test/<protocol>/<metric>``, or ``best/...`` for a selected checkpoint, with spreads."""
    place = f"{'best' if record.subject.selection else 'test'}/{record.protocol}"
    found = {}
    for name, value in record.metrics.items():
        found[f"{place}/{name}"] = value.value
        if value.spread is not None:
            found[f"{place}/{name} ± {spread_over(name, value)}"] = value.spread
    return found


def _facts(record: ResultRecord) -> dict[str, Any]:
    """Settings of a record, without its values and without the configuration that the run has anyway."""
    content = asdict(record)
    content["subject"].pop("training")
    return {key: value for key, value in content.items() if key not in ("metrics", "digest", "integrity")}


def log_report(
    tables: Sequence[Board], sheets: Mapping[str, Path], page: Path | None, folder: Path, mode: Mode
) -> tuple[str, str]:
    """Log a run with all leaderboards, a sample sheet for each training, and the page.

    Args:
        tables: leaderboards.
        sheets: PNG files by the name of their training.
        page: index.html, None for none.
        folder: folder of the report, which also holds wandb's files.
        mode: mode of wandb.

    Returns:
        Entity (empty offline) and project.
    """
    import wandb

    name = f"report of {folder.absolute().parent.name}"
    with opened(folder, mode, project=PROJECT, name=name, job_type="report") as run:
        row: dict[str, Any] = {}
        for board in tables:
            alone = [one.protocol for one in tables].count(board.protocol) == 1
            headers, lines = leaderboard_rows(board)
            table = wandb.Table(columns=list(headers), data=list(lines))
            row[f"leaderboard/{board.protocol if alone else board.title}"] = table
        for name, path in sheets.items():
            row[f"sheets/{name}"] = wandb.Image(str(path))
        if page is not None:
            row["report"] = wandb.Html(str(page))
        run.log(row)
        return run.entity or "", run.project or PROJECT


def leaderboard_rows(board: Board) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of a leaderboard as numbers, so that wandb can sort and plot them.

    Returns:
        Column names, with spread and its items after each metric, and rows of as many values.
    """
    columns = ["subject", "kind", "runs", "images"]
    for header in board.headers:
        metric = header.partition(" ±")[0]
        columns += [metric, f"{metric} ±", f"{metric} ± over"]
    rows = []
    for row in board.rows:
        line: list[Any] = [row.title, row.kind, len(row.records), row.records[0].n_generated]
        for column in board.columns:
            summary = row.summary(column)
            line += [None] * 3 if summary is None else [summary.mean, summary.spread, summary.over]
        rows.append(line)
    return columns, rows
