"""``t2igan report``: tables, curves and images of all results, compared with published numbers."""

import json
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from t2igan.callbacks.run_folder import read_curves
from t2igan.cli.parsing import call
from t2igan.errors import UserError
from t2igan.evaluation.history import run_folder_of
from t2igan.evaluation.identity import read_identity
from t2igan.evaluation.record import ResultRecord, SubjectCard, TrainingCard, read_records
from t2igan.files import make_folder, write_whole
from t2igan.nn.config import import_allowed
from t2igan.plotting.curves import Rows, plot_curves
from t2igan.reporting.html import render_page
from t2igan.reporting.latex import PREAMBLE, board_table, latex_table
from t2igan.reporting.leaderboard import Board, boards
from t2igan.reporting.paired import Comparison
from t2igan.reporting.paired import compare as compare_rows
from t2igan.reporting.published import beside, elsewhere
from t2igan.reporting.published_tables import beside_grid, beside_notes, elsewhere_grid
from t2igan.reporting.report_runs import PageImage, as_page_image, first_curves, quality_curves, read_run
from t2igan.reporting.reproduction import of_one_another, of_other_weights, of_the_zoo
from t2igan.reporting.scores_csv import write_csv
from t2igan.reporting.sheets import systems_sheet
from t2igan.reporting.tables import divided_table, markdown, markdown_table, rich_table
from t2igan.reporting.wandb_layout import layout_of, workspace_of, write_layout
from t2igan.reporting.wandb_pages import Mode, log_report
from t2igan.reporting.zoo_sheets import zoo_overlays, zoo_samples, zoo_sheet
from t2igan.zoo import PREFIX, is_zoo_name

