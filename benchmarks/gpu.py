"""What only a GPU can tell, for whoever has one first: ``python -m benchmarks.gpu --out gpu.jsonl``.

Three parts, each cut into commands of at most ten minutes:

* ``speed``: images per second, peak memory and share of the device's peak of each system at 256 px, one option set
  beside the other, in turn, each in a process of its own (``t2igan profile``);
* ``losses``: some hundred steps of each system in float32 and in bf16: all losses finite, how far the means of both
  lie apart, and the share of the time that the GPU waits for data;
* ``scoring``: images per second that are generated, embedded by an Inception of random weights, and taken in by a
  Frechet distance.

Each row is added to ``--out`` as soon as it is known; what fails, takes too long or does not fit is a row that says
so. ``--device cpu --small true`` rehearses everything on networks of toy size.
"""

import json
import math
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jsonargparse
import torch
import yaml

from benchmarks.results import append
from benchmarks.systems import Case, suite
from t2igan.callbacks.run_folder import read_curves
from t2igan.cli.fit import import_classes
from t2igan.cli.profile_inputs import stand_in
from t2igan.metrics.frechet import FrechetDistance
from t2igan.metrics.inception import FEATURE_DIM, inception_v3, pooled_features
from t2igan.nn.images import resize
from t2igan.profiling.clock import synchronise
from t2igan.shipped import find_experiment
from t2igan.text import TextEmbedding

LONGEST = 590  # seconds of a command
BATCHES = {"ssagan": 24, "attngan": 20, "mirrorgan": 12, "dfgan": 24, "dmgan": 10}
OPTIONS = {
    "plain": "--speed plain",
    "float32": "--speed exact",
    "TF32": "--speed exact --levers.tf32 true",
    "bf16": "--speed fast --levers.channels_last false",
    "bf16, channels last": "--speed fast",
    "bf16, channels last, compiled": "--speed fast --levers.compile true",
}
PRECISIONS = {"float32": "--speed exact", "bf16": "--speed fast"}
SMALL_OPTIONS = {"plain": "--speed plain", "bf16": "--speed exact --levers.bf16 true"}
ROUNDS, STEPS, LOSSES_STEPS, LAST_STEPS = 3, 10, 1000, 200
SCORED = {"ssagan": 64, "attngan": 64}

Row = dict[str, Any]


