import pytest
from coco_files import TRAIN, VAL, caption_file, wordless, write_images, write_json

from t2igan.data.sources import make_source
from t2igan.errors import UserError


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("{part}2017", "{:012d}.jpg"),
        ("images/{part}2017", "{:012d}.jpg"),
        ("images", "{:012d}.jpg"),
        ("train2014", "COCO_train2014_{:012d}.jpg"),
        ("images/val2014", "COCO_val2014_{:012d}.jpg"),
    ],
)
def test_images_are_found_in_every_layout_and_under_the_names_of_both_years(tmp_path, folder, name):
    for part, numbers in (("train", TRAIN), ("val", VAL)):
        write_json(tmp_path / f"captions_{part}2017.json", caption_file(numbers))
        write_images(tmp_path / folder.format(part=part), numbers, name)
    images, problems = make_source("coco", tmp_path).scan()
    assert [image.path.name for image in images] == [name.format(number) for number in TRAIN + VAL]
    assert problems == wordless(problems)
    assert images[0].key == "000000000009", "keys are those of the list, not of the files"


def test_with_both_years_the_user_chooses(coco):
    names = {number: f"COCO_val2014_{number:012d}.jpg" for number in VAL}
    write_json(coco / "annotations" / "captions_val2014.json", caption_file(VAL, names))
    with pytest.raises(UserError, match="2014 and 2017; choose with --year"):
        make_source("coco", coco)
    assert make_source("coco", coco, year=2017).split_scheme == "official-2017"
    with pytest.raises(UserError, match=r"captions_train2014\.json: no such file"):
        make_source("coco", coco, year=2014).scan()
    names = {number: f"COCO_train2014_{number:012d}.jpg" for number in TRAIN}
    write_json(coco / "annotations" / "captions_train2014.json", caption_file(TRAIN, names))
    images, _ = make_source("coco", coco, year=2014).scan()
    assert [image.key for image in images][::6] == ["COCO_train2014_000000000009", "COCO_val2014_000000000074"]


def test_a_folder_without_coco_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no COCO here.*captions_train2017\.json.*filenames\.pickle; unpack"):
        make_source("coco", tmp_path)


def test_folders_in_another_place_are_one_line_a_split(coco):
    for part in ("train", "val"):
        (coco / f"{part}2017").rename(coco / f"elsewhere-{part}")
    with pytest.raises(UserError) as error:
        make_source("coco", coco).scan()
    lines = str(error.value).splitlines()
    assert "none of the 4 train images is here (looked for 000000000009.jpg in train2017/" in lines[1]
    assert "none of the 3 test images" in lines[2] and "unpack val2017.zip" in lines[2]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{'images': []}", "not JSON (line 1"),
        ("[1, 2]", "holds no list 'images' (found: a list)"),
        ("{}", "holds no list 'images' (found: nothing)"),
        ('{"a": 1, "b": 2}', "found: a, b); it should be captions_*.json"),
        ('{"images": [], "annotations": []}', "holds no list 'images'"),
        ('{"images": [{"id": 9, "file_name": "a.jpg"}]}', "holds no list 'annotations'"),
        (
            '{"images": [{"id": 9, "file_name": "a.jpg"}], "annotations": [{"id": 1, "image_id": 9, "bbox": []}]}',
            "1 of 1 entries of 'annotations' have no 'caption' (entry 1); it should be captions_*.json",
        ),
        (
            '{"images": [{"id": "9", "file_name": "a.jpg"}, 5], "annotations": [7]}',
            "2 of 2 entries of 'images' have no 'id' (entry 1, 2)",
        ),
    ],
)
def test_a_json_that_is_not_coco_is_named_for_both_splits_at_once(coco, content, words):
    for part in ("train", "val"):
        (coco / "annotations" / f"captions_{part}2017.json").write_text(content)
    with pytest.raises(UserError) as error:
        make_source("coco", coco).scan()
    for part in ("train", "val"):
        assert any(
            f"captions_{part}2017.json: " in line and words in line for line in str(error.value).splitlines()
        ), str(error.value)
