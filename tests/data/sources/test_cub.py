import pickle
import shutil

import pytest

from t2igan.data.sources import make_source
from t2igan.data.vocabulary import Vocabulary
from t2igan.errors import UserError


def keys_of(root, split):
    return pickle.loads((root / split / "filenames.pickle").read_bytes())


def test_zero_shot_follows_the_pickles(tiny_cub):
    images, problems = make_source("cub", tiny_cub).scan()
    assert problems == []
    by_split = {split: [image.key for image in images if image.split == split] for split in ("train", "test")}
    assert by_split == {split: keys_of(tiny_cub, split) for split in ("train", "test")}
    assert {image.class_id for image in images if image.split == "train"} == {1, 3, 4}
    assert {image.class_id for image in images if image.split == "test"} == {2, 5}
    assert all(image.key.startswith(f"{image.class_id:03d}.") for image in images)


def test_boxes_and_captions_belong_to_their_image(tiny_cub):
    images, _ = make_source("cub", tiny_cub).scan()
    lines = (tiny_cub / "CUB_200_2011" / "images.txt").read_text().split("\n")
    numbers = {line.split()[1].removesuffix(".jpg"): int(line.split()[0]) for line in lines if line}
    for image in images:
        assert image.box == (20.0, 30.0, 40.0 + numbers[image.key] % 7, 36.0)
        text = (tiny_cub / "text" / f"{image.key}.txt").read_text().split("\n")
        assert image.captions == text[:10], "the first ten of eleven"


def test_image_level_follows_cubs_own_list_and_needs_no_pickles(tiny_cub):
    shutil.rmtree(tiny_cub / "train")
    shutil.rmtree(tiny_cub / "test")
    images, problems = make_source("cub", tiny_cub, "image-level").scan()
    assert problems == []
    train = [image for image in images if image.split == "train"]
    assert len(train) == 15 and len(images) == 25
    assert {image.class_id for image in train} == {1, 2, 3, 4, 5}
    assert all(int(image.key[-4:]) < 3 for image in train)


def test_the_root_may_be_the_bare_folder_with_text_beside_it(tiny_cub):
    images, problems = make_source("cub", tiny_cub / "CUB_200_2011", "image-level").scan()
    assert len(images) == 25 and not problems


def test_zero_shot_without_pickles_names_them_and_the_way_out(tiny_cub):
    shutil.rmtree(tiny_cub / "train")
    with pytest.raises(UserError, match=r"train/filenames\.pickle.*--split image-level") as error:
        make_source("cub", tiny_cub)
    assert "test/filenames.pickle" not in str(error.value)


def test_all_missing_descriptions_are_named_at_once(tiny_cub):
    (tiny_cub / "CUB_200_2011" / "bounding_boxes.txt").unlink()
    (tiny_cub / "CUB_200_2011" / "train_test_split.txt").unlink()
    shutil.rmtree(tiny_cub / "text")
    with pytest.raises(UserError, match=r"bounding_boxes\.txt.*train_test_split\.txt.*text"):
        make_source("cub", tiny_cub, "image-level")


def test_a_folder_without_cub_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"images\.txt: no such file; unpack CUB_200_2011\.tgz"):
        make_source("cub", tmp_path)


def test_every_missing_file_is_listed_not_just_the_first(tiny_cub):
    keys = keys_of(tiny_cub, "train")
    folder = tiny_cub / "CUB_200_2011"
    (folder / "images" / f"{keys[0]}.jpg").unlink()
    (tiny_cub / "text" / f"{keys[0]}.txt").unlink()
    (tiny_cub / "text" / f"{keys[1]}.txt").write_text("\n ,.\n")
    (tiny_cub / "text" / f"{keys[2]}.txt").write_bytes(b"a bird\xff\n")
    boxes = (folder / "bounding_boxes.txt").read_text().split("\n")
    (folder / "bounding_boxes.txt").write_text("\n".join(boxes[1:]))
    images, problems = make_source("cub", tiny_cub).scan()
    expected = {
        f"{keys[0]}.jpg: image missing",
        f"{keys[0]}.txt: captions missing",
        f"{keys[1]}.txt: no caption with a word",
        f"{keys[2]}.txt: captions are not UTF-8",
        "no box for 001.Red_bird/bird_0000",
    }
    assert len(problems) == 5
    for part in expected:
        assert sum(part in problem for problem in problems) == 1, part
    assert len(images) == 25 - len({keys[0], keys[1], keys[2], "001.Red_bird/bird_0000"})


def test_without_boxes_nothing_is_asked_of_them(tiny_cub):
    from t2igan.data.sources import CUBSource

    (tiny_cub / "CUB_200_2011" / "bounding_boxes.txt").unlink()
    images, problems = CUBSource(tiny_cub, crop_by_box=False).scan()
    assert not problems and all(image.box is None for image in images)


def release_pickle(root, path, per_image=10, order=None):
    """A captions pickle as the releases have it: own word order, captions in the order of filenames.pickle."""
    texts = {s: [c for key in keys_of(root, s) for c in captions(root, key)[:per_image]] for s in ("train", "test")}
    built = Vocabulary.build(texts["train"] + texts["test"])
    vocabulary = Vocabulary([built.words[0], *sorted(built.words[1:], reverse=True)])
    ids = [[vocabulary.encode(text) for text in texts[split]] for split in ("train", "test")]
    words = dict(enumerate(vocabulary.words))
    path.write_bytes(pickle.dumps([*ids, words, {w: i for i, w in words.items()}], protocol=2))
    return vocabulary


def captions(root, key):
    return (root / "text" / f"{key}.txt").read_text().split("\n")


@pytest.mark.parametrize("split", ["zero-shot", "image-level"])
def test_a_captions_pickle_in_the_root_is_honoured(tiny_cub, split):
    vocabulary = release_pickle(tiny_cub, tiny_cub / "captions.pickle")
    source = make_source("cub", tiny_cub, split)
    images, problems = source.scan()
    assert not problems and source.vocabulary == vocabulary
    for image in images:
        assert image.captions == captions(tiny_cub, image.key)[:10], "texts as written where they agree"
        assert image.tokens == [vocabulary.encode(text) for text in image.captions]


def test_a_captions_pickle_needs_no_text(tiny_cub):
    vocabulary = release_pickle(tiny_cub, tiny_cub / "elsewhere.pickle")
    shutil.rmtree(tiny_cub / "text")
    source = make_source("cub", tiny_cub, captions_pickle=tiny_cub / "elsewhere.pickle")
    images, problems = source.scan()
    assert not problems and source.vocabulary == vocabulary
    assert images[0].captions[0].startswith("this bird has a ") and "," not in images[0].captions[0]


def test_a_captions_pickle_of_another_release_is_refused(tiny_cub):
    release_pickle(tiny_cub, tiny_cub / "captions.pickle", per_image=5)
    source = make_source("cub", tiny_cub)
    with pytest.raises(UserError, match=r"75 train captions.*names 15 images and 10 captions"):
        source.scan()


def test_unknown_kinds_and_splits_are_refused(tiny_cub):
    with pytest.raises(UserError, match="choose one of cub, drawn-birds"):
        make_source("cubs", tiny_cub)
    with pytest.raises(UserError, match="choose one of zero-shot, image-level"):
        make_source("cub", tiny_cub, "random")
