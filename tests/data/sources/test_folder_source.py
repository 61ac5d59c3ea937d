import json

import pytest
from PIL import Image

from t2igan.data.prepare import prepare
from t2igan.data.sources import make_source
from t2igan.data.store import open_store
from t2igan.errors import UserError

NAMES = ("a.jpg", "b.PNG", "deep/c.webp", "deep/d.jpeg", "deep/er/e.bmp")


@pytest.fixture
def folder(tmp_path):
    """Five images at several depths, and files that are none; yours to damage."""
    folder = tmp_path / "images"
    for number, name in enumerate(NAMES):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (50, 40), (40 * number, 90, 90)).save(path)
    (folder / "notes.txt").write_text("not an image")
    (folder / "._a.jpg").write_bytes(b"left by a copy")
    return folder


def table(folder, text, name="captions.csv"):
    path = folder.parent / name
    path.write_text(text)
    return path


def rows(names=NAMES, more="", columns=""):
    lines = [f"{name},a photo of {name[0]}{more}" for name in names]
    return f"image,caption{columns}\n" + "\n".join(lines) + "\n"


def scan(folder, text=None, **options):
    return make_source("folder", folder, captions=table(folder, rows() if text is None else text), **options).scan()


def faults(folder, text=None, **options):
    """The lines of the error."""
    with pytest.raises(UserError) as error:
        scan(folder, text, **options)
    lines = str(error.value).splitlines()
    return [line.strip() for line in lines[1:]] if len(lines) > 1 else lines


def test_several_rows_of_an_image_are_its_captions_in_order(folder):
    text = rows() + "a,another\r\ndeep\\c.webp,a third one\n./a.jpg,the last\n"
    images, problems = scan(folder, text)
    assert problems == []
    by_key = {image.key: image for image in images}
    assert sorted(by_key) == ["a", "b", "deep/c", "deep/d", "deep/er/e"]
    assert by_key["a"].captions == ["a photo of a", "another", "the last"]
    assert by_key["deep/c"].captions == ["a photo of d", "a third one"]
    assert all(image.path == folder / name for image, name in zip(sorted(images, key=lambda i: i.key), NAMES))
    few, _ = scan(folder, text, captions_per_image=2)
    assert {image.key: len(image.captions) for image in few}["a"] == 2


def test_json_lines_give_the_same(folder):
    lines = [{"image": name, "captions": [f"a photo of {name[0]}", "two"]} for name in NAMES]
    path = table(folder, "\n".join(map(json.dumps, lines)), "captions.jsonl")
    from_json = make_source("folder", folder, captions=path).scan()
    text = rows() + "".join(f"{name},two\n" for name in NAMES)
    assert from_json == scan(folder, text)
    assert all(len(image.captions) == 2 for image in from_json[0])


def many(tmp_path, count):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (8, 8)).save(folder / f"{number:03}.png")
    return folder, "image,caption\n" + "".join(f"{number:03},word\n" for number in range(count))


def drawn(images):
    return {image.key for image in images if image.split == "test"}


def test_without_a_split_one_image_in_ten_is_drawn_by_name_and_seed(tmp_path):
    folder, text = many(tmp_path, 40)
    source = make_source("folder", folder, captions=table(folder, text))
    images, _ = source.scan()
    assert len(drawn(images)) == 4 and source.split_scheme == "random-by-image-0.1-seed-0"
    assert [image.split for image in images] == ["train"] * 36 + ["test"] * 4
    shuffled = "image,caption\n" + "\n".join(sorted(text.split("\n")[1:], reverse=True))
    assert drawn(scan(folder, shuffled)[0]) == drawn(images), "the order of the table does not matter"
    assert drawn(scan(folder, text, seed=1)[0]) != drawn(images)
    assert len(drawn(scan(folder, text, split="0.25")[0])) == 10
    two = "image,caption\n000,x\n001,y\n"
    for name in sorted(folder.iterdir())[2:]:
        name.unlink()
    assert [image.split for image in scan(folder, two)[0]] == ["train", "test"]


def test_split_and_class_may_be_columns(folder):
    text = "image,caption,class,split,fold\n" + "".join(
        f"{name},x,{kind},{split},{fold}\n"
        for name, kind, split, fold in zip(
            NAMES, "zyyxz", ("train", "test", "train", "train", "test"), ("test", *["train"] * 4)
        )
    )
    source = make_source("folder", folder, captions=table(folder, text))
    images, _ = source.scan()
    assert drawn(images) == {"b", "deep/er/e"} and source.split_scheme == "given"
    assert {image.key: source.class_names[image.class_id] for image in images} == {
        "a": "z",
        "b": "y",
        "deep/c": "y",
        "deep/d": "x",
        "deep/er/e": "z",
    }
    assert drawn(scan(folder, text, split="fold")[0]) == {"a"}
    by_fold = make_source("folder", folder, captions=table(folder, text), classes="Fold")
    by_fold.scan()
    assert by_fold.class_names == {0: "test", 1: "train"}


def test_split_and_class_may_be_other_tables(folder):
    kinds = table(folder, "image,class\n" + "".join(f"{name},k{len(name)}\n" for name in NAMES), "kinds.csv")
    parts = table(
        folder,
        "\n".join(json.dumps({"image": name, "split": "test" if name == "a.jpg" else "train"}) for name in NAMES),
        "parts.jsonl",
    )
    source = make_source("folder", folder, captions=table(folder, rows()), classes=kinds, split=str(parts))
    images, problems = source.scan()
    assert problems == [] and drawn(images) == {"a"}
    assert set(source.class_names.values()) == {"k5", "k11", "k13"}


