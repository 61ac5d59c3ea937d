"""Render one raw image as the pixels that the store holds.

Imports PIL and little else, so that worker processes start quickly.
"""

import hashlib
import io
import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from t2igan.image_files import UndecodableImageError, decoding

# Without chroma subsampling: mean error 0.9 levels; less than one value in 10,000 is off by more than 8 (COCO).
JPEG_QUALITY = 98
MOST_PIXELS = 2**26
"""Of an image file: decoding more takes a gigabyte."""
LONGEST_TO_SHORTEST = 20
"""Its longer side over its shorter one, at most."""

_UPRIGHT = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
_EXIF_ORIENTATION = 0x0112

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels of the file as stored, before any EXIF rotation (as CUB counts them)."""


def short_side(image_size: int) -> int:
    """The shorter side of a stored image for training at ``image_size``: int(S * 76 / 64)."""
    return image_size * 76 // 64


def crop_window(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """The square of one and a half times the box's longer side about its centre, cut at the image's borders.

    Args:
        box: x, y, width, height; fractions are dropped first.
        width: width of the image.
        height: height of the image.

    Returns:
        left, top, right, bottom.
    """
    x, y, w, h = (int(value) for value in box)
    radius = int(0.75 * max(w, h))
    centre_x, centre_y = int((2 * x + w) / 2), int((2 * y + h) / 2)
    left, top = max(0, centre_x - radius), max(0, centre_y - radius)
    return left, top, min(width, centre_x + radius), min(height, centre_y + radius)


def box_problem(box: Box, width: int, height: int) -> str | None:
    """The problem of a box in an image of this size, or None; a box may exceed the image by less than half."""
    x, y, w, h = box
    if w < 1 or h < 1:
        return f"box {box} has no area"
    inside_w, inside_h = min(x + w, width) - max(x, 0), min(y + h, height) - max(y, 0)
    if inside_w <= 0 or inside_h <= 0 or inside_w * inside_h < 0.5 * w * h:
        return f"box {box} lies outside the image of {width}x{height} pixels"
    return None


def resize_short_side(image: Image.Image, size: int) -> Image.Image:
    """Resize the shorter side to ``size`` with PIL's bilinear filter, keeping the aspect ratio."""
    target = stored_size(*image.size, size)
    return image if target == image.size else image.resize(target, Image.Resampling.BILINEAR)


def stored_size(width: int, height: int, size: int) -> tuple[int, int]:
    """(width, height) of an image once its shorter side is ``size``."""
    return (size, int(size * height / width)) if width <= height else (int(size * width / height), size)


def turns_of(image: Image.Image) -> tuple[Image.Transpose, ...]:
    """PIL's transpose operations for an image's EXIF orientation, none if it is upright."""
    return _UPRIGHT.get(image.getexif().get(_EXIF_ORIENTATION, 1), ())


@dataclass(frozen=True)
class Rendered:
    """A rendered image, or the reason why it could not be rendered.

    Attributes:
        key: the image's key.
        shape: (height, width).
        payload: uint8 (height, width, 3) row by row for raw stores; the bytes of a JPEG file for jpeg stores.
        sha256: hex digest of the payload.
        problem: None, or one line that names the file.
    """

    key: str
    shape: tuple[int, int] = (0, 0)
    payload: bytes = b""
    sha256: str = ""
    problem: str | None = None


@dataclass(frozen=True)
class RenderJob:
    """Input of a worker for one image. ``box`` is None if the whole image is used."""

    key: str
    path: Path
    box: Box | None
    short_side: int
    encoding: str

    def render(self) -> Rendered:
        """Decode, crop, turn and resize one image. Never raises for a bad file: the result holds the problem."""
        try:
            with decoding(self.path), Image.open(self.path) as image:
                problem = size_problem(*image.size)
                if not problem and self.box is not None:
                    problem = box_problem(self.box, *image.size)
            if problem:
                return Rendered(self.key, problem=f"{self.path}: {problem}")
            with decoding(self.path):
                image = resize_short_side(open_upright_rgb(self.path, self.box), self.short_side)
        except UndecodableImageError as error:
            return Rendered(self.key, problem=str(error))
        if self.encoding == "jpeg":
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
            payload = buffer.getvalue()
        else:
            payload = image.tobytes()
        return Rendered(self.key, (image.height, image.width), payload, hashlib.sha256(payload).hexdigest())


def open_upright_rgb(path: Path, box: Box | None) -> Image.Image:
    """The image as RGB, cut to the window of ``box`` and then turned as its EXIF orientation says."""
    with Image.open(path) as image:
        turns = turns_of(image)
        rgb = _to_rgb(image)
    if box is not None:
        rgb = rgb.crop(crop_window(box, *rgb.size))
    for turn in turns:
        rgb = rgb.transpose(turn)
    return rgb


def size_problem(width: int, height: int) -> str | None:
    """The reason why an image of this size is refused, or None."""
    if width * height > MOST_PIXELS:
        return f"{width}x{height} is more than {MOST_PIXELS:,} pixels; make it smaller"
    if max(width, height) > LONGEST_TO_SHORTEST * min(width, height):
        return f"{width}x{height} is too long and thin for an image; cut it"
    return None


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB; transparent pixels become white, and 16-bit greys keep their high byte.

    Raises:
        ValueError: the levels are floats or 32-bit integers, whose range is unknown.
    """
    if image.mode == "I" and image.format == "PNG":  # older PIL opens 16-bit PNG files in this mode
        image = image.point(lambda level: level / 256).convert("L")
    if image.mode in ("F", "I"):
        kind = "fractions" if image.mode == "F" else "of 32 bits"
        raise ValueError(f"its levels are {kind}; save it with 8 bits")
    if image.mode.startswith("I;16"):
        image = image.point(lambda level: level / 256, "L")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")


def serve_the_parent() -> None:
    """Initialise a worker process: ignore stop signals, which the parent handles, and end when the parent ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in pool workers only"

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
