"""What every probe of faults uses: trainings to start and stop, what they left, and a tally of what survived."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import small_configs
import torch
from forked import Forked

from t2igan.callbacks.run_folder import OF_A_STEP, read_curves

LONG = os.environ.get("T2IGAN_FAULTS") == "long"
"""Whether `make faults` runs, which tries everything more often than CI does."""

PROPERTY = "fault"

DAMSM = small_configs.DAMSM.replace("max_steps: 2,", "max_steps: 12,")
STREAM = """
model:
  class_path: STREAM
  init_args:
    encoder: {{class_path: SmallCaptionEncoder, init_args: {{dim: 16, channels: 2, image_size: 16}}}}
    hidden_dim: 8
data:
  class_path: DrawnBirds
  init_args: {{store: {store}, image_size: 16, batch_size: 8, num_workers: 0}}
trainer: {{max_steps: 2, limit_val_batches: 1, accelerator: cpu, enable_progress_bar: false}}
"""


def times(short: int, long: int) -> int:
    """How often something is tried: in CI, and by `make faults`."""
    return long if LONG else short


@dataclass
class Tally:
    """Counts what a kind of fault did; the table at the end of the tests shows it.

    Use :meth:`note` for every try and :meth:`check` once at the end, so that one failure hides no other.

    Attributes:
        probe: what was tried, in words.
        tried: how often.
        failures: one line for each time that it did harm.
    """

    probe: str
    tried: int = 0
    failures: list[str] = field(default_factory=list)

    def note(self, survived: bool, what: str = "") -> None:
        """Count a try; ``what`` says which, should it have failed."""
        self.tried += 1
        if not survived:
            self.failures.append(what or f"try {self.tried}")

    def check(self) -> None:
        """Fail the test if anything did harm."""
        assert self.tried, f"{self.probe}: nothing was tried"
        assert not self.failures, f"{self.probe}: {len(self.failures)} of {self.tried}: " + "; ".join(self.failures)


@dataclass(frozen=True)
class Homes:
    """Configurations of tiny trainings, and a trained DAMSM.

    Attributes:
        folder: that they lie in.
        store: of drawn birds.
        damsm: configuration.
        ssagan: configuration.
    """

    folder: Path
    store: Path
    damsm: Path
    ssagan: Path


Command = subprocess.Popen | Forked

_started: list[Command] = []


def start(*words: object, anew: bool = False, **environment: str) -> Command:
    """Start ``t2igan`` with words, in a process group of its own.

    Args:
        words: of the command line.
        anew: start a process that has still to import everything, not one forked off a server.
        environment: more of it.
    """
    line, variables = [str(word) for word in words], os.environ | {"OMP_NUM_THREADS": "1"} | environment
    if anew:
        process: Command = subprocess.Popen(
            [sys.executable, "-m", "t2igan", *line],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
    else:
        process = Forked(line, variables)
    _started.append(process)
    return process


def end_what_was_started() -> None:
    """Kill whatever of it still runs, which a test that failed has left."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def run(*words: object, anew: bool = False, **environment: str) -> subprocess.CompletedProcess:
    """Run ``t2igan`` to its end; see :func:`start`."""
    process = start(*words, anew=anew, **environment)
    out, err = process.communicate(timeout=900)  # on a machine that has other things to do
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def fit_words(config: Path, folder: Path, *options: object) -> list[str]:
    """The command line of a training."""
    return ["fit", "--config", str(config), "--run", str(folder), *map(str, options)]


def wait_until(condition: Callable[[], object], process: Command | None = None, seconds: float = 120) -> None:
    """Wait for something that a process does; it is an error if it ends before.

    Args:
        condition: what is waited for.
        process: that does it.
        seconds: of the processor that the process and those below it may use until then, and five times as many of
            the clock, for on a busy machine they get little of the one in much of the other. Without a process: of
            the clock.
    """
    start_, most = time.monotonic(), seconds if process is None else 5 * seconds
    while not condition():
        assert process is None or process.poll() is None, f"ended before: {process.communicate()}"
        passed, used = time.monotonic() - start_, 0.0 if process is None else _processor_seconds(process.pid)
        assert passed < most and used < seconds, f"did not happen in {passed:.0f} s, {used:.0f} s of the processor"
        time.sleep(0.005)


def _processor_seconds(root: int) -> float:
    """What a process and those below it that run have used, in seconds of the processor."""
    parents, ticks = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            number = int(folder.name)
            parents[number], ticks[number] = int(fields[1]), int(fields[11]) + int(fields[12])
    family, new = set(), {root}
    while new:
        family |= new
        new = {number for number, parent in parents.items() if parent in family} - family
    return sum(ticks.get(number, 0) for number in family) / os.sysconf("SC_CLK_TCK")


def kill(process: Command, number: int = signal.SIGKILL, group: bool = True) -> int:
    """Send a signal to a process (and all of its group), and give its exit code."""
    (os.killpg if group else os.kill)(process.pid, number)
    process.communicate(timeout=120)
    return process.returncode


def last(folder: Path) -> Path:
    """The checkpoint that a run goes on from."""
    return folder / "checkpoints" / "last.ckpt"


def curve(folder: Path) -> list[dict[str, float]]:
    """What each step of a run said of itself."""
    rows = read_curves(folder / "metrics.csv")
    kept = [{key: row[key] for key in row if key.startswith(OF_A_STEP)} for row in rows]
    return [row for row in kept if row]


def same_end(one: Path, two: Path) -> bool:
    """Whether the last checkpoints of two runs hold the same weights, averages and states of optimisers.

    The epoch is left out: a run that is stopped behind its last step, before its end, has nothing left to count.
    """
    left, right = (torch.load(last(each), weights_only=True) for each in (one, two))
    return all(_same(left[key], right[key]) for key in ("state_dict", "optimizer_states", "global_step"))


def _same(one: object, two: object) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(two, torch.Tensor) and one.equal(two)
    if isinstance(one, dict):
        return isinstance(two, dict) and one.keys() == two.keys() and all(_same(one[key], two[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(_same(*pair) for pair in zip(one, two))
    return one == two
