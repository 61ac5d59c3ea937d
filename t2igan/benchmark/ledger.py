"""What of a plan is done, and what is on its way, so that the same command goes on."""

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
    """A step that was handed out.

    Attributes:
        fingerprint: fingerprint of the step.
        seconds: that it took, None while it is on its way.
        token: under which its launcher finds it again, if it can.
    """

    fingerprint: str
    seconds: float | None = None
    token: str | None = None


class Ledger:
    """Entries by the steps' names, in one file that is written whole or not at all.

    Args:
        folder: folder of the plan.
        fresh: forget what is done.

    Raises:
        UserError: the file is damaged.
    """

    def __init__(self, folder: Path, fresh: bool = False) -> None:
        self.file = folder / FILE
        self._entries: dict[str, LedgerEntry] = {}
        if self.file.is_file() and not fresh:
            self._entries = _entries_in(self.file)

    def find(self, name: str, fingerprint: str) -> LedgerEntry | None:
        """The entry of a step, None where it is missing or of another command."""
        entry = self._entries.get(name)
        return entry if entry is not None and entry.fingerprint == fingerprint else None

    def write(self, name: str, entry: LedgerEntry) -> None:
        """Note an entry."""
        self._entries[name] = entry
        self._save()

    def drop(self, name: str) -> None:
        """Forget a step."""
        if self._entries.pop(name, None) is not None:
            self._save()

    def _save(self) -> None:
        content = {name: asdict(entry) for name, entry in self._entries.items()}
        write_whole(self.file, json.dumps(content, indent=1).encode())


def _entries_in(file: Path) -> dict[str, LedgerEntry]:
    remedy = "delete it, and all steps are handed out again; trainings go on from their checkpoints"
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
