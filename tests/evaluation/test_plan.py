import numpy as np
import pytest

from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.evaluation.plan import plan_pictures, share, shuffled_captions


@pytest.fixture(scope="module")
def split(drawn_birds_store):
    return open_store(drawn_birds_store).split("test")


@pytest.mark.parametrize("count", [3, 16, 50, 160, 165, 400])
def test_captions_and_images_are_used_evenly(split, count):
    plan = plan_pictures(split, count)
    uses = np.bincount(plan.captions, minlength=split.n_captions)
    assert uses.sum() == count
    assert uses.max() - uses.min() <= 1
    images = np.bincount(split.caption_images[plan.captions], minlength=len(split))
    assert images.max() - images.min() <= 1


def test_few_pictures_are_not_of_the_first_classes_alone(split):
    images = split.caption_images[plan_pictures(split, 8).captions]
    assert len(set(split.class_ids[images])) > 2


def test_a_caption_is_drawn_again_with_another_number(split):
    plan = plan_pictures(split, 400)
    assert len(set(zip(plan.captions.tolist(), plan.draws.tolist()))) == 400
    assert plan.draws.tolist() == [number // 160 for number in range(400)]


def test_a_smaller_plan_begins_a_larger_one(split):
    small, large = plan_pictures(split, 50), plan_pictures(split, 300)
    assert (large.captions[:50] == small.captions).all()


def test_only_the_images_asked_for_are_used(split):
    plan = plan_pictures(split, 100, range(1, len(split), 2))
    assert set(split.caption_images[plan.captions]) == set(range(1, len(split), 2))


def test_no_image_no_plan(split):
    with pytest.raises(UserError, match="no caption"):
        plan_pictures(split, 5, [])


@pytest.mark.parametrize(("count", "world"), [(10, 3), (2, 4), (0, 2), (7, 1)])
def test_shares_are_ranges_that_cover_all_once(count, world):
    shares = [share(count, rank, world) for rank in range(world)]
    assert [number for part in shares for number in part] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_shuffling_gives_each_picture_a_caption_of_another_group():
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
    with pytest.raises(UserError, match="31 of 60 pictures are of one class"):
        shuffled_captions(np.arange(60), np.repeat([0, 1], [31, 29]), seed=0)
