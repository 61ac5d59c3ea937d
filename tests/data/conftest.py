"""A hand-made data set in CUB's layout, a few kilobytes."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TRAIN_CLASSES = {1: "001.Red_bird", 3: "003.Blue_bird", 4: "004.Grey_bird"}
TEST_CLASSES = {2: "002.Green_bird", 5: "005.Brown_bird"}
IMAGES_PER_CLASS = 5
COLOURS = ["red", "green", "blue", "yellow", "brown", "grey", "black", "white"]


def caption_lines(number: int) -> list[str]:
    """Eleven captions (CUB's files may hold more than ten); the words name the image."""
    word = COLOURS[number % len(COLOURS)]
    long = " and".join(f" a {colour} stripe number{number}" for colour in COLOURS)
    return [f"This bird has a {word} wing{i}, and it's small." for i in range(10)] + [f"extra{long}"]


def smooth_image(number: int) -> Image.Image:
    """A smooth image, another size and colour for each number; they survive JPEG well."""
    width, height = 90 + 7 * (number % 5), 100 + 9 * (number % 3)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    red, green = 255 * x / width, 255 * y / height
    pixels = np.stack([red, green, np.full_like(red, 10 * number % 256)], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def write_tree(root: Path) -> Path:
    """The tree with metadata, two splits and boxes."""
    folder = root / "CUB_200_2011"
    folder.mkdir(parents=True)
    lists: dict[str, list[str]] = {"images": [], "bounding_boxes": [], "train_test_split": []}
    number = 0
    for split, classes in (("train", TRAIN_CLASSES), ("test", TEST_CLASSES)):
        keys, ids = [], []
        for class_id, name in classes.items():
            for index in range(IMAGES_PER_CLASS):
                number += 1
                key = f"{name}/bird_{index:04d}"
                image, text = folder / "images" / f"{key}.jpg", root / "text" / f"{key}.txt"
                image.parent.mkdir(parents=True, exist_ok=True)
                text.parent.mkdir(parents=True, exist_ok=True)
                smooth_image(number).save(image, quality=95)
                text.write_text("\n".join(caption_lines(number)) + "\n\n")
                keys.append(key)
                ids.append(class_id)
                lists["images"].append(f"{number} {key}.jpg")
                lists["bounding_boxes"].append(f"{number} 20.0 30.0 {40 + number % 7}.0 36.0")
                lists["train_test_split"].append(f"{number} {int(index < 3)}")
        (root / split).mkdir()
        keys_and_ids = sorted(zip(keys, ids), key=lambda pair: pair[0][::-1])  # not alphabetical, as the original
        for file, column in (("filenames", 0), ("class_info", 1)):
            content = [np.int64(row[1]) if column else row[0] for row in keys_and_ids]
            (root / split / f"{file}.pickle").write_bytes(pickle.dumps(content, protocol=2))
    for file, lines in lists.items():
        (folder / f"{file}.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def tiny_cub(tmp_path: Path) -> Path:
    """15 training images of 3 classes, 10 test images of 2 classes, 10 captions each; yours to damage."""
    return write_tree(tmp_path / "tiny")


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data set prepared at 32 pixels, raw; read-only."""
    from t2igan.data.prepare import prepare
    from t2igan.data.sources import make_source

    folder = tmp_path_factory.mktemp("tiny-store")
    prepare(make_source("cub", write_tree(folder / "raw")), folder / "tiny.h5", image_size=32, workers=1)
    return folder / "tiny.h5"