console = Console()
HELP = ("-h", "--help")


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan report`` with the arguments that follow it."""
    call(report, list(_as_one_list(argv)), verb)


def _as_one_list(argv: Sequence[str]) -> Iterator[str]:
    """Collect the record files into the one list that the parser takes; every option has a value."""
    records, options, waiting = [], [], False
    words = iter(argv)
    for argument in words:
        if argument == "--compare":
            yield f"--compare={json.dumps([word for _, word in zip(range(2), words)])}"
        elif argument == "--runs":
            value = next(words, "")
            yield f"--runs={value if value.startswith('[') else json.dumps([value])}"
        elif waiting or argument.startswith("-"):
            options.append(argument)
            waiting = not waiting and "=" not in argument and argument not in HELP
        else:
            records.append(argument)
    if records or not set(HELP) & set(options):
        yield json.dumps(records)
    yield from options


def report(
    records: list[str],
    out: str | None = None,
    runs: list[str] | None = None,
    html: bool = True,
    csv: bool = True,
    latex: bool = True,
    compare: list[str] | None = None,
    wandb: Mode | None = None,
) -> None:
    """Write scores.md, scores.csv, scores.tex and index.html, and for each run its curves and its last sample grid.

    Args:
        records: the JSON lines files that ``t2igan evaluate`` appends to, or folders with records.jsonl in them.
        out: folder of the report; default: ``report`` beside the first of the records.
        runs: folders of runs; default: those of the records' checkpoints, as far as they are there.
        html: write index.html, one self-contained page.
        csv: write scores.csv, a line a number.
        latex: write scores.tex, the tables for a paper (booktabs).
        compare: two rows, such as --compare ssagan dfgan: their difference in each metric with its interval, over
            training seeds or, of single runs, over images, in pairs where both were scored on the same ones;
            printed, and written to comparison.md.
        wandb: log leaderboards, sheets and the page to wandb too, and lay out its dashboards: offline writes the
            layout to wandb-layout.json, online saves it as a view of the project as well.
    """
    import_allowed()  # the user's own metrics tell which direction is better
    paths = _record_files(records, runs or [])
    found, notes = _read(paths)
    reproduced = [*of_the_zoo(found), *of_one_another(found)]
    notes += of_other_weights(found)
    tables = boards(found)
    pair = _compared(tables, compare)
    folder = Path(out) if out else paths[0].parent / "report"
    folders, others = _given_runs(runs, found) if runs is not None else _runs_of(found)
    notes += others
    make_folder(folder)
    written = [*_written_tables(tables, pair, folder, csv, latex)]
    curves = {path: read_curves(path / "metrics.csv") for path in folders}
    for path, rows in curves.items():
        written += _curves_and_samples(path, rows, folder)
    page = folder / "index.html" if html else None
    if page:
        shown = [read_run(path, rows) for path, rows in curves.items()]
        text = render_page(tables, shown, notes, _systems(folders), _of_zoo(found), reproduced)
        write_whole(page, text.encode())
        written.append(page)
    if wandb is not None:
        written.append(_to_wandb(tables, curves, page, folder, wandb))
    _print(tables, [*notes, *reproduced], pair)
    _print_files(written, page)


def _print_files(written: Sequence[Path], page: Path | None) -> None:
    """Print what was written, and the next command."""
    console.print("wrote " + ", ".join(str(path) for path in written), soft_wrap=True, markup=False)
    if page:
        console.print(f"next: open {page}", soft_wrap=True, markup=False)


def _written_tables(
    tables: Sequence[Board], pair: Sequence[Comparison], folder: Path, csv: bool, latex: bool
) -> Iterator[Path]:
    """Write the tables as Markdown, CSV and LaTeX, and return the files."""
    yield _scores(tables, folder / "scores.md")
    if csv:
        write_csv(tables, folder / "scores.csv", pair)
        yield folder / "scores.csv"
    if pair:
        text = "\n".join(map(_comparison_text, pair))
        (folder / "comparison.md").write_text(text, encoding="utf-8")
        yield folder / "comparison.md"
    if latex:
        text = PREAMBLE + "\n".join(_latex(tables, pair))
        (folder / "scores.tex").write_text(text, encoding="utf-8")
        yield folder / "scores.tex"


def _compared(tables: Sequence[Board], names: Sequence[str] | None) -> list[Comparison]:
    """The requested comparison, in each table that contains both rows.

    Raises:
        UserError: the names are not two comparable rows.
    """
    if names is None:
        return []
    if len(names) != 2:
        raise UserError(f"--compare takes the names of two rows, not {', '.join(names) or 'none'}")
    return compare_rows(tables, *names)


def _systems(folders: Sequence[Path]) -> PageImage | None:
    """The last sample grids of all runs side by side, if there are several."""
    sheet = systems_sheet(folders)
    return None if sheet is None else as_page_image(sheet, "averaged weights, the same captions")


def _of_zoo(records: Sequence[ResultRecord]) -> list[PageImage]:
    """Sample grids of zoo models that have a record."""
    names = [str(record.subject.path) for record in records]
    datasets = {name.removeprefix(PREFIX).partition("/")[0] for name in names if is_zoo_name(name)}
    by_system = {
        system: samples for dataset in sorted(datasets) for system, samples in zoo_samples(dataset).items()
    }
    if not by_system:
        return []
    head = as_page_image(
        zoo_sheet(by_system), "The zoo: weights that come with t2igan, images made on this machine, one noise."
    )
    return [head, *(as_page_image(image, text) for image, text in zoo_overlays(by_system))]


def _comparison_text(one: Comparison) -> str:
    notes = "".join(f"* {note}\n" for note in one.notes)
    return f"**{one.title}**\n\n{markdown_table(one.grid())}\n\n{notes}"


def _latex(tables: Sequence[Board], pair: Sequence[Comparison]) -> Iterator[str]:
    """The LaTeX tables of results and comparisons, with the comparable published numbers."""
    for board in tables:
        yield board_table(board)
        if found := beside(board):
            # Without the last two columns, sentences and links, which are in scores.md.
            yield latex_table("published under the same protocol", [line[:-2] for line in beside_grid(found)])
    for one in pair:
        yield latex_table(one.title, one.grid(), one.notes)


def _to_wandb(
    tables: Sequence[Board], curves: Mapping[Path, Rows], page: Path | None, folder: Path, mode: Mode
) -> Path:
    """Log the report to wandb and lay out the project's dashboards; returns the layout's file."""
    grids = {run.name: sorted((run / "samples").glob("step_*.png")) for run in curves}
    sheets = {name: found[-1] for name, found in grids.items() if found}
    logged = [key for rows in curves.values() for row in rows for key in row]
    scores = [key for rows in curves.values() for key in quality_curves(rows)]
    layout = layout_of(logged, scores, [f"sheets/{name}" for name in sheets])
    path = write_layout(layout, folder)
    entity, project = log_report(tables, sheets, page, folder, mode)
    if mode == "online":
        saved = workspace_of(layout, entity, project).save()
        console.print(f"dashboards: {saved.url}", soft_wrap=True, markup=False)
    elif mode == "offline":
        files = folder / "wandb"
        console.print(
            f"wandb: `wandb sync {files}/offline-run-*` sends the report, and this command with --wandb online "
            "makes the dashboards",
            soft_wrap=True,
            markup=False,
        )
    return path


def _record_files(records: Sequence[str], runs: Sequence[str]) -> list[Path]:
    """The record files that the arguments name.

    Raises:
        UserError: no file is given, or a file does not exist; missing runs are named with it.
    """
    if not records:
        raise UserError("no records given: name the records.jsonl that `t2igan evaluate` wrote")
    if not all(Path(path).exists() for path in records):
        _refuse_missing([path for path in [*records, *runs] if not Path(path).exists()])
    files: list[Path] = []
    for path in map(Path, records):
        inside = sorted(path.rglob("records.jsonl")) if path.is_dir() else [path]
        if not inside:
            raise UserError(f"{path}: no records.jsonl in this folder; `t2igan evaluate` writes them")
        files += inside
    return list(dict.fromkeys(files))


def _refuse_missing(paths: Sequence[str]) -> None:
    if paths:
        raise UserError(
            f"{', '.join(paths)}: no such file; give records of `t2igan evaluate` and run folders of `t2igan fit`"
        )


def _given_runs(runs: Sequence[str], records: Sequence[ResultRecord]) -> tuple[list[Path], list[str]]:
    """The folders of runs that are there, and a note on each that is not: trainings of a plan may have failed.

    Raises:
        UserError: none of them is there, though trainings were scored.
    """
    missing = [run for run in runs if not Path(run).exists()]
    if len(missing) == len(runs) and any(record.subject.kind == "checkpoint" for record in records):
        _refuse_missing(missing)
    notes = [f"{run}: no such folder; the run was not trained, or was moved" for run in missing]
    return [Path(run) for run in runs if run not in missing], notes


def _read(paths: Sequence[Path]) -> tuple[list[ResultRecord], list[str]]:
    """The distinct records of all files, oldest first, and the lines that could not be read.

    Within a file the order is that of its lines: clocks are set back, and a later line holds all the same.

    Raises:
        UserError: there is no record.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lines: dict[str, tuple[str, Path, ResultRecord]] = {}
        for path in paths:
            latest = ""
            for record in read_records(path):
                latest = max(latest, record.timestamp if record.integrity != "edited" else "")
                lines.setdefault(record.to_json(), (latest or record.timestamp, path, record))
    notes = [str(warning.message) for warning in caught]
    if not lines:
        more = f"; and {len(notes) - 1:,} more" if len(notes) > 1 else ""
        beside_it = f" ({notes[0]}{more})" if notes else ""
        names = ", ".join(map(str, paths))
        raise UserError(
            f"{names}: contains no record{beside_it}; `t2igan evaluate --records {paths[0]} ...` writes one"
        )
    ordered = sorted(lines.values(), key=lambda each: each[0])
    return list(_by_their_files([(path, record) for _, path, record in ordered])), notes


