"""Instances, label maps, panoptic maps and narratives beside COCO's captions."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from t2igan.cli.main import main
from t2igan.data.prepare import prepare
from t2igan.data.sources import make_source
from t2igan.data.sources.base import Findings
from t2igan.data.sources.coco_segments import LayoutFolders, read_instances, read_panoptic
from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.layout.labels import COCO_STUFF, VOID

SAMPLE = Path(__file__).parents[4] / "shared" / "data" / "coco_sample"
TRAIN, VAL = (9, 25, 30), (42, 73)
WIDTH, HEIGHT = 60, 50
BOX = [[10, 10, 40, 10, 40, 30, 10, 30]]
CATEGORIES = [
    {"id": 1, "name": "person"},
    {"id": 18, "name": "dog"},
    {"id": 67, "name": "dining table"},
]


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def annotation(number, image, category=18, segmentation=BOX, **more):
    return {"id": number, "image_id": image, "category_id": category, "segmentation": segmentation} | more


def instances(images, annotations, categories=CATEGORIES):
    sizes = [{"id": number, "width": WIDTH, "height": HEIGHT} for number in images]
    return {"images": sizes, "annotations": annotations, "categories": categories}


def narrative(image, annotator=1, caption="In this image there is a brown dog."):
    words = caption.split()
    return {
        "image_id": str(image),
        "annotator_id": annotator,
        "caption": caption,
        "timed_caption": [
            {"utterance": word, "start_time": float(n), "end_time": n + 1.0} for n, word in enumerate(words)
        ],
        "traces": [[{"x": 0.3, "y": 0.4, "t": n + 0.5} for n in range(len(words))]],
    }


def write_narratives(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def coco(tmp_path):
    """Three training and two validation images of 2017 with all annotations but of 30 and 73; yours to damage."""
    root = tmp_path / "coco"
    for part, numbers in (("train", TRAIN), ("val", VAL)):
        names = [{"id": number, "file_name": f"{number:012d}.jpg"} for number in numbers]
        texts = [{"id": n, "image_id": n, "caption": f"A thing number{n}."} for n in numbers]
        write_json(root / f"annotations/captions_{part}2017.json", {"images": names, "annotations": texts})
        (root / f"{part}2017").mkdir()
        for number in numbers:
            Image.new("RGB", (WIDTH, HEIGHT), (number, 200, 90)).save(root / f"{part}2017/{number:012d}.jpg")
        known = [number for number in numbers if number not in (30, 73)]
        objects = [annotation(2 * n, n) for n in known]
        objects += [annotation(2 * n + 1, n, 1, [[20, 20, 30, 20, 30, 25, 20, 25]]) for n in known]
        write_json(root / f"annotations/instances_{part}2017.json", instances(numbers, objects))
        stuff = np.full((HEIGHT, WIDTH), COCO_STUFF.value("grass"), np.uint8)
        stuff[:5], stuff[10:30, 10:40] = VOID, COCO_STUFF.value("dog")
        (root / f"stuffthingmaps/{part}2017").mkdir(parents=True)
        for number in known:
            Image.fromarray(stuff).save(root / f"stuffthingmaps/{part}2017/{number:012d}.png")
        name = f"coco_{part}_localized_narratives.jsonl"
        write_narratives(root / "narratives" / name, [narrative(n) for n in (*known, 999)])
    return root


def store_of(root, size=42, narratives=True, **folders):
    source = make_source(
        "coco", root, layouts=LayoutFolders(**folders), narratives=root / "narratives" if narratives else None
    )
    prepare(source, root / "s.h5", size, workers=1, allow_missing=True)
    return open_store(root / "s.h5"), source


# 42 pixels: the short side is 49, so that nothing but the last row and column is lost.


def test_labels_of_the_pixel_maps_and_segments_of_the_instances(coco):
    store, _ = store_of(coco, stuff=coco / "stuffthingmaps", instances=coco / "annotations")
    split = store.split("train")
    assert store.holds == {"captions", "layouts", "segments", "narratives"}
    assert split.holding("layouts").tolist() == split.holding("narratives").tolist() == [True, True, False]
    layout = split.layout(0)
    assert layout.labels.shape == split.shape(0) == (49, 58)
    assert (layout.labels[2] == VOID).all() and layout.labels[40, 3] == COCO_STUFF.value("grass")
    assert set(np.unique(layout.instances)) == {0, 1, 2} and layout.instances[12, 12] == 1
    assert layout.instances[22, 24] == 2 and layout.labels[22, 24] == COCO_STUFF.value("dog")
    assert split.segment_texts(0) == ("a dog", "a person") and split.segment_texts(2) == ()
    assert split.narrative(0).words == ("in", "this", "image", "there", "is", "a", "brown", "dog")
    assert "brown" in store.vocabulary.words


def test_instances_alone_give_labels_where_they_are(coco):
    store, _ = store_of(coco, narratives=False, instances=coco / "annotations")
    layout = store.split("test").layout(0)
    assert store.holds == {"captions", "layouts", "segments"}
    assert layout.labels[22, 24] == COCO_STUFF.value("person") and layout.labels[12, 12] == COCO_STUFF.value("dog")
    assert (layout.labels[layout.instances == 0] == VOID).all()
    with pytest.raises(UserError, match="no layout of 000000000073"):
        store.split("test").layout(1)


def test_pixel_maps_alone_have_no_segment(coco):
    store, _ = store_of(coco, narratives=False, stuff=coco / "stuffthingmaps")
    assert store.holds == {"captions", "layouts"} and not store.split("train").layout(0).instances.any()


def test_narratives_alone(coco):
    store, _ = store_of(coco)
    assert store.holds == {"captions", "narratives"}


def test_several_narratives_of_an_image_and_broken_lines(coco):
    path = coco / "narratives/coco_train_localized_narratives.jsonl"
    lines = [narrative(9, 1), narrative(9, 2, "A dog."), narrative(9, 1), narrative(25), narrative(25, 2, "\u72ac")]
    write_narratives(path, lines)
    path.write_text(path.read_text() + '{"image_id": "9"}\n[NaN]\n')
    write_narratives(coco / "narratives/coco_train_more.jsonl", [narrative(9, 1), narrative(30)])
    store, source = store_of(coco)
    split = store.split("train")
    assert [len(split.narratives_of(image)) for image in range(3)] == [2, 1, 1]
    assert [split.narrative(n).annotator_id for n in split.narratives_of(0)] == ["1", "2"]
    _, problems = source.scan()
    assert problems == [
        f"{path}, line 3: a second narrative of 9_1",
        f"{path}, line 6: caption is missing",
        f"{path}, line 7: not JSON (NaN is not a number in JSON)",
        f"{path}, narrative 4: 25_2 has no word of a-z",
        f"{path.with_name('coco_train_more.jsonl')}, narrative 1: 9_1 is in an earlier file too",
    ]


def test_panoptic_maps(coco):
    categories = [*CATEGORIES, {"id": 193, "name": "grass-merged"}, {"id": 187, "name": "sky-other-merged"}]
    for part, numbers in (("train", TRAIN), ("val", VAL)):
        folder = coco / f"panoptic/panoptic_{part}2017"
        folder.mkdir(parents=True)
        ids = np.full((HEIGHT, WIDTH), 70_000)
        ids[10:30, 10:40], ids[:5] = 300, 0
        pixels = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=2).astype(np.uint8)
        infos = [{"id": 300, "category_id": 18}, {"id": 70_000, "category_id": 193, "area": 5}]
        rows = [{"image_id": n, "file_name": f"{n:012d}.png", "segments_info": infos} for n in numbers]
        write_json(folder.with_suffix(".json"), {"annotations": rows, "categories": categories})
        for number in numbers[:-1]:
            Image.fromarray(pixels).save(folder / f"{number:012d}.png")
    store, source = store_of(coco, narratives=False, panoptic=coco / "panoptic")
    layout = store.split("train").layout(1)
    assert layout.instances[12, 12] == 1 and layout.instances[40, 3] == 2 and layout.instances[2, 2] == 0
    assert layout.labels[40, 3] == COCO_STUFF.value("grass") and layout.labels[2, 2] == VOID
    assert store.split("train").segment_texts(1) == ("a dog", "a grass")
    assert store.split("train").holding("layouts").tolist() == [True, True, False]
    assert "image 30: " in source.scan()[1][0] and source.scan()[1][0].endswith("000000000030.png: no such file")


def test_maps_of_another_size_leave_the_image_out(coco):
    path = coco / "stuffthingmaps/train2017/000000000009.png"
    Image.new("L", (WIDTH, HEIGHT + 1)).save(path)
    source = make_source("coco", coco, layouts=LayoutFolders(stuff=coco / "stuffthingmaps"))
    summary = prepare(source, coco / "s.h5", 42, workers=1, allow_missing=True)
    assert summary.left_out == [f"{path}: 60x51, its image 60x50 pixels"] and summary.images == 4


def test_maps_turn_with_their_image(coco):
    path = coco / "train2017/000000000009.jpg"
    turned = Image.new("RGB", (WIDTH, HEIGHT))
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned.save(path, exif=exif)
    store, _ = store_of(coco, narratives=False, stuff=coco / "stuffthingmaps")
    layout = store.split("train").layout(0)
    assert layout.labels.shape == store.split("train").shape(0) == (58, 49)
    assert (layout.labels[:, -3] == VOID).all() and (layout.labels[:, 3] != VOID).all()


HOSTILE = {
    "another category": (annotation(1, 9, 99), "annotation 1: category 99 is not listed"),
    "another image": (annotation(1, 777), "annotation 1: its image 777 is not listed with a size"),
    "no segmentation": (annotation(1, 9, segmentation=None), "neither polygons nor run lengths"),
    "not a number": (annotation(1, 9, segmentation=[[float("nan")] * 6]), "leaves the image of 60x50"),
    "far away": (annotation(1, 9, segmentation=[[1e9] * 6]), "leaves the image of 60x50"),
    "another size": (annotation(1, 9, segmentation={"size": [1, 1], "counts": [1]}), r"size [1, 1], not [50, 60]"),
    "a long text": (annotation(1, 9, description="word " * 200), "not a text of up to 500 letters"),
    "no text": (annotation(1, 9, description=7), "not a text of up to 500 letters: 7"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_annotations_are_left_out_by_number(coco, what):
    bad, said = HOSTILE[what]
    path = coco / "annotations/instances_train2017.json"
    write_json(path, instances(TRAIN, [bad, annotation(2, 9, description=" a wet  dog ")]))
    findings = Findings()
    layouts = read_instances(path, findings)
    assert [each.text for each in layouts[9].segments] == ["a wet dog"] and not findings.faults
    assert len(findings.problems) == 1 and said in findings.problems[0] and "\n" not in findings.problems[0]


def test_many_bad_annotations_are_counted_and_many_segments_are_cut(coco):
    path = coco / "annotations/instances_train2017.json"
    good = [annotation(n, 9) for n in range(260)] + [annotation(300, 9, 1, [[0, 0, 50, 0, 50, 45, 0, 45]])]
    write_json(path, instances(TRAIN, good + [annotation(n, 9, 99) for n in range(400, 413)]))
    findings = Findings()
    segments = read_instances(path, findings)[9].segments
    assert len(segments) == 255 and segments[-1].text == "a person", "the largest stays"
    assert len(findings.problems) == 12 and findings.problems[10] == f"{path}: 3 more"
    assert findings.problems[11] == f"{path}: image 9 has 261 segments; the 255 largest stay"


def test_crowds_are_no_segment(coco):
    path = coco / "annotations/instances_train2017.json"
    counts = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * WIDTH]}
    write_json(path, instances(TRAIN, [annotation(1, 9, segmentation=counts, iscrowd=1), annotation(2, 9)]))
    layout = read_instances(path, Findings())[9]
    assert layout.texts == ["a dog"] and len(layout.segments) == 2


@pytest.mark.parametrize(
    "content, said",
    [
        ({"annotations": [], "images": []}, "holds no list 'categories'"),
        ([1], "found: a list"),
        (instances(TRAIN, [annotation(1, 9)], [{"id": 18, "name": "unicorn"}]), "not COCO's: unicorn"),
        (instances(TRAIN, [{"id": 1}]), "have no 'image_id'"),
    ],
)
def test_files_that_are_no_instances(coco, content, said):
    write_json(coco / "annotations/instances_train2017.json", content)
    with pytest.raises(UserError, match=said):
        store_of(coco, instances=coco / "annotations")


def test_broken_panoptic_files(coco):
    path = coco / "panoptic_train2017.json"
    rows = [{"image_id": 9, "file_name": "9.png", "segments_info": [{"id": 2**24, "category_id": 18}]}]
    write_json(path, {"annotations": rows, "categories": CATEGORIES})
    path.with_suffix("").mkdir()
    (path.with_suffix("") / "9.png").touch()
    findings = Findings()
    assert read_panoptic(path, findings) == {}
    assert "segment 16777216 is not an id" in findings.problems[0]
    write_json(path, {"annotations": [rows[0] | {"segments_info": [7]}], "categories": CATEGORIES})
    findings = Findings()
    assert read_panoptic(path, findings) == {} and "'segments_info' have no 'id'" in findings.faults[0]


def test_folders_that_hold_nothing_of_it(coco, tmp_path):
    (tmp_path / "empty").mkdir()
    for folders, said in (
        ({"stuff": tmp_path / "empty"}, "no PNG file here"),
        ({"instances": tmp_path / "empty"}, "holds no instances_train2017.json"),
        ({"panoptic": tmp_path / "empty"}, "holds no panoptic_train2017.json"),
    ):
        with pytest.raises(UserError, match=said):
            store_of(coco, **folders)
    with pytest.raises(UserError, match="not both"):
        LayoutFolders(instances="a", panoptic="b")
    for path in (coco / "narratives").glob("*"):
        path.unlink()
    with pytest.raises(UserError, match=r"holds no .jsonl file"):
        store_of(coco)
    write_narratives(coco / "narratives/other.jsonl", [narrative(5000)])
    with pytest.raises(UserError, match="1 narratives, none of them of an image of this data set"):
        store_of(coco)


def test_the_command_takes_the_folders(coco, capsys):
    argv = ["--root", str(coco), "--image_size", "42", "--stuff", str(coco / "stuffthingmaps")]
    argv += ["--instances", str(coco / "annotations"), "--narratives", str(coco / "narratives"), "--workers", "1"]
    with pytest.raises(SystemExit) as stop:
        raise SystemExit(main(["prepare", "coco", *argv]))
    output = " ".join(capsys.readouterr().out.split())
    assert not stop.value.code, output
    assert "train: 2 of 3 images with a layout, 2.0 segments each (2 to 2), 2 classes (grass" in output
    assert "test: 1 narratives of 1 of 2 images by 1 annotators, 8.0 words each (8 to 8), 100% timed" in output
    assert open_store(coco / "coco-42.h5").holds == {"captions", "layouts", "segments", "narratives"}


@pytest.mark.skipif(not (SAMPLE / "annotations").is_dir(), reason="the real COCO sample is not here")
def test_the_real_sample(tmp_path):
    source = make_source("coco", SAMPLE, layouts=LayoutFolders(instances=SAMPLE / "annotations"))
    prepare(source, tmp_path / "s.h5", 64, workers=1, allow_missing=True)
    store = open_store(tmp_path / "s.h5")
    held = {name: int(store.split(name).holding("layouts").sum()) for name in ("train", "test")}
    assert held["test"] == 186 and 70 <= held["train"] <= 80
    content = json.loads((SAMPLE / "annotations/instances_val2017.json").read_text())
    split, names = store.split("test"), {each["id"]: each["name"] for each in content["categories"]}
    for image in np.flatnonzero(split.holding("layouts"))[:40].tolist():
        own = [each for each in content["annotations"] if each["image_id"] == int(split.key(image))]
        single = [each for each in own if not each["iscrowd"]]
        assert split.segment_texts(image) == tuple(f"a {names[each['category_id']]}" for each in single)
        layout, (height, width) = split.layout(image), split.shape(image)
        size = next(each for each in content["images"] if each["id"] == int(split.key(image)))
        largest = max(range(len(single)), key=lambda k: single[k]["area"], default=None)
        if largest is None or single[largest]["area"] < 0.02 * size["width"] * size["height"]:
            continue
        # What is left of the largest object beneath the smaller ones lies within its box.
        x, y, w, h = single[largest]["bbox"]
        rows, columns = np.nonzero(layout.instances == largest + 1)
        assert len(rows) and rows.min() >= y / size["height"] * height - 1
        assert rows.max() <= (y + h) / size["height"] * height + 1
        assert columns.min() >= x / size["width"] * width - 1
        assert columns.max() <= (x + w) / size["width"] * width + 1
