"""Find the layouts of COCO's images: instances, COCO-Stuff pixel maps, panoptic maps."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from t2igan.data.layout_rendering import RawLayout
from t2igan.data.rendering import MOST_PIXELS
from t2igan.data.sources.base import Findings, first_of, has_word
from t2igan.data.sources.coco_files import check_columns, table
from t2igan.errors import UserError
from t2igan.layout.labels import MOST_SEGMENTS
from t2igan.layout.line_faults import LineFaults
from t2igan.layout.segmentations import (
    BadSegmentationError,
    Segment,
    encode_segmentation,
    label_of,
    segmentation_area,
    text_of,
)
from t2igan.plain_files import read_json

LONGEST_TEXT = 500
"""Letters of a segment's description."""
PARTS, YEARS = ("train", "val"), ("2017", "2014")
_SIZES = {"id": int, "width": int, "height": int}

Names = dict[int, tuple[int, str]]
"""Label value and text of every category."""


@dataclass(frozen=True)
class LayoutFolders:
    """Folders of layout annotations, each of which may be None.

    Attributes:
        stuff: folder of COCO-Stuff pixel maps, ``<name>.png``, in it or in ``train2017/``, ``val2017/``, ... of it.
        instances: folder of ``instances_{train,val}[2017|2014].json``.
        panoptic: folder of ``panoptic_{train,val}[2017].json`` with folders of the same names beside them.

    Raises:
        UserError: instances and panoptic are both given.
    """

    stuff: str | Path | None = None
    instances: str | Path | None = None
    panoptic: str | Path | None = None

    def __post_init__(self) -> None:
        if self.instances and self.panoptic:
            both = f"{self.instances} and {self.panoptic}"
            raise UserError(f"{both}: segments come from instances or from panoptic maps, not both")


NO_LAYOUTS = LayoutFolders()


class LayoutFiles:
    """Layouts by number and file name of the image.

    Args:
        folders: folders of the annotations.
        year: year of the files to read; None if there is only one.
        findings: receives the problems found.

    Raises:
        UserError: a folder does not hold such files.
    """

    def __init__(self, folders: LayoutFolders, year: int | None, findings: Findings) -> None:
        self._stuff = _png_files(Path(folders.stuff)) if folders.stuff else {}
        self._instances: dict[int, RawLayout] = {}
        self._panoptic: dict[int, RawLayout] = {}
        years = YEARS if year is None else (str(year),)
        if folders.instances:
            for path in _parts(Path(folders.instances), "instances", years):
                self._instances |= read_instances(path, findings)
        if folders.panoptic:
            for path in _parts(Path(folders.panoptic), "panoptic", years):
                self._panoptic |= read_panoptic(path, findings)

    def of(self, number: int, name: str) -> RawLayout | None:
        """The layout of an image, None if there is none.

        Args:
            number: COCO's id.
            name: name of the image file, without folder and extension.
        """
        known = self._instances.get(number) or self._panoptic.get(number)
        stuff = next((self._stuff[each] for each in (name, f"{number:012d}") if each in self._stuff), None)
        if known is None:
            return None if stuff is None else RawLayout(stuff=stuff)
        return RawLayout(known.segments, known.size, stuff, known.panoptic)


def _png_files(folder: Path) -> dict[str, Path]:
    """PNG files of a folder and its subfolders, by stem."""
    places = [folder, *sorted(each for each in folder.glob("*") if each.is_dir())]
    found = {
        name.removesuffix(".png"): place / name
        for place in filter(Path.is_dir, places)
        for name in os.listdir(place)
        if name.endswith(".png")
    }
    if not found:
        raise UserError(
            f"{folder}: no PNG file here or in its folders; unpack stuffthingmaps_trainval2017.zip there"
        )
    return found


def _parts(folder: Path, kind: str, years: tuple[str, ...]) -> list[Path]:
    """The files of the first year for which there are any."""
    for year in years:
        paths = [folder / f"{kind}_{part}{year}.json" for part in PARTS]
        if found := [path for path in paths if path.is_file()]:
            return found
    names = " or ".join(f"{kind}_train{year}.json" for year in years)
    raise UserError(f"{folder}: holds no {names} (nor of val); give the folder of these files")


def read_instances(path: Path, findings: Findings) -> dict[int, RawLayout]:
    """The segments of the images of an ``instances_*.json``, by the image's id.

    Images without annotations have no layout, because nothing in it would be labelled. A segment's text is its
    ``description`` if it has one (an extension of this suite), otherwise "a {category}".

    Args:
        path: path of the file.
        findings: receives the problems of unusable annotations, which are left out.

    Raises:
        UserError: the file is missing, or not an instance file of COCO.
    """
    wanted = "instances_*.json of the official annotations"
    content, count = read_json(path), len(findings.faults)
    names = _categories(path, content, wanted, findings)
    images = table(path, content, "images", _SIZES, findings, wanted)
    columns = {"id": int, "image_id": int, "category_id": int}
    objects = table(path, content, "annotations", columns, findings, wanted)
    if len(findings.faults) > count:
        return {}
    sizes = {each["id"]: (each["width"], each["height"]) for each in images}
    refused = LineFaults(path, "annotation")
    segments: dict[int, list[Segment]] = {}
    for each in objects:
        try:
            segment = _instance(each, sizes, names)
            segments.setdefault(each["image_id"], []).append(segment)
        except BadSegmentationError as error:
            refused.add(each["id"], str(error))
    findings.problems += refused.lines()
    layouts = {}
    for number, found in segments.items():
        width, height = sizes[number]
        areas = [segmentation_area(each.rle or b"", height, width) for each in found]
        layouts[number] = RawLayout(_largest(path, number, found, areas, findings), sizes[number])
    return layouts