def _by_their_files(records: Sequence[tuple[Path, ResultRecord]]) -> Iterator[ResultRecord]:
    """Two people's runs of one name are not one run: where files have other weights of it, they are in its name."""
    first: dict[tuple[Any, ...], dict[str | None, Path]] = {}
    places = [(one.subject.kind, one.subject.name, one.subject.path, one.subject.weights) for _, one in records]
    for (file, record), place in zip(records, places):
        first.setdefault(place, {}).setdefault(record.subject.sha256, file)
    for (file, record), place in zip(records, places):
        several = len({*first[place].values()}) > 1
        card = replace(record.subject, name=f"{record.subject.name} ({file})") if several else record.subject
        yield replace(record, subject=card)


def _runs_of(records: Sequence[ResultRecord]) -> tuple[list[Path], list[str]]:
    """Existing folders of the runs that were scored, and notes on those that hold another run or are gone."""
    found: dict[Path, bool] = {}
    gone: dict[Path, None] = {}
    for subject in (record.subject for record in records if record.subject.kind == "checkpoint"):
        folder = run_folder_of(subject.path) if subject.path else None
        if folder is not None and (folder / "metrics.csv").is_file():
            found[folder] = found.get(folder, False) or _is_there(subject)
        elif folder is not None and not folder.exists():
            gone[folder] = None
    others = [
        f"{path}: the run there is not the one that was scored; its curves and samples are left out"
        for path, own in found.items()
        if not own
    ]
    if gone:
        names = ", ".join(map(str, [*gone][:3])) + (f" and {len(gone) - 3:,} more" if len(gone) > 3 else "")
        others.append(f"no curves and samples of {names}: no such folder; give those of moved runs with --runs")
    return [path for path, own in found.items() if own], others


