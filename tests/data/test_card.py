import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from t2igan.data.annotation_card import spread_evenly
from t2igan.data.card import as_markdown, card_folder, describe, summary_lines, write_card
from t2igan.data.prepare import prepare
from t2igan.data.rendering import crop_window
from t2igan.data.sources import FolderSource, make_source
from t2igan.data.store import open_store
from t2igan.layout.labels import COCO_STUFF

CAPTIONS = {
    "train": {"a": ["one two three", "one two"], "b": ["three " * 20], "c": ["two"]},
    "test": {"d": ["one kingfisher and a café", "two two", "one"]},
}
SIDES = {"a": (100, 60), "b": (20, 50), "c": (64, 64), "d": (30, 19)}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Three training images and one test image at 16 pixels (short side 19)."""
    root = tmp_path_factory.mktemp("card")
    (root / "images").mkdir()
    lines = ["image,caption,class,split"]
    for split, images in CAPTIONS.items():
        for key, captions in images.items():
            Image.new("RGB", SIDES[key]).save(root / "images" / f"{key}.png")
            lines += [f"{key},{caption},{'x' if key in 'ab' else key},{split}" for caption in captions]
    (root / "captions.csv").write_text("\n".join(lines))
    prepare(FolderSource(root / "images", root / "captions.csv"), root / "birds-16.h5", 16, workers=1)
    return open_store(root / "birds-16.h5")


def raw(store):
    folder = store.path.parent
    return FolderSource(folder / "images", folder / "captions.csv").scan()[0]


def test_the_counts_are_those_of_the_store(store):
    card = describe(store, raw(store), ["one line"])
    train, test = card.splits["train"], card.splits["test"]
    assert (train.images, train.captions, train.classes, train.words) == (3, 4, 2, 3)
    assert (test.images, test.captions, test.classes, test.words) == (1, 3, 1, 6)
    assert train.captions_per_image == (1, 4 / 3, 2) and test.captions_per_image == (3, 3.0, 3)
    assert train.words_per_caption == (1, 26 / 4, 20)
    assert train.lengths == [1, 1, 1, *[0] * 16, 1] and test.lengths == [1, 1, 0, 0, 1]
    assert train.longer == {12: 0.25, 18: 0.25, 25: 0.0}
    assert card.only_in_test == ["kingfisher", "and", "a", "caf"] and card.vocabulary == 7
    assert card.reduced == 1, "the accent is dropped"
    assert card.left_out == ["one line"] and card.fingerprint == store.fingerprint


def test_raw_sizes_tell_what_was_enlarged(store):
    sizes = describe(store, raw(store)).raw_sizes
    assert (sizes.looked_at, sizes.least, sizes.median, sizes.most) == (4, 19, 40, 64)
    assert sizes.enlarged == 0.0, "a short side of exactly 19 is not enlarged"
    Image.new("RGB", (18, 90)).save(store.path.parent / "small.png")
    small = replace(raw(store)[0], path=store.path.parent / "small.png")
    assert describe(store, [small, *raw(store)]).raw_sizes.enlarged == 0.2
    assert describe(store).raw_sizes is None


def test_raw_sizes_are_those_of_what_is_cut_out(tiny_store):
    images, _ = make_source("cub", tiny_store.parent / "raw").scan()
    sizes = describe(open_store(tiny_store), images).raw_sizes
    windows = [crop_window(image.box, *Image.open(image.path).size) for image in images]
    sides = sorted(min(right - left, bottom - top) for left, top, right, bottom in windows)
    assert (sizes.least, sizes.median, sizes.most) == (sides[0], sides[12], sides[-1])
    assert sides[-1] < min(min(Image.open(image.path).size) for image in images)


def test_the_short_form_says_what_matters(store):
    lines = summary_lines(describe(store, raw(store)))
    assert lines == [
        "train: 1 to 2 captions an image, 6.5 words a caption (1 to 20, 25.0% over 12, 25.0% over 18)",
        "test: 3 captions an image, 2.7 words a caption (1 to 5)",
        "4 of 7 words are in test captions only: kingfisher, and, a, caf",
        "1 captions have letters that the tokeniser drops (it keeps a-z and 0-9)",
        "raw images: short side 19 to 64, median 40 pixels, 0.0% of them below 19 and enlarged (4 looked at)",
    ]


def test_the_histogram_has_a_bar_for_every_length(store):
    page = as_markdown(describe(store))
    chart = page.split("## Words a caption, train")[1].split("```")[1].strip("\n").splitlines()
    assert len(chart) == 20 and [int(line.split()[-1]) for line in chart] == [1, 1, 1, *[0] * 16, 1]
    assert chart[0].count("#") == 40 and chart[5].count("#") == 0


def test_very_long_captions_share_a_bar(store, monkeypatch):
    monkeypatch.setattr("t2igan.data.card._MOST_BARS", 2)
    page = as_markdown(describe(store))
    chart = page.split("## Words a caption, train")[1].split("```")[1].strip("\n").splitlines()
    assert [line.split() for line in chart] == [
        ["1", "#" * 20, "1"],
        ["2", "#" * 20, "1"],
        ["over", "2", "#" * 40, "2"],
    ]


def test_the_files_of_a_card(store, tmp_path):
    folder = tmp_path / card_folder(store.path).name
    assert folder.name == "birds-16.card"
    sheet = Image.new("RGB", (30, 20), (9, 9, 9))
    write_card(describe(store, raw(store), ["gone.png: image missing"]), folder, sheet)
    assert sorted(path.name for path in folder.iterdir()) == [
        "card.json",
        "card.md",
        "contact-sheet.png",
        "left-out.txt",
    ]
    content = json.loads((folder / "card.json").read_text())
    assert content["splits"]["test"]["captions"] == 3 and content["raw_sizes"]["median"] == 40
    page = (folder / "card.md").read_text()
    for part in ("# birds-16.h5", "| train | 3 | 4 | 2 | 3 |", "(contact-sheet.png)", "1 lines in [left-out.txt]"):
        assert part in page
    assert (folder / "left-out.txt").read_text() == "gone.png: image missing\n"
    write_card(describe(store), folder, sheet)
    assert not (folder / "left-out.txt").exists(), "an older card's list does not stay"
    assert "Left out" not in (folder / "card.md").read_text()


@pytest.mark.parametrize(
    ("images", "count", "chosen"), [(3, 5, [0, 1, 2]), (101, 3, [0, 50, 100]), (0, 4, []), (5, 1, [0])]
)
def test_spread_evenly(images, count, chosen):
    assert spread_evenly(images, count) == chosen


def test_layouts_and_narratives_are_counted(scenes_store, store):
    card = describe(open_store(scenes_store))
    split, train = open_store(scenes_store).split("train"), card.splits["train"]
    labels = np.concatenate([split.layout(image).labels.ravel() for image in range(len(split))])
    assert train.layouts.images == train.layouts.looked_at == len(split) and train.layouts.void == 0.0
    assert train.layouts.segments == sum(len(split.segment_texts(image)) for image in range(len(split)))
    assert sum(train.layouts.classes.values()) == pytest.approx(1)
    values, counts = np.unique(labels, return_counts=True)
    assert next(iter(train.layouts.classes)) == COCO_STUFF.names[values[counts.argmax()]]
    assert len(train.layouts.classes) == len(values)
    words = [len(split.narrative(n).words) for n in range(train.narratives.narratives)]
    assert train.narratives.words == (min(words), np.mean(words), max(words))
    assert train.narratives.timed == train.narratives.traced == 1.0 and train.narratives.points[0] > 10
    lines = "\n".join(summary_lines(card))
    assert "segments each" in lines and "0.0% of the pixels void" in lines and "100% timed" in lines
    bare = describe(store).splits["train"]
    assert bare.layouts is None and bare.narratives is None
