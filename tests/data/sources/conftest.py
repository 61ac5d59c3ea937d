import pytest
from coco_files import TRAIN, VAL, caption_file, write_images, write_json


@pytest.fixture
def coco(tmp_path):
    """Four training and three validation images of 2017 in the official layout; yours to damage."""
    root = tmp_path / "coco"
    for part, numbers in (("train", TRAIN), ("val", VAL)):
        write_json(root / "annotations" / f"captions_{part}2017.json", caption_file(numbers))
        write_images(root / f"{part}2017", numbers)
    return root
