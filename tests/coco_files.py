"""A few images with captions in COCO's official files."""

import json
from pathlib import Path

from PIL import Image

TRAIN, VAL = (9, 25, 30, 34), (42, 73, 74)
SAMPLE = Path(__file__).parents[2] / "shared" / "data" / "coco_sample"


def captions_of(number):
    """Seven captions with their annotation ids, which do not ascend; one of the early ones has no word."""
    texts = [f"A thing number{number} on row{row}." for row in range(6)]
    ids = [10_000 - 7 * number + step for step in (5, 0, 3, 1, 4, 6)]
    return [*zip(ids, texts), (10_000 - 7 * number + 2, " ...")]


def caption_file(numbers, names=None):
    images = [{"id": number, "file_name": (names or {}).get(number, f"{number:012d}.jpg")} for number in numbers]
    annotations = [
        {"image_id": number, "id": index, "caption": text}
        for number in numbers
        for index, text in captions_of(number)
    ]
    return {"info": {}, "licenses": [], "images": images, "annotations": annotations}


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_images(folder, numbers, name="{:012d}.jpg"):
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        Image.new("RGB", (60, 50), (number, 200, 90)).save(folder / name.format(number))


def wordless(problems):
    return [problem for problem in problems if "has no word" in problem]
