import pickle

import numpy as np
import pytest

from t2igan.data.classification import ClassificationData, held_out_images
from t2igan.data.store import open_store
from t2igan.errors import UserError


def data(store, **options):
    return ClassificationData(str(store), image_size=32, batch_size=4, num_workers=0, **options)


def test_every_fifth_image_of_each_class_is_held_out():
    class_ids = np.array([0] * 11 + [1] * 4 + [2] * 5 + [0] * 4)
    expected = [4, 9, 19, 23]  # the 5th, 10th and 15th of class 0, none of class 1, the 5th of class 2
    assert np.flatnonzero(held_out_images(class_ids, 0.2)).tolist() == expected


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.25, 1 / 3, 0.3, 0.7])
def test_the_share_holds_for_every_class(share):
    class_ids = np.random.default_rng(0).integers(0, 3, 3000)
    held_out = held_out_images(class_ids, share)
    for c in range(3):
        mine = held_out[class_ids == c]
        assert mine.sum() == int(len(mine) * share + 1e-6)


def test_the_selections_share_out_both_splits(tiny_store):
    module, store = data(tiny_store), open_store(tiny_store)
    keys = store.split("train").keys + store.split("test").keys
    learnt, held_out = module.train_split, module.test_split
    assert sorted(learnt.keys + held_out.keys) == sorted(keys)
    assert not set(learnt.keys) & set(held_out.keys)
    assert sorted(held_out.class_ids) == module.classes == [0, 1, 2, 3, 4]
    assert len(learnt) == 20


@pytest.mark.parametrize("selection", ["train", "test"])
def test_images_and_captions_are_those_of_the_store(tiny_store, selection):
    module, store = data(tiny_store), open_store(tiny_store)
    images = pickle.loads(pickle.dumps(module._selections[selection]))
    owners = {key: store.split(name) for name in ("train", "test") for key in store.split(name).keys}
    seen = []
    for image, key in enumerate(images.keys):
        split = owners[key]
        own = split.keys.index(key)
        assert images.class_ids[image] == split.class_ids[own]
        assert images.shape(image) == split.shape(own)
        np.testing.assert_array_equal(images.crop(image, 1, 2, 30), split.crop(own, 1, 2, 30))
        for caption, original in zip(images.captions_of(image), split.captions_of(own), strict=True):
            assert images.caption_image(caption) == image
            np.testing.assert_array_equal(images.caption_tokens(caption), split.caption_tokens(original))
            seen.append(caption)
    assert seen == list(range(images.n_captions))


def test_loaders_give_each_selection_its_images(tiny_store):
    module = data(tiny_store)
    module.setup("fit")
    learnt = [key for batch in module.train_dataloader() for key in batch.keys]
    assert sorted(learnt) == sorted(module.train_split.keys)
    held_out = list(module.val_dataloader())
    classes = dict(zip(module.test_split.keys, module.test_split.class_ids.tolist()))
    assert {key: c for batch in held_out for key, c in zip(batch.keys, batch.class_ids.tolist())} == classes
    assert held_out[0].images.shape[1:] == (3, 32, 32)
    pairs = module.eval_dataset("train")
    assert pairs[module.first_captions("train")[:3]].keys == module.train_split.keys[:3]


def test_bad_shares_are_refused(tiny_store):
    for share in (0, 1, -0.5):
        with pytest.raises(UserError, match=r"ClassificationData: holdout"):
            data(tiny_store, holdout=share)
    with pytest.raises(UserError, match="no class is large enough"):
        _ = data(tiny_store, holdout=0.1).train_split
