"""Samples of the zoo's generators for the top of a report, with masks and attention."""

from collections.abc import Sequence

import torch
from PIL import Image

from t2igan.evaluation.images.sampling import Sampler, Samples, understand
from t2igan.models.drawing import DrawingModule
from t2igan.models.suite_module import load_module
from t2igan.plotting.grids import rows_grid
from t2igan.plotting.overlays import attention_overlay, mask_strip
from t2igan.reporting.names import system_name
from t2igan.zoo import zoo_names

CAPTIONS = {
    "drawn-birds": (
        "a small red bird with blue wings",
        "this bird has a yellow belly and a black crown",
        "a white bird wading in shallow water",
        "a green bird with a purple tail in flight",
        "a brown bird with an orange breast on a branch",
        "a blue bird with a pink belly",
    )
}
SEED = 1
CELL = 128


def zoo_samples(dataset: str) -> dict[str, Samples]:
    """One image of each caption by each zoo generator, by system name, all from the same noise.

    Args:
        dataset: data set of the generators.
    """
    captions = CAPTIONS.get(dataset, ())
    found = {}
    for name in zoo_names() if captions else ():
        module = load_module(name).eval() if name.startswith(f"zoo:{dataset}/") else None
        if isinstance(module, DrawingModule):
            sampler = Sampler(module, name)
            noise = torch.cat([sampler.noise(index, 1, SEED) for index in range(len(captions))])
            samples = sampler.sample(understand(captions, sampler.vocabulary), noise)
            found[system_name(name.rpartition("/")[2])] = samples
    return found


def zoo_sheet(by_system: dict[str, Samples]) -> Image.Image:
    """Sheet with one row per generator, and captions above the columns."""
    captions = [caption.text for caption in next(iter(by_system.values())).captions]
    return rows_grid([(name, samples.images) for name, samples in by_system.items()], captions, CELL)


def zoo_overlays(by_system: dict[str, Samples]) -> list[tuple[Image.Image, str]]:
    """Masks and attention maps of the first generators that have them."""
    masks = _first(by_system, [name for name, samples in by_system.items() if samples.masks])
    looks = _first(by_system, [name for name, samples in by_system.items() if samples.attention])
    found = []
    for name, samples in masks:
        strip = mask_strip(samples.images[0], [mask[0] for mask in samples.masks])
        found.append((strip, f"{name}, masks, coarse to fine: where the caption changes the image"))
    for name, samples in looks:
        caption = samples.captions[0]
        panels = attention_overlay(samples.images[0], samples.attention[-1][0], caption.words)
        found.append((panels, f"{name}, attention: where each word of “{caption.text}” is looked for"))
    return found


def _first(by_system: dict[str, Samples], names: Sequence[str]) -> list[tuple[str, Samples]]:
    return [(name, by_system[name]) for name in names[:1]]