def test_without_classes_every_image_is_its_own(folder):
    source = make_source("folder", folder, captions=table(folder, rows()))
    images, _ = source.scan()
    assert {image.key: source.class_names[image.class_id] for image in images} == {i.key: i.key for i in images}


def test_an_empty_or_missing_folder_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("x")
    path = table(tmp_path / "empty", rows())
    with pytest.raises(UserError, match=r"empty: holds no image \(\.jpg.*at any depth"):
        make_source("folder", tmp_path / "empty", captions=path).scan()
    with pytest.raises(UserError, match="none: no such folder"):
        make_source("folder", tmp_path / "none", captions=path).scan()


def test_what_can_be_left_out_is_listed_all_at_once(folder):
    (folder / "b.PNG").write_bytes(b"")
    text = rows(NAMES[:4]) + 'gone.jpg,x\ngone.jpg,y\na.jpg," ,.!"\na.jpg,красная птица\n'
    images, problems = scan(folder, text)
    assert sorted(image.key for image in images) == ["a", "deep/c", "deep/d"]
    captions = folder.parent / "captions.csv"
    assert problems[:4] == [
        f"{captions}, lines 6, 7: no image 'gone.jpg' in {folder}",
        f"{captions}, line 8: no word of a-z or 0-9 in caption ',.!'",
        f"{captions}, line 9: no word of a-z or 0-9 in caption 'красная птица'",
        f"{folder}: 1 image without a caption in {captions}: deep/er/e.bmp",
    ]
    assert problems[4].startswith(f"{folder}/b.PNG: does not decode") and len(problems) == 5


def test_many_images_without_captions_are_one_line(folder):
    for number in range(30):
        Image.new("RGB", (9, 9)).save(folder / f"x{number:02}.png")
    images, [problem] = scan(folder)
    assert len(images) == 5
    assert problem.endswith(": x00.png, x01.png, x02.png, x03.png, x04.png and 25 more")


def test_names_that_fit_nothing_are_shown_beside_what_is_there(folder):
    [line] = faults(folder, "image,caption\nx/1.jpg,a\nx/2.jpg,b\n")
    assert line.endswith(f"none of its images is in {folder}; it names 'x/1.jpg', there is 'a.jpg'")


def test_names_that_differ_in_extension_only_are_a_fault(folder):
    Image.new("RGB", (9, 9)).save(folder / "a.png")
    [line] = faults(folder, rows() + "a.png,other\n")
    assert line == f"{folder}/a.jpg and {folder}/a.png: differ only in the extension; rename one"
    assert scan(folder)[1] == [f"{folder}: 1 image without a caption in {folder.parent}/captions.csv: a.png"]
    _, problems = scan(folder, rows(NAMES[1:]) + "a,which one\n")
    assert "no image 'a' in" in problems[0]


def test_contradictions_are_faults_and_said_with_everything_else(folder):
    text = (
        "image,caption,class,split\n"
        "a.jpg,x,red,train\na.jpg,y,blue,train\nb,x,red,test\nb,x,red,train\n"
        "deep/c,x,red,val\ndeep/d,x,,test\ndeep/er/e,x,red,\nother,x,red,train\n"
    )
    lines = faults(folder, text)
    captions = folder.parent / "captions.csv"
    assert lines == [
        f"{captions}, lines 2, 3: a has class red and blue",
        f"{captions}: no class for deep/d",
        f"{captions}, lines 4, 5: b has split test and train",
        f"{captions}, line 6: split 'val' is not train or test",
        f"{captions}: no split for deep/er/e",
        f"{captions}, line 9: no image 'other' in {folder}",
    ]


def test_a_split_without_an_image_is_a_fault(folder):
    text = rows(more=",train", columns=",split")
    (said,) = faults(folder, text)
    assert said.startswith(
        f"{folder.parent / 'captions.csv'}: no usable test image: mark at least one as test, or give"
    )


def test_faults_of_other_tables_and_columns_are_said_together(folder):
    bad = table(folder, "name,class\na,b\n", "classes.csv")
    lines = faults(folder, classes=bad, split="fold")
    assert "classes.csv: no column image in its first line, which has name, class" in lines[0]
    assert lines[1].endswith("captions.csv: no column 'fold'; it has caption, image")
    assert "none.csv: no such file" in faults(folder, split="none.csv")[0]


@pytest.mark.parametrize("share", ["0", "1", "1.5", "-0.1"])
def test_a_share_is_between_0_and_1(folder, share):
    with pytest.raises(UserError, match=f"--split {share}: the share"):
        make_source("folder", folder, captions="captions.csv", split=share)


def test_the_store_holds_what_the_table_says(folder, tmp_path):
    text = "image,caption,split\n" + "".join(
        f"{name},a photo of word{number},{'test' if number > 3 else 'train'}\n" for number, name in enumerate(NAMES)
    )
    source = make_source("folder", folder, captions=table(folder, text))
    prepare(source, tmp_path / "s.h5", 16, workers=1)
    store = open_store(tmp_path / "s.h5")
    assert store.name == "folder" and store.split_scheme == "given"
    train, test = store.split("train"), store.split("test")
    assert train.keys == ["a", "b", "deep/c", "deep/d"] and test.keys == ["deep/er/e"]
    assert abs(int(train.image(1)[0].mean()) - 40) < 3 and test.caption_text(0) == "a photo of word4"
    assert store.vocabulary.words[-1] == "word4", "the vocabulary covers both splits"
