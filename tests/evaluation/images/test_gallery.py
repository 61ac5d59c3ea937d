"""Layouts and narratives of a store as the pipeline sees them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from t2igan.data.datasets import EvaluationItems
from t2igan.data.selection import NarrativesAsCaptions
from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.evaluation.images.gallery import Gallery, join_tags
from t2igan.layout.narratives import read_tagged


@pytest.fixture(scope="module")
def store(scenes_store):
    return open_store(scenes_store)


def test_images_and_layouts_are_cut_as_evaluation_cuts_them(store):
    gallery = Gallery(store, "test", 64)
    items = EvaluationItems(store.split("test"), 64, carried=("layouts", "narratives"))
    firsts = [store.split("test").captions_of(image).start for image in range(3)]
    batch = items[firsts]
    for image in range(3):
        assert torch.equal(gallery.image(image), batch.images[image])
        assert np.array_equal(gallery[image].labels, batch.layouts.labels[image])
        assert np.array_equal(gallery[image].instances, batch.layouts.instances[image])
        assert gallery.narratives(image)[0] == batch.narratives[image]
    assert torch.equal(next(gallery.batches())[:3], batch.images)


def test_a_smaller_size_keeps_labels_whole(store):
    small = Gallery(store, "test", 16)[0]
    assert small.labels.shape == (16, 16)
    assert set(np.unique(small.labels)) <= set(np.unique(Gallery(store, "test", 64)[0].labels))


def test_captions_stand_for_the_narratives_of_their_image_in_turn(store):
    gallery = Gallery(store, "test", 64)
    split = store.split("test")
    image = next(image for image in range(len(split)) if len(split.narratives_of(image)) == 1)
    (only,) = gallery.narratives(image)
    assert all(gallery.narrative(caption) == only for caption in split.captions_of(image))
    told = Gallery(NarrativesAsCaptions(store), "test", 64)
    assert [told.narrative(caption).image_id for caption in range(3)] == [
        told.narratives(told.split.caption_image(caption))[0].image_id for caption in range(3)
    ]


def test_texts_hold_captions_and_narratives(store):
    gallery = Gallery(store, "train", 64)
    text = gallery.texts()[0]
    assert set(gallery.captions(0)[0]) | set(gallery.narratives(0)[0].words) <= set(text)


def test_stores_that_lack_something_are_refused(store, drawn_birds_store):
    with pytest.raises(UserError, match="no test image has layouts and narratives"):
        Gallery(open_store(drawn_birds_store), "test", 64)
    with pytest.raises(UserError, match="prepared at 64 px, but 128 px"):
        Gallery(store, "test", 128)


def test_labels_are_joined_where_the_words_are_as_many(store, scenes_root):
    gallery = Gallery(store, "test", 64)
    told = [each for image in range(len(gallery)) for each in gallery.narratives(image)]
    tagged = read_tagged(scenes_root / "tagged" / "val")
    joined, without = join_tags(told, tagged)
    assert without == 0 and all(len(each.tags) == len(each.words) for each in joined)
    cut = [replace(each, tags=each.tags[1:]) if each.key == told[0].key else each for each in tagged]
    joined, without = join_tags(told, cut)
    assert without == 1 and joined[0].tags is None and joined[1].tags
