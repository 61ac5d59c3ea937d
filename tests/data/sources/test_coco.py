import json

import numpy as np
import pytest
from coco_files import SAMPLE, TRAIN, VAL, caption_file, captions_of, wordless, write_json
from PIL import Image

from t2igan.data.prepare import prepare
from t2igan.data.sources import make_source
from t2igan.data.store import open_store
from t2igan.errors import UserError


def annotations(root, part="train", year=2017):
    path = root / "annotations" / f"captions_{part}{year}.json"
    return path, json.loads(path.read_text())


def test_the_official_json_gives_both_splits_and_index_classes(coco):
    source = make_source("coco", coco)
    images, problems = source.scan()
    assert [(image.split, image.key) for image in images] == [
        *(("train", f"{number:012d}") for number in TRAIN),
        *(("test", f"{number:012d}") for number in VAL),
    ]
    assert [image.class_id for image in images] == [0, 1, 2, 3, 0, 1, 2]
    assert all(image.path.is_file() and image.box is None for image in images)
    assert source.split_scheme == "official-2017" and not source.crop_by_box
    assert problems == wordless(problems) and len(problems) == 7


def test_the_first_five_captions_by_annotation_id_are_kept_wordless_ones_do_not_count(coco):
    images, problems = make_source("coco", coco).scan()
    for image in images:
        number = int(image.key)
        assert image.captions == [f"A thing number{number} on row{row}." for row in (1, 3, 2, 4, 0)]
    assert f"caption {10_000 - 7 * 9 + 2} of 000000000009.jpg has no word: '...'" in problems[0]
    few, _ = make_source("coco", coco, captions_per_image=2).scan()
    assert [len(image.captions) for image in few] == [2] * 7


def test_missing_images_are_listed_each_and_captions_of_unknown_images_too(coco):
    (coco / "train2017" / f"{25:012d}.jpg").unlink()
    (coco / "val2017" / f"{74:012d}.jpg").unlink()
    path, content = annotations(coco)
    content["annotations"] += [{"image_id": n, "id": 90_000 + n, "caption": "a dog"} for n in (7, 7777)]
    content["annotations"] = [each for each in content["annotations"] if each["image_id"] != 34]
    write_json(path, content)
    images, problems = make_source("coco", coco).scan()
    assert [int(image.key) for image in images] == [9, 30, 42, 73]
    assert [image.class_id for image in images] == [0, 2, 0, 1], "the place in the list, not among what is there"
    others = [problem for problem in problems if problem not in wordless(problems)]
    assert others == [
        f"{path}: 2 captions of 2 images that it does not list: 7, 7777",
        f"{path}: no caption with a word for {34:012d}.jpg",
        f"{coco}/train2017/{25:012d}.jpg: image missing",
        f"{coco}/val2017/{74:012d}.jpg: image missing",
    ]


def test_duplicates_are_faults_and_all_of_them_are_said(coco):
    path, content = annotations(coco)
    content["images"].append({"id": 9, "file_name": "other.jpg"})
    content["images"].append({"id": 10, "file_name": f"{25:012d}.jpg"})
    content["annotations"][1]["id"] = content["annotations"][0]["id"]
    write_json(path, content)
    with pytest.raises(UserError) as error:
        make_source("coco", coco).scan()
    for words in (
        "'images' has the same 'id' more than once: 9",
        "'images' has the same 'file_name' more than once: 000000000025.jpg",
        "'annotations' has the same 'id' more than once: 9942",
    ):
        assert f"  {path}: {words}" in str(error.value)


def test_an_image_of_both_splits_is_a_fault(coco):
    write_json(coco / "annotations" / "captions_val2017.json", caption_file((*VAL, 30)))
    with pytest.raises(UserError, match="1 images are in train and in test: 30"):
        make_source("coco", coco).scan()


def karpathy_file(splits):
    images = []
    for number, split in splits.items():
        sentences = [{"sentid": index, "raw": text, "tokens": []} for index, text in captions_of(number)]
        name = f"COCO_val2014_{number:012d}.jpg"
        images.append(
            {
                "cocoid": number,
                "filename": name,
                "filepath": "val2014",
                "split": split,
                "sentences": sentences,
            }
        )
    return {"dataset": "coco", "images": images}


def test_karpathys_split_adds_restval_to_train_and_leaves_val(coco, tmp_path):
    splits = {9: "train", 25: "restval", 42: "test", 73: "val", 74: "test"}
    write_json(tmp_path / "mine.json", karpathy_file(splits))
    source = make_source("coco", coco, "karpathy", karpathy=tmp_path / "mine.json")
    images, _ = source.scan()
    assert [(image.split, int(image.key[-3:])) for image in images] == [
        ("train", 9),
        ("train", 25),
        ("test", 42),
        ("test", 74),
    ]
    assert images[0].captions[0] == "A thing number9 on row1." and source.split_scheme == "karpathy"
    (tmp_path / "mine.json").rename(coco / "annotations" / "dataset_coco.json")
    assert make_source("coco", coco, "karpathy").scan()[0] == images, "its usual name needs no option"


