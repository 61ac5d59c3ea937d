"""A store of COCO's number of records: made, opened and read, small images in it."""

import time

import h5py
import numpy as np
import pytest

from t2igan.data.prepare import prepare
from t2igan.data.sources import make_source
from t2igan.data.store import open_store
from t2igan.data.verifying import verify_store
from t2igan.profiling.repeating import repeat_store

COCO_RECORDS = 123_000


@pytest.fixture(scope="module")
def small_store(drawn_birds_root, tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "small.h5"
    prepare(make_source("drawn-birds", drawn_birds_root), path, 16, "jpeg", workers=1)
    return path


def test_the_copies_are_whole_and_have_names_of_their_own(small_store, tmp_path):
    repeat_store(small_store, tmp_path / "large.h5", 60)
    assert verify_store(tmp_path / "large.h5") == []
    small, large = (open_store(path).split("train") for path in (small_store, tmp_path / "large.h5"))
    assert (len(small), len(large), len(set(large.keys))) == (24, 60, 60)
    for image in range(60):
        assert large.key(image).rpartition("~")[0] == small.key(image % 24)
        assert (large.stored(image) == small.stored(image % 24)).all()
    assert large.caption_text(large.captions_of(30).start) == small.caption_text(small.captions_of(6).start)
    with h5py.File(tmp_path / "large.h5") as file:
        assert len(file["train/pixels"]) > 2 * 24 * np.mean([small.stored_bytes(image) for image in range(24)])


@pytest.mark.slow
def test_a_store_of_cocos_size_opens_within_a_second(small_store, tmp_path):
    path = tmp_path / "large.h5"
    repeat_store(small_store, path, COCO_RECORDS)
    start = time.process_time()
    split = open_store(path).split("train")
    assert time.process_time() - start < 1
    assert len(split) == COCO_RECORDS and split.n_captions == 10 * COCO_RECORDS
    assert split.image(COCO_RECORDS - 1).shape[0] == 3
