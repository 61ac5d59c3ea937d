"""Read the annotation files of MS-COCO, and Karpathy's list of its images."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from t2igan.data.sources.base import Findings, first_of, has_word
from t2igan.errors import UserError
from t2igan.plain_files import read_json

_KARPATHY_SPLITS = {"train": "train", "restval": "train", "val": None, "test": "test"}
NO_OBJECT = "(no object)"
Kind = type | tuple[type, ...]


@dataclass(frozen=True)
class ListedImage:
    """An image as an annotation file lists it.

    Attributes:
        number: COCO's id; the same image has the same one in 2014 and in 2017.
        file_name: e.g. ``"000000493652.jpg"``.
        folder: where the official archive puts it, e.g. ``"train2017"``.
        captions: captions that are used, each with at least one word.
        tokens: word ids of the captions where a captions pickle gives them.
    """

    number: int
    file_name: str
    folder: str
    captions: list[str]
    tokens: list[list[int]] | None = None


def read_captions(path: Path, folder: str, limit: int, findings: Findings) -> list[ListedImage]:
    """The images of a ``captions_*.json`` in its order, each with its captions by ascending annotation id.

    Args:
        path: path of the file.
        folder: folder of the images.
        limit: captions kept of each image, the first ones that have a word.
        findings: receives the problems found.

    Raises:
        UserError: the file is missing, or not a caption file of COCO.
    """
    content = read_json(path)
    count = len(findings.faults)
    images = table(path, content, "images", {"id": int, "file_name": str}, findings)
    columns = {"id": int, "image_id": int, "caption": str}
    annotations = table(path, content, "annotations", columns, findings)
    if len(findings.faults) > count:
        return []
    _check_unique(path, "images", images, "id", findings)
    _check_unique(path, "images", images, "file_name", findings)
    _check_unique(path, "annotations", annotations, "id", findings)
    captions: dict[int, list[dict]] = {image["id"]: [] for image in images}
    unknown = []
    for annotation in sorted(annotations, key=itemgetter("id")):
        of_image = captions.get(annotation["image_id"])
        (unknown if of_image is None else of_image).append(annotation)
    if unknown:
        numbers = sorted({annotation["image_id"] for annotation in unknown})
        findings.problems.append(
            f"{path}: {len(unknown):,} captions of {len(numbers):,} images that it does not list: "
            f"{first_of(numbers)}"
        )
    listed = []
    for image in images:
        texts = _usable(path, image["file_name"], captions[image["id"]], limit, findings)
        listed.append(ListedImage(image["id"], image["file_name"], folder, texts))
    return listed


def read_karpathy(path: Path, limit: int, findings: Findings) -> dict[str, list[ListedImage]]:
    """The splits of Karpathy's ``dataset_coco.json``: train and restval are train, test is test, val is left.

    Captions are those of the file by ascending ``sentid``, which is COCO's annotation id.

    Raises:
        UserError: the file is missing, or not Karpathy's.
    """
    content, wanted = read_json(path), "dataset_coco.json of Karpathy's split"
    columns = {"cocoid": int, "filename": str, "filepath": str, "split": str, "sentences": list}
    images = table(path, content, "images", columns, findings, wanted)
    listed: dict[str, list[ListedImage]] = {"train": [], "test": []}
    if findings.faults:
        return listed
    _check_unique(path, "images", images, "cocoid", findings)
    unknown = sorted({image["split"] for image in images} - set(_KARPATHY_SPLITS))
    if unknown:
        findings.faults.append(f"{path}: has splits {', '.join(unknown)}; it knows {', '.join(_KARPATHY_SPLITS)}")
        return listed
    sentences = [sentence for image in images for sentence in image["sentences"]]
    check_columns(path, "sentences", sentences, {"sentid": int, "raw": str}, findings, wanted)
    if findings.faults:
        return listed
    for image in images:
        if (split := _KARPATHY_SPLITS[image["split"]]) is None:
            continue
        ordered = sorted(image["sentences"], key=itemgetter("sentid"))
        annotations = [{"id": sentence["sentid"], "caption": sentence["raw"]} for sentence in ordered]
        captions = _usable(path, image["filename"], annotations, limit, findings)
        listed[split].append(ListedImage(image["cocoid"], image["filename"], image["filepath"], captions))
    return listed


def read_largest_objects(path: Path, findings: Findings) -> dict[int, str]:
    """The category of the largest object (by area) of every image of an ``instances_*.json`` that shows any.

    Raises:
        UserError: the file is missing, or not an instance file of COCO.
    """
    content, wanted = read_json(path), "instances_*.json of the official annotations"
    count = len(findings.faults)
    categories = table(path, content, "categories", {"id": int, "name": str}, findings, wanted)
    columns = {"image_id": int, "category_id": int, "area": (int, float)}
    objects = table(path, content, "annotations", columns, findings, wanted)
    if len(findings.faults) > count:
        return {}
    names = {category["id"]: category["name"] for category in categories}
    largest: dict[int, dict] = {}
    for each in objects:
        known = largest.get(each["image_id"])
        if known is None or each["area"] > known["area"]:
            largest[each["image_id"]] = each
    strange = sorted({each["category_id"] for each in largest.values()} - set(names))
    if strange:
        findings.faults.append(f"{path}: objects of categories that it does not list: {first_of(strange)}")
        return {}
    return {number: names[each["category_id"]] for number, each in largest.items()}


def table(
    path: Path,
    content: Any,
    name: str,
    columns: Mapping[str, Kind],
    findings: Findings,
    wanted: str = "captions_*.json of the official annotations",
) -> list[dict]:
    """A list of records in a file; records that lack one of the columns are reported as faults."""
    rows = content.get(name) if isinstance(content, dict) else None
    if not isinstance(rows, list) or not rows:
        found = first_of(list(content)) if isinstance(content, dict) else f"a {type(content).__name__}"
        raise UserError(f"{path}: holds no list {name!r} (found: {found or 'nothing'}); it should be {wanted}")
    check_columns(path, name, rows, columns, findings, wanted)
    return rows


def check_columns(
    path: Path, name: str, rows: list, columns: Mapping[str, Kind], findings: Findings, wanted: str
) -> None:
    """Report entries of a list that lack one of the columns as faults."""
    for column, kind in columns.items():
        bad = [
            number
            for number, row in enumerate(rows, 1)
            if not isinstance(row, dict) or not isinstance(row.get(column), kind)
        ]
        if bad:
            findings.faults.append(
                f"{path}: {len(bad):,} of {len(rows):,} entries of {name!r} have no {column!r} "
                f"(entry {first_of(bad)}); it should be {wanted}"
            )


def _check_unique(path: Path, name: str, rows: list[dict], column: str, findings: Findings) -> None:
    twice = [value for value, count in Counter(row[column] for row in rows).items() if count > 1]
    if twice:
        findings.faults.append(f"{path}: {name!r} has the same {column!r} more than once: {first_of(twice)}")


def _usable(path: Path, name: str, annotations: list[dict], limit: int, findings: Findings) -> list[str]:
    """The first captions of an image that have a word, as single lines."""
    captions: list[str] = []
    for annotation in annotations:
        if len(captions) == limit:
            break
        caption = " ".join(annotation["caption"].split())
        if has_word(caption):
            captions.append(caption)
        else:
            findings.problems.append(f"{path}: caption {annotation['id']} of {name} has no word: {caption!r}")
    if not captions:
        findings.problems.append(f"{path}: no caption with a word for {name}")
    return captions
