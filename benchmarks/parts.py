"""Times loader, Frechet distance and R-precision beside a plain reading of the released code's way.

``python -m benchmarks.parts``: both ways compute the same from the same input, which is checked, and take turns.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jsonargparse
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.originals import scores
from benchmarks.results import append, median_and_spread
from t2igan.data.prepare import prepare
from t2igan.data.sources import make_source
from t2igan.metrics.frechet import FrechetDistance
from t2igan.metrics.r_precision import RPrecision
from t2igan.profiling.loading import loaded, side_by_side

Compute = Callable[[], float]
BATCH, CODE_DIM, CLASSES = 64, 256, 50
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass
class Measured:
    """One part.

    Attributes:
        part: its name.
        original: seconds of the released way, by round.
        suite: of the suite's.
    """

    part: str
    original: list[float]
    suite: list[float]

    @property
    def ratio(self) -> float:
        """How many times as fast the suite is."""
        return statistics.median(self.original) / statistics.median(self.suite)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"ratio": self.ratio}


def taken_in(rows: int, dim: int) -> tuple[Compute, Compute]:
    """Features taken in by a Frechet distance, batch by batch, as sums."""
    features = _features(rows, dim, 0)

    def suite() -> float:
        metric = FrechetDistance(dim)
        for batch in features.split(BATCH):
            metric.update(batch, real=True)
        return metric.real_outer.diagonal().sum().item()

    return lambda: scores.sum_of_outer_products(features.split(BATCH)), suite


def frechet(rows: int, dim: int) -> tuple[Compute, Compute]:
    """A whole Frechet distance of numbered features, as `t2igan evaluate` computes it."""
    real, generated = _features(rows, dim, 0), _features(rows, dim, 1)

    def suite() -> float:
        metric = FrechetDistance(dim)
        for side, features in ((True, real), (False, generated)):
            for index in torch.arange(rows).split(BATCH):
                metric.update(features[index], index, real=side)
        return metric.compute().item()

    return lambda: scores.frechet_distance(real.numpy(), generated.numpy()), suite


def r_precision(rows: int, dim: int) -> tuple[Compute, Compute]:
    """Success rate of images that find their caption among 99 others."""
    random = torch.Generator().manual_seed(0)
    sentences = torch.randn(rows, CODE_DIM, generator=random)
    codes = sentences + 3 * torch.randn(rows, CODE_DIM, generator=random)
    class_ids = np.arange(rows) % CLASSES

    def suite() -> float:
        metric = RPrecision(class_ids, np.arange(rows))
        metric.set_captions(sentences)
        for index in torch.arange(rows).split(BATCH):
            metric.update(codes[index], index, torch.zeros_like(index))
        return metric.compute()[0].item()

    return lambda: scores.r_precision(codes, sentences, class_ids), suite


# Part: its two ways, and how near their results must be. R-precision draws other captions in either way.
PARTS = {"frechet, sums": (taken_in, 1e-9), "frechet": (frechet, 1e-5), "r-precision": (r_precision, 0.1)}
LOADER = "loader"


def _features(rows: int, dim: int, seed: int) -> Tensor:
    return torch.rand(rows, dim, generator=torch.Generator().manual_seed(seed)) + 0.1 * seed


def measure(part: str, rows: int, dim: int, rounds: int, clock: str) -> Measured:
    """Both ways of a part in turn.

    Raises:
        SystemExit: they do not agree.
    """
    make, tolerance = PARTS[part]
    found, now = Measured(part, [], []), CLOCKS[clock]
    ways = dict(zip(("original", "suite"), make(rows, dim)))
    for _ in range(rounds):
        values = {}
        for name, compute in ways.items():
            begun = now()
            values[name] = compute()
            getattr(found, name).append(now() - begun)
        if not np.isclose(*values.values(), rtol=tolerance):
            raise SystemExit(f"benchmarks: {part}: the two ways give {values}")
    return found


def measure_loader(count: int, rounds: int) -> Measured:
    """CPU seconds of ``count`` images of 256 px, read from a store and as the released loaders read files."""
    found = Measured(LOADER, [], [])
    with tempfile.TemporaryDirectory() as scratch:
        photographs = Path(scratch) / "images"
        names = [f"{number:03d}.jpg" for number in range(64)]
        for number, name in enumerate(names):
            _write_photograph(photographs / name, number)
        store, captions = Path(scratch) / "store.h5", Path(scratch) / "captions.csv"
        captions.write_text("image,caption\n" + "".join(f"{name},a small red bird\n" for name in names))
        prepare(make_source("folder", photographs, captions=captions), store, image_size=256, workers=1)
        for _ in range(rounds):
            ours, theirs = side_by_side(loaded(store, 16), str(photographs), count, torch.device("cpu"))
            found.original.append(count * sum(theirs.values()) / 1000)
            found.suite.append(count * sum(ours.values()) / 1000)
    return found


def _write_photograph(path: Path, seed: int) -> None:
    """Smooth noise of CUB's usual size."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC).save(path, quality=90)


def _each(parts: list[str], rows: int, dim: int, rounds: int, clock: str) -> Iterator[Measured]:
    for part in parts:
        yield measure_loader(rows // 50, rounds) if part == LOADER else measure(part, rows, dim, rounds, clock)


def main(
    parts: list[str] = [*PARTS, LOADER],  # noqa: B006 (never changed)
    rows: int = 30_000,
    dim: int = 2048,
    rounds: int = 3,
    threads: int = 2,
    clock: str = "wall",
    out: Path | None = None,
) -> None:
    """Time parts.

    Args:
        parts: which.
        rows: images; the loader reads a fiftieth of them.
        dim: width of the features.
        rounds: of either way.
        threads: of this process.
        clock: ``wall``, or ``cpu`` for a machine that others use, too; the loader's is always the latter.
        out: file of JSON lines that the rows are added to.
    """
    torch.set_num_threads(threads)
    table = Table("part", "released way, s", "spread", "suite, s", "spread", "ratio")
    for each in _each(parts, rows, dim, rounds, clock):
        cells = median_and_spread(each.original) + median_and_spread(each.suite)
        table.add_row(each.part, *cells, f"{each.ratio:.1f}")
        append(out, [each.as_dict()])
    Console(width=None if sys.stdout.isatty() else 120).print(table)


if __name__ == "__main__":
    jsonargparse.CLI(main, as_positional=False)