def _is_there(subject: SubjectCard) -> bool:
    """Whether the run at a subject's path is, by its configuration, the one that the record is of."""
    training = subject.training or TrainingCard()
    known = read_identity(str(subject.path), training.fingerprint, training.inputs, bool(subject.selection))
    recorded = subject.experiment, subject.training_seed
    return recorded in ((None, None), (known.experiment, known.training_seed))


def _scores(tables: Sequence[Board], path: Path) -> Path:
    parts = []
    for board in tables:
        parts.append(markdown(board))
        if found := beside(board):
            notes = "".join(f"\n* {note}" for note in beside_notes(found))
            parts.append(f"Published under the same protocol:\n\n{markdown_table(beside_grid(found))}\n{notes}")
    others = elsewhere(tables)
    for dataset in dict.fromkeys(number.dataset for number in others):
        own = [number for number in others if number.dataset == dataset]
        parts.append(f"**{dataset}: published, other protocol**\n\n{markdown_table(elsewhere_grid(own, tables))}")
    text = "\n\n".join(parts)
    write_whole(path, f"{text}\n".encode())
    return path


def _print(tables: Sequence[Board], notes: Sequence[str], pair: Sequence[Comparison]) -> None:
    for board in tables:
        console.print(rich_table(board, console.width))
        for note in board.footnotes:
            console.print(note, soft_wrap=True, markup=False)
        if found := beside(board):
            # Without source and note, which are in the files: a terminal is too narrow for them.
            grid = [line[:-2] for line in beside_grid(found)]
            console.print(divided_table("published under the same protocol", grid, console.width))
            for note in beside_notes(found):
                console.print(note, soft_wrap=True, markup=False)
    if others := elsewhere(tables):
        text = (
            f"{len(others)} published numbers of these data sets are of another protocol: see the end of scores.md"
        )
        console.print(text, soft_wrap=True, markup=False)
    for note in notes:
        console.print(note, soft_wrap=True, markup=False)
    for one in pair:
        title, grid, overs = one.title, one.grid(), {each.over for each in one.differences}
        if len(overs) == 1:  # a terminal is narrow
            title, grid = f"{title}; intervals: {overs.pop()}", [line[:-1] for line in grid]
        console.print(divided_table(title, grid, console.width))
        for note in one.notes:
            console.print(note, soft_wrap=True, markup=False)


def _curves_and_samples(run_folder: Path, rows: list[dict[str, float]], folder: Path) -> list[Path]:
    """Plot the curves of a run, if it logged any, and copy its last sample grid."""
    written = []
    if rows:
        written.append(folder / f"{run_folder.name}-curves.png")
        keys = [*quality_curves(rows), *first_curves(set().union(*rows))]
        plot_curves({run_folder.name: rows}, written[0], keys=keys or None)
    grids = sorted((run_folder / "samples").glob("step_*.png"))
    if grids:
        written.append(folder / f"{run_folder.name}-samples.png")
        shutil.copyfile(grids[-1], written[-1])
    return written
