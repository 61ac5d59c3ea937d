"""Drawn birds: the embedded data set, written to disk in CUB's own layout so that CUB's reader reads it."""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from t2igan.data.sources.drawing import tight_box
from t2igan.data.sources.drawn_birds.captions import write_captions
from t2igan.data.sources.drawn_birds.painter import PARTS, render_bird
from t2igan.data.sources.drawn_birds.species import (
    BirdAttributes,
    Species,
    draw_attributes,
    invent_species,
    name_species,
)
from t2igan.data.sources.drawn_folder import (
    as_json,
    claim,
    make_all,
    read_map,
    require_whole,
    save_image,
    save_map,
    write_bytes,
    write_lines,
)

RENDERER = 1
"""Raised whenever the same config would give other images or captions.

Measured with Pillow 10.4 to 12.3, NumPy 1.26 and 2.4: captions and part maps are the same with all, images from
Pillow 11 on; with Pillow 10 some values in ten thousand differ, by 8 of 255 at most.
"""

_PART_COLORS = ((0, 0, 0), (214, 96, 77), (253, 219, 199), (67, 147, 195), (178, 24, 43), (255, 191, 0),
                (33, 102, 172), (153, 112, 80), (255, 255, 255))  # fmt: skip
# Streams of randomness that must not share numbers.
_ATTRIBUTES, _PAINTING, _CAPTIONS = 2, 3, 4


@dataclass(frozen=True)
class DrawnBirdsConfig:
    """All settings that determine the data set, byte for byte.

    Attributes:
        train_species: Number of training classes.
        test_species: Number of test classes: new combinations of attribute values seen in training.
        train_images_per_species: Images of each training class.
        test_images_per_species: Images of each test class.
        image_pixels: Side of the square images.
        captions_per_image: Captions of each image.
        seed: The only source of randomness.
    """

    train_species: int = 150
    test_species: int = 50
    train_images_per_species: int = 12
    test_images_per_species: int = 16
    image_pixels: int = 128
    captions_per_image: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: If a count is not positive, the image too small or the seed negative.
        """
        require_whole(self, "drawn birds", {key: 1 for key in asdict(self)} | {"image_pixels": 48, "seed": 0})


@dataclass(frozen=True)
class _BirdDrawing:
    """One image to make: its class, its numbers and its key ``<class>/<file stem>``."""

    species: Species
    class_id: int
    number: int
    key: str
    split: str

    def generator(self, seed: int, stream: int) -> np.random.Generator:
        return np.random.default_rng([seed, stream, self.class_id, self.number])

    def attributes(self, seed: int) -> BirdAttributes:
        return draw_attributes(self.species, self.generator(seed, _ATTRIBUTES))


def write_drawn_birds(
    root: Path, config: DrawnBirdsConfig, workers: int = 0, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write the data set below ``root`` in CUB's layout (with AttnGAN's metadata), part maps and attributes.

    Files are written whole or not at all, and complete images that are already there are kept, so the same call
    goes on where an interrupted one stopped and gives the same bytes with any number of workers.

    Args:
        root: Folder to write into; new, empty, or begun with the same config.
        config: What to draw.
        workers: Processes to draw with; 0 takes all cores, 1 stays in this process.
        progress: Called with (images done, images in all) after each image.

    Raises:
        UserError: If ``root`` holds something else, or the config asks for more species than can be told apart.
    """
    root = Path(root)
    train, test = invent_species(config.train_species, config.test_species, config.seed)
    class_names = name_species(train + test, config.seed)
    drawings = list(_drawings(config, train + test, class_names))
    claim(root, "drawn birds", {"dataset": "drawn-birds", "renderer": RENDERER, **asdict(config)})
    boxes = make_all(partial(_make, root, config), drawings, workers, progress)
    _write_tables(root, drawings, class_names, boxes)
    _write_metadata(root, config, drawings)


def _drawings(config: DrawnBirdsConfig, species: list[Species], names: list[str]) -> Iterator[_BirdDrawing]:
    image_id = 0
    for class_id, (one, name) in enumerate(zip(species, names), start=1):
        split = "train" if class_id <= config.train_species else "test"
        count = config.train_images_per_species if split == "train" else config.test_images_per_species
        for number in range(1, count + 1):
            image_id += 1
            yield _BirdDrawing(one, class_id, number, f"{name}/{name.split('.')[1]}_{number:04d}_{image_id}", split)


def _make(root: Path, config: DrawnBirdsConfig, drawing: _BirdDrawing) -> tuple[int, int, int, int]:
    """Make the files of one image, unless all are there; return the bird's box."""
    image_path = root / "CUB_200_2011/images" / f"{drawing.key}.jpg"
    parts_path = root / "CUB_200_2011/segmentations" / f"{drawing.key}.png"
    text_path = root / "text" / f"{drawing.key}.txt"
    if image_path.is_file() and text_path.is_file() and (kept := read_map(parts_path)) is not None:
        return tight_box(kept)
    attributes = drawing.attributes(config.seed)
    image, parts, box = render_bird(attributes, config.image_pixels, drawing.generator(config.seed, _PAINTING))
    captions = write_captions(attributes, config.captions_per_image, drawing.generator(config.seed, _CAPTIONS))
    write_lines(text_path, captions)
    save_map(parts_path, parts, _PART_COLORS)
    save_image(image_path, image)
    return box


def _write_tables(
    root: Path, drawings: list[_BirdDrawing], class_names: list[str], boxes: list[tuple[int, int, int, int]]
) -> None:
    """Write CUB's own text tables."""
    ids = range(1, len(drawings) + 1)
    tables = {
        "images.txt": [f"{i} {drawing.key}.jpg" for i, drawing in zip(ids, drawings)],
        "bounding_boxes.txt": [" ".join([str(i), *(f"{value}.0" for value in box)]) for i, box in zip(ids, boxes)],
        "classes.txt": [f"{i} {name}" for i, name in enumerate(class_names, start=1)],
        "image_class_labels.txt": [f"{i} {drawing.class_id}" for i, drawing in zip(ids, drawings)],
        # The image-level split: every other image of each class is for training.
        "train_test_split.txt": [f"{i} {drawing.number % 2}" for i, drawing in zip(ids, drawings)],
        "parts.txt": [f"{value} {name}" for value, name in enumerate(PARTS)],
    }
    for name, lines in tables.items():
        write_lines(root / "CUB_200_2011" / name, lines)


def _write_metadata(root: Path, config: DrawnBirdsConfig, drawings: list[_BirdDrawing]) -> None:
    """Write AttnGAN's pickles (plain lists, protocol 2) and the attributes of every image."""
    for split in ("train", "test"):
        chosen = [drawing for drawing in drawings if drawing.split == split]
        keys, class_ids = [drawing.key for drawing in chosen], [drawing.class_id for drawing in chosen]
        write_bytes(root / split / "filenames.pickle", pickle.dumps(keys, protocol=2))
        write_bytes(root / split / "class_info.pickle", pickle.dumps(class_ids, protocol=2))
    attributes = {drawing.key: drawing.attributes(config.seed).flat() for drawing in drawings}
    write_bytes(root / "attributes.json", as_json(attributes))