def test_a_wrong_karpathy_file_is_one_line(coco, tmp_path):
    with pytest.raises(UserError, match=r"dataset_coco\.json: no such file; name .* with --karpathy"):
        make_source("coco", coco, "karpathy")
    path, _ = annotations(coco)
    with pytest.raises(UserError, match=r"entries of 'images' have no 'cocoid'.*dataset_coco\.json of Karpathy"):
        make_source("coco", coco, "karpathy", karpathy=path).scan()
    write_json(tmp_path / "k.json", karpathy_file({9: "train", 42: "dev"}))
    with pytest.raises(UserError, match="has splits dev; it knows train, restval, val, test"):
        make_source("coco", coco, "karpathy", karpathy=tmp_path / "k.json").scan()


def instances(objects):
    categories = [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}]
    rows = [{"image_id": image, "category_id": category, "area": area} for image, category, area in objects]
    return {"categories": categories, "annotations": rows}


def test_classes_may_be_the_category_of_the_largest_object(coco):
    write_json(coco / "annotations" / "instances_train2017.json", instances([(9, 3, 5), (9, 18, 6.5), (25, 3, 1)]))
    with pytest.raises(UserError, match=r"instances_val2017\.json: no such file"):
        make_source("coco", coco, classes="largest-object").scan()
    write_json(coco / "annotations" / "instances_val2017.json", instances([(42, 18, 100), (42, 3, 99)]))
    source = make_source("coco", coco, classes="largest-object")
    images, _ = source.scan()
    names = {int(image.key): source.class_names[image.class_id] for image in images}
    nothing = "(no object)"
    assert names == {9: "dog", 25: "car", 30: nothing, 34: nothing, 42: "dog", 73: nothing, 74: nothing}
    write_json(coco / "annotations" / "instances_val2017.json", instances([(42, 77, 100)]))
    with pytest.raises(UserError, match="objects of categories that it does not list: 77"):
        make_source("coco", coco, classes="largest-object").scan()


def test_unknown_options_are_refused(coco):
    with pytest.raises(UserError, match="choose one of official, karpathy"):
        make_source("coco", coco, "zero-shot")
    with pytest.raises(UserError, match="choose one of index, largest-object"):
        make_source("coco", coco, classes="supercategory")


def test_grey_cmyk_and_rotated_images_reach_the_store_as_upright_colour(coco, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    rotated = np.zeros((40, 80, 3), np.uint8)
    rotated[:, :40] = (250, 10, 10)  # left half of the file: the upper half once it stands upright
    folder = coco / "train2017"
    Image.new("L", (60, 50), 77).save(folder / f"{9:012d}.jpg")
    Image.new("CMYK", (60, 50), (0, 255, 255, 0)).save(folder / f"{25:012d}.jpg")
    Image.fromarray(rotated).save(folder / f"{30:012d}.jpg", quality=95, exif=exif)
    (folder / f"{34:012d}.jpg").write_bytes(b"\xff\xd8 not a image")
    summary = prepare(make_source("coco", coco), tmp_path / "s.h5", 32, workers=1, allow_missing=True)
    assert summary.images == 6 and any("34.jpg: does not decode" in line for line in summary.left_out)
    split = open_store(tmp_path / "s.h5").split("train")
    grey, red, upright = (split.image(index).astype(int) for index in range(3))
    assert abs(grey - 77).max() <= 3
    assert red[0].min() > 245 and red[1:].max() < 10
    assert upright.shape == (3, 76, 38)
    assert upright[0, :30].min() > 200 and upright[0, -30:].max() < 40


def test_the_real_sample_is_read_whole(tmp_path):
    if not (SAMPLE / "annotations" / "captions_train2017.json").is_file():
        pytest.skip("the real COCO sample (../shared/data/coco_sample beside the repository) is not here")
    source = make_source("coco", SAMPLE, classes="largest-object")
    images, problems = source.scan()
    assert problems == [] and source.split_scheme == "official-2017"
    by_split = {split: [image for image in images if image.split == split] for split in ("train", "test")}
    assert {split: len(of_split) for split, of_split in by_split.items()} == {"train": 80, "test": 213}
    assert all(len(image.captions) == 5 for image in images)
    assert by_split["test"][0].key == "000000000139"
    assert by_split["test"][0].captions[0] == "A woman stands in the dining area at the table."
    assert source.class_names[by_split["test"][0].class_id] in ("dining table", "tv", "couch", "chair", "person")


def test_names_without_an_extension_stay_names(coco, tmp_path):
    write_json(*_renamed(coco, {number: f"{number:012d}" for number in TRAIN}))
    images, _ = make_source("coco", coco).scan()
    assert [image.key for image in images[: len(TRAIN)]] == [f"{number:012d}" for number in TRAIN]
    assert len({image.path for image in images}) == len(images)
    prepare(make_source("coco", coco), tmp_path / "s.h5", 32, workers=1, allow_missing=True)
    split = open_store(tmp_path / "s.h5").split("train")
    assert [int(split.image(place)[0].mean() + 0.5) for place in range(len(split))] == pytest.approx(TRAIN, abs=2)


@pytest.mark.parametrize("name", ["", ".", "..", "a/../b"])
def test_names_that_name_nothing_stop_prepare(coco, tmp_path, name):
    write_json(*_renamed(coco, {TRAIN[1]: name}))
    with pytest.raises(UserError, match="have no name that a store can keep"):
        prepare(make_source("coco", coco), tmp_path / "s.h5", 32, workers=1)


def _renamed(root, names):
    path, content = annotations(root)
    for image in content["images"]:
        image["file_name"] = names.get(image["id"], image["file_name"])
    return path, content
