"""Record of a plan's finished and submitted steps, from which the same command continues."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_type_hints

from t2igan.errors import UserError
from t2igan.files import write_whole
from t2igan.plain_files import parse_json, read_text
from t2igan.typed import fits

FILE = "plan.json"


@dataclass(frozen=True)
class LedgerEntry:
    """A step that was submitted.

    Attributes:
        fingerprint: :attr:`~t2igan.benchmark.steps.Step.fingerprint` of the step when it was submitted.
        seconds: wall time of the finished step, None while it is queued or running.
        token: identifies the step to its launcher in a later call, None if it cannot be found again.
    """

    fingerprint: str
    seconds: float | None = None
    token: str | None = None


class Ledger:
    """Entries by step name, in one file that is replaced atomically.

    Args:
        folder: folder of the plan.
        fresh: start with an empty ledger.

    Raises:
        UserError: the file is damaged.
    """

    def __init__(self, folder: Path, fresh: bool = False) -> None:
        self.file = folder / FILE
        self._entries: dict[str, LedgerEntry] = {}
        if self.file.is_file() and not fresh:
            self._entries = _entries_in(self.file)

    def find(self, name: str, fingerprint: str) -> LedgerEntry | None:
        """The entry of a step; None if there is none or its command has changed since."""
        entry = self._entries.get(name)
        return entry if entry is not None and entry.fingerprint == fingerprint else None

    def write(self, name: str, entry: LedgerEntry) -> None:
        """Add or replace the entry of a step and save the file."""
        self._entries[name] = entry
        self._save()

    def drop(self, name: str) -> None:
        """Remove the entry of a step and save the file."""
        if self._entries.pop(name, None) is not None:
            self._save()

    def _save(self) -> None:
        content = {name: asdict(entry) for name, entry in self._entries.items()}
        write_whole(self.file, json.dumps(content, indent=1).encode())


def _entries_in(file: Path) -> dict[str, LedgerEntry]:
    remedy = "delete it to start all steps again; trainings continue from their checkpoints"
    try:
        content = parse_json(read_text(file), str(file))
    except UserError as error:
        raise UserError(f"{error}: {remedy}") from error
    if not isinstance(content, dict) or not all(map(_is_entry, content.values())):
        raise UserError(f"{file}: does not say which steps are done: {remedy}")
    return {name: LedgerEntry(**entry) for name, entry in content.items()}


def _is_entry(content: Any) -> bool:
    hints = get_type_hints(LedgerEntry)
    known = isinstance(content, dict) and content.keys() <= hints.keys() and "fingerprint" in content
    return known and all(fits(value, hints[key]) for key, value in content.items())
