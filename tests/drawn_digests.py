"""Digests of a folder that was drawn: records, stores and published figures depend on its bytes."""

import hashlib
from pathlib import Path

import PIL
import pytest
from PIL import Image

# With these, and with NumPy 1.26 and 2.4, the same JPEG files were measured; Pillow 10 averages colours otherwise.
PILLOWS = ("11", "12")
# Not the traces (.jsonl): their strokes follow singular vectors, whose signs are the linear algebra library's.
TEXTS = (".txt", ".json", ".pickle")


def same_images_expected() -> None:
    """Skip the rest of a test of image files where another Pillow draws them."""
    major = PIL.__version__.partition(".")[0]
    if major not in PILLOWS:
        pytest.skip(f"JPEG files were measured with Pillow {' and '.join(PILLOWS)}, this is {PIL.__version__}")


def digest(root: Path, *suffixes: str) -> str:
    """Names and contents of the files with these endings; of PNG the pixels, which Pillows pack differently."""
    found = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.suffix in suffixes):
        found.update(path.relative_to(root).as_posix().encode())
        found.update(pixels(path) if path.suffix == ".png" else path.read_bytes())
    return found.hexdigest()[:16]


def pixels(path: Path) -> bytes:
    """Labels of a map, and the colours in which viewers show them."""
    with Image.open(path) as image:
        return image.tobytes() + image.convert("RGB").tobytes()
