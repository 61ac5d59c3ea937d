"""What of a plan is done, and what is on its way, so that the same command goes on."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

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
    """

    def __init__(self, folder: Path, fresh: bool = False) -> None:
        self.file = folder / FILE
        self._entries: dict[str, LedgerEntry] = {}
        if self.file.is_file() and not fresh:
            content = json.loads(self.file.read_text())
            self._entries = {name: LedgerEntry(**entry) for name, entry in content.items()}

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
        draft = self.file.with_suffix(".new")
        draft.write_text(json.dumps({name: asdict(entry) for name, entry in self._entries.items()}, indent=1))
        draft.replace(self.file)
