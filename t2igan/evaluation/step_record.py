"""Records of TReCS's steps before image synthesis, one JSON object per line."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from t2igan.evaluation.environment import environment
from t2igan.evaluation.record import append_line, digest_of, package_versions

SCHEMA = 1


@dataclass(frozen=True)
class StepRecord:
    """One row of a step's table, with everything that the values depend on.

    Attributes:
        step: ``tag``, ``retrieve`` or ``compose``.
        name: name of the row.
        values: measured values by name.
        n: number of narratives, queries or words.
        dataset: name of the data set.
        fingerprint: fingerprint of the store.
        parts: sha256 of every part, by name.
        options: further settings.
    """

    step: str
    name: str
    values: dict[str, float]
    n: int
    dataset: str
    fingerprint: str
    parts: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def append(self, path: Path) -> None:
        """Append to a file, with versions, environment, time and a digest."""
        content = asdict(self) | {
            "schema": SCHEMA,
            "versions": package_versions(),
            "environment": asdict(environment()),
            "timestamp": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        append_line(path, json.dumps(content | {"digest": digest_of(content)}, allow_nan=False))
