"""Drawn scenes, written in the layouts of COCO, COCO-Stuff and Localized Narratives for their own readers."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from t2igan.data.sources.base import Findings
from t2igan.data.sources.coco import COCOSource
from t2igan.data.sources.coco_segments import LayoutFolders
from t2igan.data.sources.drawing import tight_box
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
from t2igan.data.sources.scenes.painter import paint_scene
from t2igan.data.sources.scenes.sentences import describe, write_captions, write_narrative
from t2igan.data.sources.scenes.traces import speak
from t2igan.data.sources.scenes.world import Scene, invent_scene
from t2igan.errors import UserError
from t2igan.layout.labels import COCO_STUFF
from t2igan.plain_files import read_json

RENDERER = 1
"""Raised whenever the same config would give other images or texts."""

FACTS = "scenes.json"
"""What each scene shows, written last: a folder that holds it is complete."""

# Streams of randomness that must not share numbers.
_INVENTING, _PAINTING, _CAPTIONS, _SEGMENTS, _NARRATIVES = range(5)


@dataclass(frozen=True)
class ScenesConfig:
    """All settings that determine the data set, byte for byte.

    Attributes:
        train_images: number of training images, none of which shows a pair of colour and thing of ``HELD_OUT``.
        val_images: number of validation images, the test split.
        unseen: share of the things in validation images whose pair is of ``HELD_OUT``.
        image_pixels: side of the square images.
        captions_per_image: short captions of each image.
        seed: the only source of randomness.
    """

    train_images: int = 4000
    val_images: int = 1000
    unseen: float = 0.4
    image_pixels: int = 128
    captions_per_image: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: a count is not positive, the share not within 0..1, the image too small or the seed negative.
        """
        least = {"train_images": 1, "val_images": 1, "image_pixels": 48, "captions_per_image": 1, "seed": 0}
        require_whole(self, "drawn scenes", least)
        if not 0 <= self.unseen <= 1:
            raise UserError(f"unseen of the drawn scenes is {self.unseen!r}; give a share between 0 and 1")


@dataclass(frozen=True)
class _SceneDrawing:
    """One image to make: its part of the data set and its COCO id."""

    part: str
    number: int

    @property
    def stem(self) -> str:
        return f"{self.part}2017/{self.number:012d}"

    def generator(self, seed: int, stream: int) -> np.random.Generator:
        return np.random.default_rng([seed, stream, self.number])

    def scene(self, config: ScenesConfig) -> Scene:
        unseen = 0.0 if self.part == "train" else config.unseen
        return invent_scene(self.generator(config.seed, _INVENTING), unseen)


@dataclass(frozen=True)
class _Told:
    """Annotations of one image.

    Attributes:
        captions: short captions.
        annotations: annotations of its segments, as JSON without ids.
        narratives: lines of Localized Narratives.
        tagged: id, words and tags of each narrative.
        facts: plain description of the scene.
    """

    captions: list[str]
    annotations: list[dict[str, Any]]
    narratives: list[str]
    tagged: list[tuple[str, str, str]]
    facts: dict[str, Any]


