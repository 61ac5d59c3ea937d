"""Footnotes on what a reader of a table has to know before rows are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from t2igan.reporting.names import listed_losses, system_name

if TYPE_CHECKING:
    from t2igan.reporting.leaderboard import Board


def doubts(board: Board) -> list[str]:
    """Footnotes about edited and unverifiable records, chosen checkpoints, listed losses and copied images."""
    edited = [row.title for row in board.rows if row.edited]
    notes = [f"{title}: edited after it was written, its digest does not fit" for title in edited]
    without = sum(record.integrity == "without digest" for record in board.records)
    if without:
        notes.append(f"without digest (written before there was one): {without} of {len(board.records)} records")
    chosen = [(row.title, rule) for row in board.rows if (rule := row.selection) is not None]
    notes += [f"{title}: this checkpoint was chosen by a score ({rule})" for title, rule in chosen]
    for row in board.rows:
        trainings = [record.subject.training for record in row.records]
        losses = dict.fromkeys(listed_losses(training.config) for training in trainings if training is not None)
        notes += [f"{row.title}: losses of the generator: {told}" for told in losses if told]
    for record in board.records:
        distinct = record.subject.n_distinct
        if distinct is not None and distinct < record.n_generated:
            copies = record.n_generated - distinct
            who = system_name(record.subject.name)
            notes.append(f"{who}: {copies:,} of {record.n_generated:,} files are copies of others")
    return notes