def _instance(annotation: dict, sizes: dict[int, tuple[int, int]], names: Names) -> Segment:
    width, height = sizes.get(annotation["image_id"], (0, 0))
    if width < 1 or height < 1 or width * height > MOST_PIXELS:
        raise BadSegmentationError(f"its image {annotation['image_id']} is not listed with a size")
    label, text = _named(annotation, names)
    rle = encode_segmentation(annotation.get("segmentation"), height, width)
    return Segment(label, text, crowd=annotation.get("iscrowd") == 1, rle=rle)


def _named(annotation: dict, names: Names) -> tuple[int, str]:
    """Label and text of an annotation."""
    if annotation["category_id"] not in names:
        raise BadSegmentationError(f"category {annotation['category_id']} is not listed")
    label, text = names[annotation["category_id"]]
    own = annotation.get("description", text)
    if not isinstance(own, str) or not has_word(own) or len(own) > LONGEST_TEXT:
        raise BadSegmentationError(f"description is not a text of up to {LONGEST_TEXT} letters: {own!r:.60}")
    return label, " ".join(own.split())


def _largest(
    path: Path, number: int, segments: list[Segment], areas: Sequence[int], findings: Findings
) -> tuple[Segment, ...]:
    """All segments in their order, limited to as many as the store can number."""
    if len(segments) <= MOST_SEGMENTS:
        return tuple(segments)
    findings.problems.append(
        f"{path}: image {number} has {len(segments)} segments; the {MOST_SEGMENTS} largest stay"
    )
    kept = sorted(sorted(range(len(segments)), key=lambda place: -areas[place])[:MOST_SEGMENTS])
    return tuple(segments[place] for place in kept)


def read_panoptic(path: Path, findings: Findings) -> dict[int, RawLayout]:
    """The segments of the images of a ``panoptic_*.json``, by the image's id.

    Args:
        path: path of the file; the PNG files are in the folder of the same name without ``.json``.
        findings: receives the problems of unusable images and segments, which are left out.

    Raises:
        UserError: the file is missing, or not a panoptic file of COCO.
    """
    wanted = "panoptic_*.json of the official annotations"
    content, count = read_json(path), len(findings.faults)
    names = _categories(path, content, wanted, findings)
    columns = {"image_id": int, "file_name": str, "segments_info": list}
    images = table(path, content, "annotations", columns, findings, wanted)
    if len(findings.faults) == count:
        infos = [info for image in images for info in image["segments_info"]]
        check_columns(path, "segments_info", infos, {"id": int, "category_id": int}, findings, wanted)
    if len(findings.faults) > count:
        return {}
    refused, layouts = LineFaults(path, "image"), {}
    files = set(os.listdir(path.with_suffix(""))) if path.with_suffix("").is_dir() else set()
    for image in images:
        number, name = image["image_id"], image["file_name"]
        if name not in files:
            refused.add(number, f"{path.with_suffix('') / name}: no such file")
            continue
        try:
            found = list(_panoptic_segments(image["segments_info"], names))
        except BadSegmentationError as error:
            refused.add(number, str(error))
            continue
        areas = [info["area"] if type(info.get("area")) is int else 0 for info in image["segments_info"]]
        kept = _largest(path, number, found, areas, findings)
        layouts[number] = RawLayout(kept, panoptic=path.with_suffix("") / name)
    findings.problems += refused.lines()
    return layouts


def _panoptic_segments(infos: list[dict], names: Names) -> Iterator[Segment]:
    for info in infos:
        if not 0 < info["id"] < 2**24:
            raise BadSegmentationError(f"segment {info['id']!r:.30} is not an id from 1 to {2**24 - 1}")
        label, text = _named(info, names)
        yield Segment(label, text, crowd=info.get("iscrowd") == 1, panoptic_id=info["id"])


def _categories(path: Path, content: Any, wanted: str, findings: Findings) -> Names:
    """Label value and text of each category; categories unknown to COCO-Stuff are reported as faults."""
    count = len(findings.faults)
    categories = table(path, content, "categories", {"id": int, "name": str}, findings, wanted)
    if len(findings.faults) > count:
        return {}
    labels = {each["id"]: label_of(each["name"]) for each in categories}
    if unknown := [each["name"] for each in categories if labels[each["id"]] is None]:
        findings.faults.append(
            f"{path}: categories that are not COCO's: {first_of(unknown)}; it should be {wanted}"
        )
    found = ((each, labels[each["id"]]) for each in categories)
    return {each["id"]: (label, text_of(each["name"])) for each, label in found if label is not None}
