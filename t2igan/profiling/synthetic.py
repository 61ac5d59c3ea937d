"""Synthetic stores and untrained networks, for profiling without data."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from t2igan.data.prepare import prepare
from t2igan.data.rendering import short_side
from t2igan.data.sources import make_source
from t2igan.data.sources.scenes.source import ScenesConfig
from t2igan.data.vocabulary import END, Vocabulary
from t2igan.data.writing import StoredImage, StoreHeader, write_store
from t2igan.files import make_folder
from t2igan.models.suite_module import SuiteModule

CLASSES, CAPTIONS = 10, 10
WORDS = 5450  # size of CUB's vocabulary
LENGTHS = (5, 25)  # fewest and most words of a caption


def write_synthetic_store(
    path: Path, name: str, image_size: int, images: int, words: list[str] | None = None
) -> None:
    """Write a store of noise images with random captions.

    Args:
        path: path of the store.
        name: name of the data set that it stands in for.
        image_size: training resolution.
        images: training images; half as many test images.
        words: vocabulary, :data:`END` first; None: as many made-up words as CUB has.
    """
    vocabulary = Vocabulary(words or [END, *(f"word{number}" for number in range(WORDS - 1))])
    random, side = np.random.default_rng(0), short_side(image_size)
    payloads: dict[str, bytes] = {}

    def image(split: str, number: int) -> StoredImage:
        key = f"{split}_{number:05d}"
        payloads[key] = random.integers(0, 256, side * side * 3, np.uint8).tobytes()
        tokens = [random.integers(1, len(vocabulary), random.integers(*LENGTHS)).tolist() for _ in range(CAPTIONS)]
        texts = [" ".join(vocabulary.words[token] for token in each) for each in tokens]
        digest = sha256(payloads[key]).hexdigest()
        return StoredImage(key, number % CLASSES, None, (side, side), len(payloads[key]), digest, texts, tokens)

    splits = {
        split: [image(split, number) for number in range(count)]
        for split, count in (("train", images), ("test", max(1, images // 2)))
    }
    header = StoreHeader(name, "zero-shot", image_size, side, "raw", crop_by_box=False)
    write_store(
        path, header, vocabulary, [f"class {k}" for k in range(CLASSES)], splits, lambda piece: payloads[piece.key]
    )


def write_scenes_store(path: Path, name: str, image_size: int, images: int) -> None:
    """Write a store of drawn scenes: with captions, layouts and narratives.

    Args:
        path: path of the store; raw files are left beside it.
        name: name of the data set that it stands in for.
        image_size: training resolution.
        images: training images; half as many test images.
    """
    config = ScenesConfig(images, max(1, images // 2), image_pixels=max(48, min(image_size, 128)))
    source = make_source("scenes", path.with_suffix(".raw"), config=config, workers=1)
    source.name = name
    prepare(source, path, image_size, workers=1)


def save_untrained(module: SuiteModule, words: list[str], path: Path) -> None:
    """Write the checkpoint of an untrained module.

    Args:
        module: module of the suite, not set up yet.
        words: vocabulary, :data:`END` first.
        path: checkpoint to write.
    """
    module.vocabulary = list(words)
    module.configure_model()
    checkpoint: dict[str, Any] = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    make_folder(path.parent)
    torch.save(checkpoint, path)
