import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from t2igan.layout.labels import COCO_STUFF, VOID
from t2igan.layout.segmentations import (
    BadSegmentationError,
    Segment,
    decode_segmentation,
    encode_segmentation,
    label_of,
    paint,
    read_panoptic_map,
    read_stuff_map,
    segmentation_area,
    text_of,
)

SQUARE = [[2, 1, 6, 1, 6, 4, 2, 4]]


def mask_of(segmentation, height=8, width=10):
    return decode_segmentation(encode_segmentation(segmentation, height, width), height, width)


def runs_of(mask):
    """Run lengths by hand: column by column, the first of pixels that are not in the mask."""
    flat = mask.T.reshape(-1).astype(int)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [1 - flat[-1]]])))
    return np.diff(np.concatenate([[0], edges])).tolist()


def test_polygons_are_filled():
    mask = np.zeros((8, 10), bool)
    mask[1:4, 2:6] = True
    assert np.array_equal(mask_of(SQUARE), mask)
    assert segmentation_area(encode_segmentation(SQUARE, 8, 10), 8, 10) == 12
    two = mask_of([*SQUARE, [7, 5, 9, 5, 9, 8, 7, 8]])
    assert two[mask].all() and two.sum() == 12 + 6


@pytest.mark.parametrize("seed", range(6))
def test_run_lengths_as_list_and_as_text_give_the_mask(seed):
    rng = np.random.default_rng(seed)
    mask = np.repeat(np.repeat(rng.random((12, 9)) < 0.4, 7, axis=0), 5, axis=1)
    size = list(mask.shape)
    assert np.array_equal(mask_of({"size": size, "counts": runs_of(mask)}, *size), mask)
    text = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert np.array_equal(mask_of({"size": size, "counts": text}, *size), mask)


@pytest.mark.parametrize(
    "segmentation",
    [
        None,
        [],
        "text",
        [[1, 2, 3, 4]],  # the library takes it for a box
        [[1, 2, 3, 4, 5]],
        [[1, 2, 3, 4, 5, "6"]],
        [[1, 2, 3, 4, 5, float("nan")]],
        [[1, 2, 3, 4, 5, 1e300]],
        [[1, 2, 3, 4, 5, 10**400]],
        [[[1, 2], [3, 4], [5, 6]]],
        {"size": [8, 10]},
        {"size": [80, 100], "counts": [8000]},
        {"size": [8, 10], "counts": [79]},
        {"size": [8, 10], "counts": [10**30]},
        {"size": [8, 10], "counts": [100, -20]},
        {"size": [8, 10], "counts": [80.0]},
        {"size": [8, 10], "counts": "zzzzzzzzzzzz"},
        {"size": [8, 10], "counts": "11"},
        {"size": [8, 10], "counts": "\u00e9"},
        {"size": [8, 10], "counts": ""},
    ],
)
def test_hostile_segmentations_are_refused_before_the_library_sees_them(segmentation):
    with pytest.raises(BadSegmentationError, match="segmentation: "):
        encode_segmentation(segmentation, 8, 10)


@pytest.mark.parametrize(
    "category, name, text",
    [
        ("person", "person", "a person"),
        ("traffic light", "traffic-light", "a traffic light"),
        ("tree-merged", "tree", "a tree"),
        ("sky-other-merged", "sky-other", "a sky"),
        ("ceiling-merged", "ceiling-other", "a ceiling"),
        ("mirror-stuff", "mirror-stuff", "a mirror"),
    ],
)
def test_categories_of_three_data_sets(category, name, text):
    assert label_of(category) == COCO_STUFF.value(name) and text_of(category) == text
    assert label_of("unicorn") is None


def test_the_smaller_segment_is_seen_and_crowds_have_a_label_only():
    small = Segment(0, "a person", rle=encode_segmentation(SQUARE, 8, 10))
    large = Segment(15, "a cat", rle=encode_segmentation([[0, 0, 8, 0, 8, 8, 0, 8]], 8, 10))
    crowd = Segment(14, "a bird", crowd=True, rle=encode_segmentation([[0, 0, 10, 0, 10, 8, 0, 8]], 8, 10))
    labels, instances = paint([small, crowd, large], 8, 10)
    assert (instances == 1).sum() == 12 and (labels == 0).sum() == 12
    assert (instances == 2).sum() == 64 - 12 and (labels[:, 8:] == 14).all() and (instances[:, 8:] == 0).all()
    stuff = np.full((8, 10), 168, np.uint8)
    labels, again = paint([small, crowd, large], 8, 10, stuff)
    assert (labels == 168).all() and np.array_equal(again, instances)
    assert (paint([], 8, 10)[0] == VOID).all()


def test_pixel_maps_of_bytes(tmp_path):
    values = np.array([[0, 181, 255], [24, 91, 168]], np.uint8)
    grey, coloured = Image.fromarray(values), Image.fromarray(values).convert("P")
    coloured.putdata(values.reshape(-1).tolist())
    for name, image in (("grey", grey), ("coloured", coloured)):
        image.save(tmp_path / f"{name}.png")
        assert np.array_equal(read_stuff_map(tmp_path / f"{name}.png"), values)
    Image.fromarray(values - 1).save(tmp_path / "shifted.png")  # 0 becomes 255, 255 becomes 254
    with pytest.raises(BadSegmentationError, match="value 254 is not a label"):
        read_stuff_map(tmp_path / "shifted.png")
    Image.new("RGB", (3, 2)).save(tmp_path / "rgb.png")
    with pytest.raises(BadSegmentationError, match="its mode is RGB"):
        read_stuff_map(tmp_path / "rgb.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "grey.png").read_bytes()[:40])
    with pytest.raises(BadSegmentationError, match="does not decode"):
        read_stuff_map(tmp_path / "cut.png")


def test_panoptic_ids_are_of_three_bytes(tmp_path):
    pixels = np.array([[[0, 0, 0], [7, 0, 0]], [[1, 2, 0], [3, 2, 1]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    ids = read_panoptic_map(tmp_path / "p.png")
    assert ids.tolist() == [[0, 7], [513, 3 + 512 + 65536]]
    segments = [Segment(0, "a person", panoptic_id=513), Segment(168, "a tree", panoptic_id=7)]
    labels, instances = paint(segments, 2, 2, panoptic=ids)
    assert labels.tolist() == [[VOID, 168], [0, VOID]] and instances.tolist() == [[0, 2], [1, 0]]
    Image.new("L", (2, 2)).save(tmp_path / "l.png")
    with pytest.raises(BadSegmentationError, match="not an RGB image"):
        read_panoptic_map(tmp_path / "l.png")
