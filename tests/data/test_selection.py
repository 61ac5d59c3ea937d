"""Training classes held out, so that a checkpoint can be chosen without the test split."""

import pickle

import numpy as np
import pytest

from t2igan.data.datamodule import DrawnBirds
from t2igan.data.selection import HeldOutClasses
from t2igan.data.store import open_store
from t2igan.errors import UserError


@pytest.fixture
def store(drawn_birds_store):
    return open_store(drawn_birds_store)


def classes_of(split):
    return set(split.class_ids.tolist())


def test_training_images_are_parted_by_class(store):
    view = HeldOutClasses(store, 2)
    rest, held = view.split("train"), view.split("test")
    assert len(classes_of(held)) == 2 and not classes_of(rest) & classes_of(held)
    assert sorted([*rest.keys, *held.keys]) == sorted(store.split("train").keys)
    assert view.fingerprint != store.fingerprint
    assert sorted(store.class_names[each] for each in classes_of(held)) == view.held_out


def test_more_classes_hold_the_fewer_and_another_process_the_same(store):
    one, two = HeldOutClasses(store, 1), HeldOutClasses(store, 2)
    assert set(one.held_out) < set(two.held_out) and one.fingerprint != two.fingerprint
    again = pickle.loads(pickle.dumps(two))
    assert (again.held_out, again.fingerprint) == (two.held_out, two.fingerprint)


def test_images_and_captions_keep_belonging_together(store):
    held, whole = HeldOutClasses(store, 2).split("test"), store.split("train")
    for image in range(len(held)):
        own = whole.keys.index(held.key(image))
        assert np.array_equal(held.image(image), whole.image(own))
        texts = [held.caption_text(caption) for caption in held.captions_of(image)]
        assert texts == [whole.caption_text(caption) for caption in whole.captions_of(own)]
        assert {held.caption_image(caption) for caption in held.captions_of(image)} == {image}
    assert held.n_captions == len(held.caption_images)


@pytest.mark.parametrize("count", [6, 100])
def test_a_part_is_left_on_either_side(drawn_birds_store, count):
    data = DrawnBirds(str(drawn_birds_store), image_size=16, val_classes=count)
    with pytest.raises(UserError, match="give a number from 1 to 5"):
        data.setup("fit")


def test_training_batches_hold_no_image_of_a_held_out_class(drawn_birds_store):
    data = DrawnBirds(str(drawn_birds_store), image_size=16, batch_size=4, num_workers=0, val_classes=2)
    data.setup("fit")
    seen = {key for batch in data.train_dataloader() for key in batch.keys}
    held = set(data.held_out.split("test").keys)
    assert seen and held and not seen & held


def test_validation_is_of_held_out_classes_and_the_test_split_is_not_looked_at(drawn_birds_store):
    data = DrawnBirds(str(drawn_birds_store), image_size=16, batch_size=4, num_workers=0, val_classes=2)
    data.setup("fit")
    seen = [key for batch in data.val_dataloader() for key in batch.keys]
    assert sorted(seen) == sorted(data.held_out.split("test").keys)
    tested = [key for batch in data.test_dataloader() for key in batch.keys]
    assert sorted(tested) == sorted(data.test_split.keys)
    for batch in data.val_dataloader():
        images = map(data.val_split.caption_image, batch.caption_ids.tolist())
        assert [data.val_split.key(image) for image in images] == batch.keys