def write_scenes(
    root: Path, config: ScenesConfig, workers: int = 0, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write images, COCO's captions and instances, COCO-Stuff's label maps and Localized Narratives.

    Beside them ``tagged/{train,val}.{ids,words,cleaned_tags}.txt`` hold the true label of each word, in the format
    of TReCS's released labels. Files are written whole or not at all, and images that are already there are kept:
    an interrupted call is resumed by the same call, and the bytes do not depend on the number of workers.

    Args:
        root: folder to write into; new, empty, or begun with the same config.
        config: what to draw.
        workers: processes to draw with; 0 takes all cores, 1 stays in this process.
        progress: called with (images done, images in all) after each image.

    Raises:
        UserError: ``root`` holds something else.
    """
    root = Path(root)
    claim(root, "drawn scenes", {"dataset": "scenes", "renderer": RENDERER, **asdict(config)})
    edge = config.train_images + 1
    drawings = [_SceneDrawing("train", number) for number in range(1, edge)]
    drawings += [_SceneDrawing("val", number) for number in range(edge, edge + config.val_images)]
    told = make_all(partial(_make, root, config), drawings, workers, progress)
    for part in ("train", "val"):
        chosen = [(drawing, text) for drawing, text in zip(drawings, told) if drawing.part == part]
        _write_tables(root, config, part, chosen)
    facts = {f"{drawing.number:012d}": text.facts for drawing, text in zip(drawings, told)}
    write_bytes(root / FACTS, as_json(facts))


def _make(root: Path, config: ScenesConfig, drawing: _SceneDrawing) -> _Told:
    """Make the files of one image, unless they are there; returns what the tables hold of it."""
    scene = drawing.scene(config)
    labels = np.array([COCO_STUFF.value(segment.name) for segment in scene.segments], np.uint8)
    image_path, map_path = root / "images" / f"{drawing.stem}.jpg", root / "stuffthingmaps" / f"{drawing.stem}.png"
    owners = _read_owners(map_path, labels) if image_path.is_file() else None
    if owners is None:
        image, owners = paint_scene(scene, config.image_pixels, drawing.generator(config.seed, _PAINTING))
        save_map(map_path, labels[owners])
        save_image(image_path, image)
    return _tell(scene, owners, config, drawing)


def _read_owners(path: Path, labels: np.ndarray) -> np.ndarray | None:
    """Recover the segment of each pixel from a label map, whose labels are distinct; None if the map is missing."""
    found = read_map(path)
    if found is None or not np.isin(found, labels).all():
        return None
    owners = np.zeros(256, np.uint8)
    owners[labels] = np.arange(len(labels))
    return owners[found]


def _tell(scene: Scene, owners: np.ndarray, config: ScenesConfig, drawing: _SceneDrawing) -> _Told:
    rng = drawing.generator(config.seed, _SEGMENTS)
    annotations = [
        _annotation(owners == number, COCO_STUFF.value(segment.name) + 1, describe(segment, rng))
        for number, segment in enumerate(scene.segments)
    ]
    rng = drawing.generator(config.seed, _NARRATIVES)
    narratives, tagged = [], []
    visible = set(np.unique(owners).tolist())
    for annotator in sorted(rng.choice(100, int(rng.choice((1, 2), p=(0.75, 0.25))), replace=False).tolist()):
        mentions = [each for each in write_narrative(scene, rng) if each.segment in visible]
        utterances, traces, segments = speak(mentions, owners, rng)
        caption = " ".join(str(each["utterance"]) for each in utterances)
        line = {"dataset_id": f"mscoco_{drawing.part}2017", "image_id": str(drawing.number)}
        line |= {"annotator_id": annotator, "caption": caption, "timed_caption": utterances, "traces": traces}
        narratives.append(json.dumps(line))
        tags = " ".join(scene.segments[number].name for number in segments)
        tagged.append((f"{drawing.number}_{annotator}", caption.lower().replace(".", ""), tags))
    captions = write_captions(scene, config.captions_per_image, drawing.generator(config.seed, _CAPTIONS))
    return _Told(captions, [each for each in annotations if each["area"]], narratives, tagged, _facts(scene))


def _annotation(mask: np.ndarray, category: int, description: str) -> dict[str, Any]:
    """COCO annotation of a segment, with its mask as uncompressed run lengths, column by column."""
    flat = np.concatenate([[0], mask.T.reshape(-1).astype(np.int8), [0]])
    changes = np.flatnonzero(np.diff(flat))
    counts = np.diff(np.concatenate([[0], changes, [mask.size]])).tolist()
    return {
        "category_id": category,
        "bbox": tight_box(mask),
        "area": int(mask.sum()),
        "iscrowd": 0,
        "segmentation": {"size": list(mask.shape), "counts": counts if counts[-1] else counts[:-1]},
        "description": description,
    }


def _facts(scene: Scene) -> dict[str, Any]:
    main = scene.main
    things = [asdict(thing) for thing in scene.things]
    stuff = [{"name": each.name, "look": each.look} for each in scene.stuff]
    return {"place": scene.place, "class": f"{main.color} {main.name}", "things": things, "stuff": stuff}


def _write_tables(root: Path, config: ScenesConfig, part: str, told: Sequence[tuple[_SceneDrawing, _Told]]) -> None:
    """Write the tables that COCO, Localized Narratives and TReCS have for all images together."""
    side = config.image_pixels
    images = [
        {"id": drawing.number, "file_name": f"{drawing.number:012d}.jpg", "width": side, "height": side}
        for drawing, _ in told
    ]
    captions = [{"image_id": drawing.number, "caption": text} for drawing, each in told for text in each.captions]
    segments = [{"image_id": drawing.number, **one} for drawing, each in told for one in each.annotations]
    used = sorted({one["category_id"] for one in segments})
    categories = [
        {"id": number, "name": COCO_STUFF.names[number - 1], "supercategory": "thing" if number < 92 else "stuff"}
        for number in used
    ]
    for name, content in (
        ("captions", {"annotations": list(_numbered(captions))}),
        ("instances", {"annotations": list(_numbered(segments)), "categories": categories}),
    ):
        path = root / "annotations" / f"{name}_{part}2017.json"
        write_bytes(path, json.dumps({"images": images, **content}).encode("ascii"))
    lines = [line for _, each in told for line in each.narratives]
    write_lines(root / "annotations" / f"coco_{part}_localized_narratives.jsonl", lines)
    tagged = [one for _, each in told for one in each.tagged]
    for column, name in enumerate(("ids", "words", "cleaned_tags")):
        write_lines(root / "tagged" / f"{part}.{name}.txt", [one[column] for one in tagged])


def _numbered(annotations: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for number, annotation in enumerate(annotations, start=1):
        yield {"id": number, **annotation}


class ScenesSource(COCOSource):
    """Reader of drawn scenes: COCO's, with the colour and name of the main thing as the class of an image.

    Args:
        root: the folder of the scenes.
        captions_per_image: captions used of each image, the first ones.

    Raises:
        UserError: the folder is not complete.
    """

    name = "scenes"

    def __init__(self, root: str | Path, captions_per_image: int = 5) -> None:
        super().__init__(
            root,
            year=2017,
            classes="largest-object",
            captions_per_image=captions_per_image,
            layouts=LayoutFolders(stuff=Path(root) / "stuffthingmaps", instances=Path(root) / "annotations"),
            narratives=Path(root) / "annotations",
        )
        self.split_scheme = "held-out-pairs"

    def _objects(self, findings: Findings) -> dict[int, str]:
        """The class of each image, e.g. "red boat"."""
        path = self.root / FACTS
        facts = read_json(path)
        try:
            return {int(number): str(scene["class"]) for number, scene in facts.items()}
        except (AttributeError, TypeError, KeyError, ValueError):
            findings.faults.append(f"{path}: not the facts of drawn scenes; remove it and draw them again")
            return {}
