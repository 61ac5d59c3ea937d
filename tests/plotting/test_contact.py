import numpy as np
import pytest
from PIL import Image

from t2igan.data.prepare import prepare
from t2igan.data.sources import FolderSource
from t2igan.data.store import open_store
from t2igan.plotting.contact import contact_sheet


@pytest.fixture
def store(tmp_path):
    """Four red training images and two blue test images of 19 x 38 pixels."""
    (tmp_path / "images").mkdir()
    lines = ["image,caption,split"]
    for number in range(6):
        colour, split = ((250, 0, 0), "train") if number < 4 else ((0, 0, 250), "test")
        Image.new("RGB", (19, 38), colour).save(tmp_path / "images" / f"{number}.png")
        lines.append(f"{number},a image of number {number},{split}")
    (tmp_path / "captions.csv").write_text("\n".join(lines))
    source = FolderSource(tmp_path / "images", tmp_path / "captions.csv")
    prepare(source, tmp_path / "s.h5", 16, workers=1)
    return open_store(tmp_path / "s.h5")


def area(sheet, colour):
    return int((np.abs(np.asarray(sheet).astype(int) - colour).max(-1) < 8).sum())


def test_the_sheet_shows_images_of_both_splits_whole(store):
    sheet = contact_sheet(store, most=3, columns=3, cell_pixels=76)
    one = 76 * 38
    assert area(sheet, (250, 0, 0)) == 3 * one and area(sheet, (0, 0, 250)) == 2 * one
    rows = np.abs(np.asarray(sheet).astype(int) - (250, 0, 0)).max(-1).min(1) < 8
    blue = np.abs(np.asarray(sheet).astype(int) - (0, 0, 250)).max(-1).min(1) < 8
    assert np.flatnonzero(rows).max() < np.flatnonzero(blue).min(), "train stands above test"
