import numpy as np
import pytest

from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.evaluation.plan import plan_for, plan_images, plan_passes, share, shuffled_captions
from t2igan.evaluation.protocol import Protocol


@pytest.fixture(scope="module")
def split(drawn_birds_store):
    return open_store(drawn_birds_store).split("test")


@pytest.mark.parametrize("count", [3, 16, 50, 160, 165, 400])
def test_captions_and_images_are_used_evenly(split, count):
    plan = plan_images(split, count)
    uses = np.bincount(plan.captions, minlength=split.n_captions)
    assert uses.sum() == count
    assert uses.max() - uses.min() <= 1
    images = np.bincount(split.caption_images[plan.captions], minlength=len(split))
    assert images.max() - images.min() <= 1


def test_few_images_are_not_of_the_first_classes_alone(split):
    images = split.caption_images[plan_images(split, 8).captions]
    assert len(set(split.class_ids[images])) > 2


def test_a_caption_is_drawn_again_with_another_number(split):
    plan = plan_images(split, 400)
    assert len(set(zip(plan.captions.tolist(), plan.draws.tolist()))) == 400
    assert plan.draws.tolist() == [number // 160 for number in range(400)]


def test_a_smaller_plan_begins_a_larger_one(split):
    small, large = plan_images(split, 50), plan_images(split, 300)
    assert (large.captions[:50] == small.captions).all()


def test_only_the_images_asked_for_are_used(split):
    plan = plan_images(split, 100, range(1, len(split), 2))
    assert set(split.caption_images[plan.captions]) == set(range(1, len(split), 2))


@pytest.mark.parametrize(("batch", "kept"), [(0, 16), (5, 15), (16, 16), (12, 12)])
def test_a_pass_loses_its_last_images(split, batch, kept):
    """16 images in batches of 5: one is lost in each pass, and not always the same."""
    plan = plan_passes(split, 1000, batch, passes=8, seed=1)
    assert len(plan) == 8 * kept
    turns = split.caption_images[plan.captions].reshape(8, kept)
    assert all(len(set(turn)) == kept for turn in turns)
    if kept < 16:
        assert len({frozenset(turn) for turn in turns}) > 1


def test_released_numbers_of_images():
    """One pass over the 2,933 test images of CUB, by the batches of the released samplers."""

    class Birds:
        name = "test"

        def __len__(self):
            return 2933

        def captions_of(self, image):
            return range(10 * image, 10 * image + 10)

    found = {batch: len(plan_passes(Birds(), 10**6, batch, passes=1)) for batch in (100, 12, 24)}
    assert found == {100: 2900, 12: 2928, 24: 2928}
    assert len(plan_passes(Birds(), 30_000, 10, passes=11)) == 30_000
    assert len(plan_passes(Birds(), 10**6, 32, passes=10)) == 29_120


def test_passes_choose_captions_at_random(split):
    plan = plan_passes(split, 1600, seed=1)
    uses = np.bincount(plan.captions, minlength=split.n_captions)
    assert uses.max() > 12 and (np.bincount(split.caption_images[plan.captions]) == 100).all()
    assert len(set(zip(plan.captions.tolist(), plan.draws.tolist()))) == 1600
    assert plan.draws.max() == uses.max() - 1
    again, other = plan_passes(split, 1600, seed=1), plan_passes(split, 1600, seed=2)
    assert (again.captions == plan.captions).all() and (other.captions != plan.captions).any()
    assert (plan_passes(split, 40, seed=1).captions == plan.captions[:40]).all()


def test_the_protocol_chooses_the_plan(split):
    even = Protocol("p", "drawn-birds", 32, 50)
    random = Protocol("p", "drawn-birds", 32, 50, captions="random", loader_batch=5, passes=2, captions_seed=3)
    assert (plan_for(even, split).captions == plan_images(split, 50).captions).all()
    assert (plan_for(random, split).captions == plan_passes(split, 50, 5, 2, 3).captions).all()
    assert len(plan_for(random, split)) == 30


def test_a_batch_that_no_image_fills_is_refused(split):
    with pytest.raises(UserError, match="16 images with captions, too few for a batch of 100"):
        plan_passes(split, 50, 100)


def test_no_image_no_plan(split):
    with pytest.raises(UserError, match="no caption"):
        plan_images(split, 5, [])


@pytest.mark.parametrize(("count", "world"), [(10, 3), (2, 4), (0, 2), (7, 1)])
def test_shares_are_ranges_that_cover_all_once(count, world):
    shares = [share(count, rank, world) for rank in range(world)]
    assert [number for part in shares for number in part] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_shuffling_gives_each_image_a_caption_of_another_group():
    captions = np.arange(100, 160)
    groups = np.repeat([0, 1, 2, 3], [30, 10, 15, 5])
    shuffled = shuffled_captions(captions, groups, seed=0)
    assert sorted(shuffled) == sorted(captions)
    assert (groups[shuffled - 100] != groups).all()
    assert (shuffled == shuffled_captions(captions, groups, seed=0)).all()
    assert (shuffled != shuffled_captions(captions, groups, seed=1)).any()


def test_shuffling_leaves_no_system():
    groups = np.repeat(np.arange(20), 50)
    shuffled = shuffled_captions(np.arange(1000), groups, seed=0)
    partners = {(int(a), int(b)) for a, b in zip(groups, groups[shuffled])}
    assert len(partners) > 0.8 * 20 * 19


def test_shuffling_refuses_a_class_of_more_than_half():
    with pytest.raises(UserError, match="31 of 60 images are of one class"):
        shuffled_captions(np.arange(60), np.repeat([0, 1], [31, 29]), seed=0)


class FiveImages:
    """Of three classes, with 3, 1, 2, 3 and 2 captions."""

    name, keys = "test", ["001.a/x", "001.a/y", "002.b/x", "002.b/y", "003.c/x"]
    starts = (0, 3, 4, 6, 9, 11)

    def __len__(self):
        return len(self.keys)

    def captions_of(self, image):
        return range(self.starts[image], self.starts[image + 1])


def test_the_first_captions_are_pinned():
    # A change here changes what is generated under the same hash of a protocol, and so every number of the suite.
    even = plan_images(FiveImages(), 13)
    assert even.captions.tolist() == [6, 1, 3, 10, 4, 7, 2, 9, 5, 8, 0, 6, 1]
    assert even.draws.tolist() == [0] * 11 + [1, 1]
    random = plan_passes(FiveImages(), 10, loader_batch=2, seed=4)
    assert random.captions.tolist() == [5, 10, 0, 3, 3, 5, 9, 7, 4, 2]
    assert random.draws.tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]