class Session:
    """Runs commands on the device, whose files go to ``scratch``, and adds rows to ``out``."""

    def __init__(self, device: str, small: bool, out: Path, scratch: Path) -> None:
        self.device, self.small, self.out, self.scratch = torch.device(device), small, out, scratch
        self.name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
        self.systems = {"ssagan": 4} if small else BATCHES

    def tell(self, part: str, **row: Any) -> None:
        """Write and show a row."""
        row = {"part": part, "device": self.name, "torch": torch.__version__, **row}
        append(self.out, [row])
        print(json.dumps(row), flush=True)

    def config(self, system: str) -> Path:
        """The experiment of a system."""
        return Path(find_experiment(f"experiments/{'quickstart' if self.small else 'cub'}/{system}.yaml"))

    @property
    def accelerator(self) -> str:
        """The device, as a trainer names it."""
        return "gpu" if self.device.type == "cuda" else "cpu"

    def t2igan(self, *words: object) -> str | None:
        """Run a command; the last line of what went wrong, None if nothing did."""
        command = [sys.executable, "-m", "t2igan", *map(str, words)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
        except subprocess.TimeoutExpired:
            return f"not done within {LONGEST} s"
        return (done.stderr.strip() or "it failed").splitlines()[-1] if done.returncode else None


def speed(session: Session) -> None:
    """Images per second of the training steps, option set beside option set."""
    options = SMALL_OPTIONS if session.small else OPTIONS
    rounds, steps = (1, 1) if session.small else (ROUNDS, STEPS)
    for system, batch in session.systems.items():
        found: dict[str, list[Row]] = {name: [] for name in options}
        for _ in range(rounds):
            for name in list(found):
                out = session.scratch / "profile"
                changes = f"--data.batch_size {batch} --trainer.accelerator {session.accelerator} {options[name]}"
                words = ["--config", session.config(system), "--steps", steps, "--synthetic", "true", "--out", out]
                if problem := session.t2igan("profile", *words, f"--set={changes}"):
                    session.tell("speed", system=system, options=name, skipped=problem)
                    del found[name]  # it would fail again
                else:
                    found[name].append(json.loads((out / "profile.json").read_text()))
        for name, profiles in found.items():
            session.tell("speed", system=system, options=name, batch=batch, **_summary(profiles))


def _summary(profiles: list[Row]) -> Row:
    rates = [each["images_per_second"] for each in profiles]
    medians = {
        key: statistics.median(each[key] for each in profiles)
        for key in ("images_per_second", "seconds", "peak_megabytes", "gflop", "share_of_peak")
    }
    return medians | {"slowest": min(rates), "fastest": max(rates), "peaks": profiles[-1]["peaks"]}


def losses(session: Session, store: Path | None) -> None:
    """Losses of both precisions beside each other, and the share of the time that was spent waiting for data."""
    import_classes()
    for system, batch in session.systems.items():
        file, folder = session.config(system), session.scratch / f"losses-{system}"
        folder.mkdir()
        content = yaml.safe_load(file.read_text())
        content["trainer"].pop("callbacks", None)
        stand_in(content, file, ["--data.batch_size", str(batch)], store is None, folder)
        if store is not None:
            content["data"]["init_args"]["store"] = str(store)
        (folder / file.name).write_text(yaml.safe_dump(content))
        curves = {}
        for name, options in (SMALL_OPTIONS if session.small else PRECISIONS).items():
            fit = ["fit", "--config", folder / file.name, "--run", folder / name, *shlex.split(options)]
            fit += ["--data.batch_size", batch, "--trainer.accelerator", session.accelerator]
            fit += ["--trainer.max_steps", 4 if session.small else LOSSES_STEPS, "--trainer.max_epochs", -1]
            fit += ["--trainer.limit_val_batches", 0, "--trainer.log_every_n_steps", 1 if session.small else 10]
            if problem := session.t2igan(*fit):
                session.tell("losses", system=system, options=name, skipped=problem)
                continue
            curves[name] = _curves(folder / name / "metrics.csv")
            told = {key: statistics.fmean(values[-LAST_STEPS:]) for key, values in curves[name].items() if values}
            finite = all(math.isfinite(each) for values in curves[name].values() for each in values)
            session.tell("losses", system=system, options=name, batch=batch, finite=finite, means=told)
        if len(curves) == 2:
            session.tell("losses", system=system, apart=_apart(*curves.values()))


def _curves(path: Path) -> dict[str, list[float]]:
    """Losses, and the share of the time spent waiting, by column."""
    found: dict[str, list[float]] = {}
    for row in read_curves(path):
        for key in row:
            if key.startswith(("train/loss", "train/penalty", "speed/")):
                found.setdefault(key, []).append(row[key])
    return found


def _apart(one: dict[str, list[float]], two: dict[str, list[float]]) -> dict[str, float]:
    """Distance of the means of the last values of two curves, in standard deviations of the first."""
    found = {}
    for key in sorted(key for key in {*one} & {*two} if key.startswith("train/")):
        ours, theirs = one[key][-LAST_STEPS:], two[key][-LAST_STEPS:]
        spread = statistics.pstdev(ours)
        if spread > 0:
            found[key] = abs(statistics.fmean(ours) - statistics.fmean(theirs)) / spread
    return found


@torch.inference_mode()
def scoring(session: Session) -> None:
    """Images per second of drawing, of an Inception, and of the Frechet distance's sums."""
    device, seconds = session.device, 0.1 if session.small else 60.0
    network = inception_v3(1008, tf_pooling=True).to(device).eval()
    for system, batch in ({"ssagan": 2} if session.small else SCORED).items():
        case = Case(system, batch, 64 if session.small else 256, 8 if session.small else 1)
        generator, text = suite(case).generator.to(device).eval(), _captions(case, device)
        noise = torch.randn(batch, generator.random_dim).to(device)
        metric = FrechetDistance(FEATURE_DIM).to(device)
        images = generator.from_random(noise, text).images[-1]
        features = pooled_features(network, resize(images, 299))
        parts: dict[str, Callable[[], object]] = {
            "drawing": lambda g=generator, n=noise, t=text: g.from_random(n, t),
            "inception": lambda i=images: pooled_features(network, resize(i, 299)),
            "frechet": lambda m=metric, f=features: m.update(f, real=False),
        }
        for name, part in parts.items():
            rate = _rate(part, batch, device, seconds)
            session.tell("scoring", system=system, of=name, batch=batch, images_per_second=rate)


def _captions(case: Case, device: torch.device) -> Any:
    sentence, words = torch.randn(case.batch, 256), torch.randn(case.batch, 256, 18)
    return TextEmbedding(*(each.to(device) for each in (sentence, words, torch.zeros(case.batch, 18).bool())))


def _rate(part: Callable[[], object], images: int, device: torch.device, seconds: float) -> float:
    """Images per second over about ``seconds``, after two calls that warm up."""
    for _ in range(2):
        part()
    synchronise(device)
    begun, calls = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        part()
        synchronise(device)
        calls += 1
    return calls * images / (time.perf_counter() - begun)


def main(
    parts: list[Literal["speed", "losses", "scoring"]] = ["speed", "losses", "scoring"],  # noqa: B006 (never changed)
    device: str = "cuda",
    small: bool = False,
    store: Path | None = None,
    out: Path = Path("gpu.jsonl"),
) -> None:
    """Measure on a GPU.

    Args:
        parts: which.
        device: ``cuda``; ``cpu`` with ``small`` for a rehearsal.
        small: networks of toy size.
        store: store of CUB for ``losses``; without one images are random, and loading them costs little.
        out: file of JSON lines that the rows are added to.
    """
    if device != "cuda" and not (device == "cpu" and small):
        raise SystemExit("benchmarks.gpu: measures on cuda; --device cpu --small true rehearses it")
    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("benchmarks.gpu: torch sees no GPU here; --device cpu --small true rehearses it")
    with tempfile.TemporaryDirectory() as scratch:
        session = Session(device, small, out.absolute(), Path(scratch))
        known = {
            "speed": lambda: speed(session),
            "losses": lambda: losses(session, store),
            "scoring": lambda: scoring(session),
        }
        for part in parts:
            known[part]()


if __name__ == "__main__":
    jsonargparse.CLI(main, as_positional=False)
