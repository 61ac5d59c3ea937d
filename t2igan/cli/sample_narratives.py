"""``t2igan sample --pipeline``: images of narratives, and a sheet of the four steps of each."""

from pathlib import Path
from typing import Literal

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from t2igan.cli.next_step import line_of, scoring_on
from t2igan.data.store import open_store
from t2igan.evaluation.evaluation import choose_device
from t2igan.evaluation.subjects.pipeline import load_pipeline, read_pipeline_file
from t2igan.layout.localized import read_localized
from t2igan.layout.narratives import Narrative
from t2igan.models.trecs import Composition, TrecsPipeline
from t2igan.nn.images import generated_uint8
from t2igan.nn.noise import caption_noise
from t2igan.plotting.grids import save_png, to_pil
from t2igan.plotting.layouts import Steps, steps_sheet
from t2igan.ranges import Few, Whole

console = Console()


def sample_narratives(
    *,
    pipeline: str,
    narratives: str,
    out: str,
    n: Few = 1,
    seed: Whole = 0,
    weights: Literal["ema", "raw"] = "ema",
    device: str = "auto",
) -> None:
    """Generate images of every narrative of a file, with a sheet of the four steps of each.

    Args:
        pipeline: YAML file of a trecs-lite (keys: tagger, bank, generator, retriever, trace, k, scale).
        narratives: Localized Narratives, JSON lines.
        out: folder to write to: ``<image>_<annotator>_s00.png`` ..., and ``<image>_<annotator>_steps.png``.
        n: images of each narrative.
        seed: seed of the noise; an image depends on it, on the narrative's place and on the image's number alone.
        weights: weights of the generator: averaged (ema), or those that training moved (raw).
        device: auto, cpu, cuda, cuda:1.
    """
    told = read_localized(narratives)
    loaded, folder = load_pipeline(pipeline), Path(out)
    road = loaded.pipeline
    road.to(choose_device(device))
    for place, narrative in enumerate(track(told, "narratives", console=console)):
        (composition,) = road.compose([narrative])
        images = _draw(road, composition, narrative, place, n, seed, weights)
        for number, image in enumerate(images):
            save_png(to_pil(image), folder / f"{narrative.key}_s{number:02d}.png")
        steps = Steps(narrative, composition.tags, composition.canvas, images[0])
        save_png(steps_sheet(steps, road.bank), folder / f"{narrative.key}_steps.png")
    console.print(
        f"wrote {folder}: {n * len(told)} images <image>_<annotator>_s00.png ..., sheets ..._steps.png",
        soft_wrap=True,
    )
    bank, size = open_store(read_pipeline_file(pipeline).bank), loaded.generator.generator.image_sizes[-1]
    console.print(line_of(scoring_on(bank, size, ["--pipeline", pipeline])), soft_wrap=True, markup=False)


def _draw(
    road: TrecsPipeline,
    composition: Composition,
    narrative: Narrative,
    place: int,
    n: int,
    seed: int,
    weights: Literal["ema", "raw"],
) -> Tensor:
    """Generate ``n`` images of one narrative, uint8 (n, 3, S, S)."""
    where = torch.tensor([place])
    noise = torch.cat([caption_noise(where, road.random_dim, seed, draw) for draw in range(n)])
    return generated_uint8(road.synthesise([composition] * n, noise, [narrative.words] * n, weights)).cpu()
