"""The steps of a plan, as every launcher and the progress table see them."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from t2igan.progress import read_progress, trained_by

# Options of verbs that name what they write.
WRITTEN = ("--records", "--out")
DEVICE_VERBS = ("fit", "validate", "test", "predict", "evaluate", "caption", "sample")


@dataclass(frozen=True)
class Step:
    """One command of a plan.

    Attributes:
        name: what it does, in words; no two steps of a plan share it.
        command: the t2igan command line after ``t2igan``, split into words.
        after: names of the steps that must be done first.
        cell: steps of one cell share a row of the table.
        environment: environment variables set for the command.
        anyway: run the step even if one that it depends on has failed.
    """

    name: str
    command: list[str]
    after: list[str]
    cell: str
    environment: dict[str, str] = field(default_factory=dict)
    anyway: bool = False

    @property
    def fingerprint(self) -> str:
        """Hash of the command and of the content of the YAML files that it names."""
        digest = hashlib.sha256("\0".join(self.command).encode())
        for word in self.command:
            if word.endswith(".yaml") and Path(word).is_file():
                digest.update(Path(word).read_bytes())
        return digest.hexdigest()

    def shortfall(self) -> str | None:
        """Why a step that ended is not done, perhaps no longer; None where it is.

        Its exit code is not believed: the checkpoint of a training must say that it reached its end, and what
        other steps write must be there.
        """
        checkpoint = trained_by(self.command)
        if checkpoint is None:
            written = [after for word, after in pairwise(self.command) if word in WRITTEN]
            return next((f"{path} is not there" for path in written if not Path(path).exists()), None)
        progress = read_progress(checkpoint)
        if progress is None:
            return f"{checkpoint} does not say how far it was trained"
        if progress.finished or progress.step >= self._steps:
            return None  # at its end, or in a later phase, which another step trains in the same folder
        return f"{checkpoint} is at {progress}, not at its end"

    @property
    def _steps(self) -> float:
        """Steps of the training, as far as its command says them."""
        words = [part for word in self.command for part in word.split("=", 1)]
        given = [after for word, after in pairwise(words) if word == "--trainer.max_steps" and after.isdecimal()]
        return int(given[-1]) if given else math.inf

    @property
    def needs_device(self) -> bool:
        """Whether the step can use a GPU."""
        return self.command[0] in DEVICE_VERBS


@dataclass(frozen=True)
class Plan:
    """A plan that was read from a file.

    Attributes:
        folder: folder of the ledger, the logs and all outputs of the plan.
        launcher: the launcher of the file: ``kind`` and that launcher's options.
        phases: functions that return steps; each is called after the steps of the previous one have run.
        outlook: lines about steps that are not known yet and about networks that will be missing.
        commands: what can be checked before the first step, whether stores are there or not: trainings by the
            configuration files that the plan names, and further commands with the options that it gives.
    """

    folder: Path
    launcher: Mapping[str, Any]
    phases: Sequence[Callable[[], list[Step]]]
    outlook: Callable[[], list[str]] = list
    commands: Sequence[Sequence[str]] = ()
