"""``t2igan sample --scene``: images of masks with free texts, SpaText's use (CVPR 2023)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from t2igan.cli.sample_folder import SampleFolder
from t2igan.errors import UserError
from t2igan.evaluation.images.sampling import Sampler, understand
from t2igan.image_files import UndecodableImageError, decoding
from t2igan.layout.labels import COCO_STUFF, VOID
from t2igan.layout.layout import MOST_SEGMENTS, Layouts
from t2igan.plain_files import parse_json, read_text
from t2igan.plotting.grids import captioned_grid, save_png, to_pil
from t2igan.plotting.segments import legend, mask_panel, outlined

CELL = 192
KEYS = {"text", "polygon", "mask", "label"}
SHAPE = '"segments": a list of {"text": ..., "polygon": [[x, y], ...] in 0..1 or "mask": "file.png"}'


@dataclass(frozen=True)
class SceneSegment:
    """A region of the image and the text that describes it.

    Attributes:
        text: free-text description.
        outline: a polygon of (x, y) in [0, 1], or the file of a mask image that is white inside.
        label: class name in COCO-Stuff, for models with a closed vocabulary; may be empty.
    """

    text: str
    outline: tuple[tuple[float, float], ...] | Path
    label: str = ""

    def mask(self, size: int) -> np.ndarray:
        """The mask of the segment, bool (size, size).

        Raises:
            UserError: the file of the mask cannot be read.
        """
        if isinstance(self.outline, Path):
            try:
                with decoding(self.outline), Image.open(self.outline) as image:
                    mask = image.convert("L").resize((size, size), Image.Resampling.BOX)
            except UndecodableImageError as error:
                raise UserError(f"--scene: {self.outline}: not a readable image of a mask") from error
        else:
            mask = Image.new("L", (size, size))
            ImageDraw.Draw(mask).polygon([(x * size, y * size) for x, y in self.outline], fill=255)
        return np.asarray(mask) >= 128


@dataclass(frozen=True)
class DrawnScene:
    """A user's scene: segments, and captions of the whole image.

    Attributes:
        captions: captions of the whole image; each gives images of the same segments.
        segments: the segments; where they overlap, the later one covers the earlier.
    """

    captions: list[str]
    segments: list[SceneSegment]

    def layouts(self, size: int, rows: int) -> Layouts:
        """The layouts of a batch: the scene repeated ``rows`` times, rendered at a size.

        Raises:
            UserError: a segment has no pixels left, because it is too small or covered by others.
        """
        labels, instances = np.full((size, size), VOID, np.uint8), np.zeros((size, size), np.uint8)
        for number, segment in enumerate(self.segments, start=1):
            mask = segment.mask(size)
            instances[mask] = number
            labels[mask] = COCO_STUFF.value(segment.label) if segment.label else VOID
        for number, segment in enumerate(self.segments, start=1):
            if not (instances == number).any():
                raise UserError(f"--scene: segment {number} ({segment.text!r}) has no visible pixel at {size} px")
        shown, numbered = (torch.from_numpy(each).expand(rows, -1, -1) for each in (labels, instances))
        return Layouts(shown, numbered, [tuple(each.text for each in self.segments)] * rows)


def read_scene(path: str) -> DrawnScene:
    """Read a scene from a JSON file.

    Raises:
        UserError: the file is missing or malformed; names the key.
    """
    content = parse_json(read_text(Path(path)), path)
    if not isinstance(content, dict) or not isinstance(content.get("segments"), list) or not content["segments"]:
        raise UserError(f"--scene: {path} must hold {SHAPE}")
    if len(content["segments"]) > MOST_SEGMENTS:
        raise UserError(f"--scene: {path}: {len(content['segments'])} segments are more than {MOST_SEGMENTS}")
    captions = content.get("captions", content.get("caption", []))
    captions = [captions] if isinstance(captions, str) else captions
    if not isinstance(captions, list) or not all(isinstance(each, str) and each.strip() for each in captions):
        raise UserError(f'--scene: {path}: give "caption": "..." or "captions": ["...", ...]')
    where, folder = f"{path}: segments", Path(path).parent
    segments = [_segment(each, f"{where}[{place}]", folder) for place, each in enumerate(content["segments"])]
    return DrawnScene(captions, segments)


def _segment(content: Any, where: str, folder: Path) -> SceneSegment:
    if not isinstance(content, dict) or not isinstance(content.get("text"), str) or not content["text"].strip():
        raise UserError(f"--scene: {where}: needs a text; {SHAPE}")
    if unknown := sorted(set(content) - KEYS):
        raise UserError(f"--scene: {where}.{unknown[0]}: unknown key; valid keys: {', '.join(sorted(KEYS))}")
    label = content.get("label", "")
    if label and label not in COCO_STUFF:
        raise UserError(f"--scene: {where}.label: {label!r} is not a name of COCO-Stuff, such as bird or sky-other")
    if ("mask" in content) == ("polygon" in content):
        raise UserError(f"--scene: {where}: give a polygon or a mask, one of the two")
    if "mask" in content:
        if not isinstance(content["mask"], str) or not (folder / content["mask"]).is_file():
            raise UserError(f"--scene: {where}.mask: {content['mask']!r} is not a file in the folder of the scene")
        return SceneSegment(content["text"], folder / content["mask"], label)
    return SceneSegment(content["text"], _points(content["polygon"], where), label)


def _points(content: Any, where: str) -> tuple[tuple[float, float], ...]:
    wrong = f"--scene: {where}.polygon: needs at least three points [x, y] in 0..1"
    if not isinstance(content, list) or len(content) < 3:
        raise UserError(wrong)
    for point in content:
        numbers = isinstance(point, list) and len(point) == 2 and all(type(x) in (int, float) for x in point)
        if not numbers or not all(0 <= x <= 1 for x in point):
            raise UserError(wrong)
    return tuple((float(x), float(y)) for x, y in content)


def scene_sheet(
    sampler: Sampler, folder: SampleFolder, scene: DrawnScene, captions: Sequence[str], n: int, seed: int
) -> Image.Image:
    """Generate ``n`` images of each caption for the scene; the sheet shows the outlines over them.

    Raises:
        UserError: the model takes no segments, or there is no caption.
    """
    module = sampler.module
    if "segments" not in module.requires:
        raise UserError(f"--scene: {type(module).__name__} takes no segments; give a SpaText checkpoint")
    if not captions:
        raise UserError('--scene: no caption of the whole image: give "caption" in the file, or --caption')
    layouts = scene.layouts(module.generator.image_sizes[-1], n)
    index, texts = layouts.instances[0], [each.text for each in scene.segments]
    cells, beneath = [], []
    for number, caption in enumerate(understand(captions, sampler.vocabulary)):
        samples = sampler.sample([caption] * n, sampler.noise(number, n, seed), layouts)
        for draw, image in enumerate(samples.images):
            save_png(to_pil(image), folder.image(f"c{number:03d}_s{draw:02d}.png"))
        cells += [mask_panel(index, CELL), *(outlined(image, index, CELL) for image in samples.images)]
        beneath += [legend(texts), *[""] * n]
    return captioned_grid(cells, beneath, columns=n + 1, cell_pixels=CELL, row_labels=list(captions))
