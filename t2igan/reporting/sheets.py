"""Sheets that compare systems on the same captions, or the steps of one training."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from t2igan.plotting.grids import rows_grid
from t2igan.plotting.sample_file import SUFFIX, SampleImages, read_samples
from t2igan.reporting.names import system_name

MOST_CAPTIONS = 6
MOST_STEPS = 6
CELL = 112


@dataclass(frozen=True)
class StepSamples:
    """Samples of a run at a training step."""

    step: int
    samples: SampleImages


def samples_of(folder: Path) -> list[StepSamples]:
    """Samples of a run by step; unreadable files are left out."""
    found = []
    for path in sorted((folder / "samples").glob(f"step_*{SUFFIX}")):
        number, samples = path.stem.removeprefix("step_"), read_samples(path)
        if number.isdigit() and samples is not None:
            found.append(StepSamples(int(number), samples))
    return found


def systems_sheet(runs: Sequence[Path]) -> Image.Image | None:
    """The last samples of runs, one row each, for their common captions; real images last.

    None if fewer than two runs share captions.
    """
    last = {run: found[-1] for run in runs if (found := samples_of(run))}
    ends = list(last.values())
    if len(ends) < 2:
        return None
    texts = ends[0].samples.captions
    shared = [text for text in texts if all(text in one.samples.captions for one in ends)][:MOST_CAPTIONS]
    if not shared:
        return None
    rows = [(f"{system_name(run.name)}, {one.step:,} steps", _of(one.samples, shared)) for run, one in last.items()]
    first = ends[0].samples
    real = [first.real[first.captions.index(text)] for text in shared]
    return rows_grid([*rows, ("real", real)], shared, CELL)


def film(run: Path) -> Image.Image | None:
    """Samples of the same captions, one row per step; None with fewer than two steps."""
    found = samples_of(run)
    if len(found) < 2:
        return None
    most = min(MOST_STEPS, len(found))
    places = {round(k * (len(found) - 1) / (most - 1)) for k in range(most)}  # includes the first and the last
    captions = list(found[0].samples.captions[:MOST_CAPTIONS])
    chosen = [found[place] for place in sorted(places) if set(captions) <= set(found[place].samples.captions)]
    rows = [(f"{one.step:,} steps", _of(one.samples, captions)) for one in chosen]
    return rows_grid(rows, captions, CELL)


def _of(samples: SampleImages, captions: Sequence[str]) -> list[torch.Tensor]:
    return [samples.generated[samples.captions.index(text)] for text in captions]


def png_bytes(sheet: Image.Image) -> bytes:
    """Encode a sheet as PNG."""
    content = io.BytesIO()
    sheet.save(content, "PNG")
    return content.getvalue()
