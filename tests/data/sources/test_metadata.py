import pickle

import pytest
from coco_files import TRAIN, VAL, write_images

from t2igan.data.sources import make_source
from t2igan.data.vocabulary import Vocabulary
from t2igan.errors import UserError


@pytest.fixture
def released(tmp_path):
    """The same images with AttnGAN's metadata, images flat, two captions an image."""
    root = tmp_path / "released"
    for split, part, numbers in (("train", "train", TRAIN), ("test", "val", VAL)):
        keys = [f"COCO_{part}2014_{number:012d}" for number in reversed(numbers)]
        (root / split).mkdir(parents=True)
        (root / split / "filenames.pickle").write_bytes(pickle.dumps(keys, protocol=2))
        write_images(root / "images", numbers, f"COCO_{part}2014_{{:012d}}.jpg")
        (root / "text").mkdir(exist_ok=True)
        for key in keys:
            (root / "text" / f"{key}.txt").write_text(f"a dog {key[-2:]}\na cat\na third one\n")
    return root


def test_attngans_metadata_give_order_and_captions(released):
    source = make_source("coco", released, captions_per_image=2)
    images, problems = source.scan()
    assert problems == [] and source.split_scheme == "attngan"
    assert [image.key for image in images[:2]] == ["COCO_train2014_000000000034", "COCO_train2014_000000000030"]
    assert images[0].captions == ["a dog 34", "a cat"] and images[0].class_id == 0
    (released / "text" / f"{images[1].key}.txt").unlink()
    images, problems = source.scan()
    assert len(images) == 6 and len(problems) == 1 and "captions missing" in problems[0]


def test_a_released_captions_pickle_gives_the_word_order(released):
    texts = {}
    for split in ("train", "test"):
        keys = pickle.loads((released / split / "filenames.pickle").read_bytes())
        texts[split] = [text for key in keys for text in (f"a dog {key[-2:]}", "a cat")]
    built = Vocabulary.build(texts["train"] + texts["test"])
    vocabulary = Vocabulary([built.words[0], *sorted(built.words[1:], reverse=True)])
    ids = [[vocabulary.encode(text) for text in texts[split]] for split in ("train", "test")]
    words = dict(enumerate(vocabulary.words))
    content = [*ids, words, {word: index for index, word in words.items()}]
    (released / "captions.pickle").write_bytes(pickle.dumps(content, protocol=2))
    source = make_source("coco", released, captions_per_image=2)
    images, problems = source.scan()
    assert not problems and source.vocabulary == vocabulary
    assert all(image.tokens == [vocabulary.encode(text) for text in image.captions] for image in images)
    with pytest.raises(UserError, match=r"captions\.pickle: .*order of filenames\.pickle"):
        make_source("coco", released, year=2014, captions_pickle=released / "captions.pickle")


def test_metadata_that_are_not_of_coco_or_incomplete_are_refused(released):
    path = released / "train" / "filenames.pickle"
    path.write_bytes(pickle.dumps(["002.Laysan_Albatross/Laysan_Albatross_x"], protocol=2))
    with pytest.raises(UserError, match=r"train/filenames\.pickle: not names of COCO: 002\.Laysan"):
        make_source("coco", released).scan()
    (released / "test" / "filenames.pickle").unlink()
    with pytest.raises(UserError, match=r"missing: .*test/filenames\.pickle.*--year 2014"):
        make_source("coco", released)
