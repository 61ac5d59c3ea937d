"""Batches of toy scenes with layouts: a sky over a ground, and a thing of some colour before them."""

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from t2igan.data.batch import CaptionedImages
from t2igan.layout.layout import Layouts
from t2igan.layout.segments import Segments

COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 190, 60),
    "blue": (50, 80, 230),
    "yellow": (240, 220, 50),
    "white": (245, 245, 245),
    "purple": (150, 50, 180),
}
THINGS = ("disc", "box")
SKIES = {"a clear sky": (150, 200, 250), "a dark sky": (30, 30, 70)}
GROUNDS = {"sand": (230, 200, 140), "grass": (60, 140, 60), "water": (40, 110, 170)}
WORDS = sorted({"a", "clear", "dark", "sky", "on", "under", *COLOURS, *THINGS, *GROUNDS})
VOCABULARY = ["<end>", *WORDS]
SKY, GROUND, THING = 156, 123, 15


def scene(generator, side):
    """Image (H, W, 3), labels and instances (H, W), texts, caption."""
    image = np.zeros((side, side, 3))
    labels, instances = np.full((side, side), SKY, np.uint8), np.ones((side, side), np.uint8)
    sky, ground = (str(generator.choice(list(names))) for names in (SKIES, GROUNDS))
    horizon = int(side * generator.uniform(0.35, 0.7))
    image[:horizon], image[horizon:] = SKIES[sky], GROUNDS[ground]
    labels[horizon:], instances[horizon:] = GROUND, 2
    colour, thing = str(generator.choice(list(COLOURS))), str(generator.choice(THINGS))
    y, x = np.mgrid[:side, :side]
    radius = side * generator.uniform(0.16, 0.28)
    top, left = generator.uniform(radius, side - radius, 2)
    distances = np.hypot(y - top, x - left) if thing == "disc" else np.maximum(abs(y - top), abs(x - left))
    inside = distances < radius
    image[inside], labels[inside], instances[inside] = COLOURS[colour], THING, 3
    image += generator.normal(0, 6, image.shape)
    texts = (sky, ground, f"a {colour} {thing}")
    return (
        image.clip(0, 255).astype(np.uint8),
        labels,
        instances,
        texts,
        f"a {colour} {thing} on {ground} under {sky}",
    )


def toy_batch(count=8, seed=0, side=32):
    """A batch of toy scenes; its vocabulary is :data:`VOCABULARY`."""
    generator = np.random.default_rng(seed)
    images, labels, instances, texts, captions = zip(*(scene(generator, side) for _ in range(count)))
    ids = [[VOCABULARY.index(word) for word in caption.split()] for caption in captions]
    width = max(map(len, ids))
    return CaptionedImages(
        images=torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(),
        captions=torch.tensor([row + [0] * (width - len(row)) for row in ids]),
        lengths=torch.tensor([len(row) for row in ids]),
        class_ids=torch.arange(count),
        keys=[f"{seed}-{number}" for number in range(count)],
        caption_ids=torch.arange(count),
        layouts=Layouts(*(torch.from_numpy(np.stack(maps)) for maps in (labels, instances)), list(texts)),
    )


def train_on_scenes(module, steps, folder, size=16):
    """A checkpoint of the module after some steps on toy scenes."""
    module.vocabulary = VOCABULARY
    trainer = pl.Trainer(
        max_steps=steps,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    batches = DataLoader([toy_batch(size, seed) for seed in range(steps)], batch_size=None)
    trainer.fit(module, batches)
    path = folder / f"{type(module).__name__}.ckpt"
    trainer.save_checkpoint(path)
    return path


def segments_of_masks(masks, texts):
    """The segments of one image from bool masks (H, W); where they overlap, the later one covers the earlier."""
    index = torch.zeros(masks[0].shape, dtype=torch.int64)
    for place, mask in enumerate(masks, start=1):
        index[mask] = place
    return Segments(index[None], [tuple(texts)], [tuple(range(1, len(masks) + 1))])
