"""The oracle of bad input: one line that names the file or key, exit code 2, soon, in little memory."""

import contextlib
import io
import resource
import time
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from t2igan.cli.main import main

MOST_SECONDS = 10
MOST_WAITING = 60
"""Seconds of the clock on a machine that has other things to do."""
MOST_BYTES = 2**30


@dataclass(frozen=True)
class Outcome:
    """What a command did.

    Attributes:
        code: its exit code; None where an exception came out of it.
        line: what it printed to the standard error output.
        seconds: of the processor.
        wall: seconds of the clock.
        grown: bytes by which the process's largest size grew.
        trace: of the exception.
    """

    code: int | None
    line: str
    seconds: float
    wall: float
    grown: int
    trace: str = ""

    def fault(self, names: Sequence[str] = (), may_work: bool = False, missing: bool = False) -> str:
        """What the oracle has against it, in one line; empty: nothing.

        Args:
            names: one of them must stand in the line: the file or the key at fault.
            may_work: input that happens to be good is no fault.
            missing: neither is exit code 1, by which doctor says that something is not there.
        """
        if self.seconds > MOST_SECONDS or self.wall > MOST_WAITING:
            return f"took {self.seconds:.0f} s of the processor, {self.wall:.0f} s of the clock"
        if self.grown > MOST_BYTES:
            return f"took {self.grown / 2**30:.1f} GB"
        if self.trace:
            return f"traceback: {self.trace}"
        if self.code == 0:
            return "" if may_work else "was taken"
        if self.code == 1 and missing:
            return ""
        if self.code != 2:
            return f"exit code {self.code}: {self.line[:200]}"
        first, *rest = self.line.splitlines() or [""]
        if not first or not all(line.startswith("  ") for line in rest):  # a list of faults is indented
            return f"{len(self.line.splitlines())} lines: {self.line[:300]!r}"
        if names and not any(name in self.line for name in names):
            return f"names none of {list(names)}: {self.line[:300]}"
        return ""


def outcome_of(*words: object) -> Outcome:
    """Run ``t2igan`` with words in this process."""
    out, err, code, trace = io.StringIO(), io.StringIO(), 0, ""
    before, started, used = _largest(), time.monotonic(), time.process_time()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notes, each a line of its own
        try:
            main([str(word) for word in words])
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 1
        except KeyboardInterrupt:  # of whoever runs the tests
            raise
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            trace, code = f"{type(error).__name__}: {str(error)[:200]} ({where.filename}:{where.lineno})", None
    wall, seconds, grown = time.monotonic() - started, time.process_time() - used, _largest() - before
    return Outcome(code, err.getvalue().strip(), seconds, wall, grown, trace)


def _largest() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
