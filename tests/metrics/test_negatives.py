import numpy as np
import pytest

from t2igan.errors import UserError
from t2igan.metrics.negatives import NegativeCaptions

# caption -> image and class, in no order, with 1, 2 or 3 captions an image
IMAGES = np.array([4, 2, 2, 9, 9, 9, 7, 4, 1, 1])
CLASSES = np.array([0, 5, 5, 0, 0, 0, 3, 0, 5, 5])


def draws(policy, caption, trials=4000, count=5, seed=0):
    negatives = NegativeCaptions(CLASSES, IMAGES, policy, seed)
    return negatives.draw(np.arange(trials), np.full(trials, caption), count)


@pytest.mark.parametrize("policy", ["other-class", "other-image"])
@pytest.mark.parametrize("caption", range(len(IMAGES)))
def test_uniform_over_images_then_over_captions(policy, caption):
    group = CLASSES if policy == "other-class" else IMAGES
    allowed = group != group[caption]
    images = np.unique(IMAGES[allowed])
    expected = np.array([ok / len(images) / (image == IMAGES).sum() for ok, image in zip(allowed, IMAGES)])
    drawn = draws(policy, caption)
    found = np.bincount(drawn.ravel(), minlength=len(IMAGES)) / drawn.size
    assert (found[~allowed] == 0).all()
    np.testing.assert_allclose(found, expected, atol=0.02)  # 4 standard deviations


def test_a_draw_of_a_caption_has_its_own_candidates_whatever_the_batch():
    negatives = NegativeCaptions(CLASSES, IMAGES, "other-image", seed=3)
    trials, captions = np.arange(50) // 10 * 1000, np.arange(50) % 10
    together = negatives.draw(trials, captions, 20)
    order = np.random.default_rng(0).permutation(50)
    apart = np.concatenate([negatives.draw(trials[[i]], captions[[i]], 20) for i in order])
    np.testing.assert_array_equal(apart, together[order])
    assert len(np.unique(together, axis=0)) == 50


def test_the_seed_changes_the_candidates():
    assert (draws("other-class", 0, seed=0) != draws("other-class", 0, seed=1)).any()


def test_the_first_draws_are_pinned():
    # A change here changes every published R-precision of the suite.
    assert draws("other-class", 0, trials=2, count=8).tolist() == [
        [6, 6, 6, 8, 9, 6, 2, 1],
        [6, 6, 2, 9, 1, 9, 6, 8],
    ]
    assert draws("other-image", 7, trials=2, count=8).tolist() == [
        [3, 4, 8, 1, 1, 8, 1, 4],
        [6, 2, 6, 6, 9, 1, 4, 6],
    ]


def test_fixed_candidates_belong_to_the_caption():
    negatives = NegativeCaptions(CLASSES, IMAGES, "fixed", seed=0)
    captions = np.array([3, 0, 3, 7, 3])
    drawn = negatives.draw(np.array([0, 1, 2, 3, 400]), captions, 50)
    assert (drawn[0] == drawn[2]).all() and (drawn[0] == drawn[4]).all()
    # Captions of one image have lists of their own.
    assert (drawn[1] != drawn[3]).any() and IMAGES[0] == IMAGES[7]
    assert (IMAGES[drawn] != IMAGES[captions][:, None]).all()
    assert (CLASSES[drawn] == CLASSES[captions][:, None]).any()


def test_impossible_policies_are_refused():
    with pytest.raises(UserError, match="two classes"):
        NegativeCaptions([1, 1], [0, 1], "other-class", 0)
    with pytest.raises(UserError, match="two images"):
        NegativeCaptions([1, 1], [3, 3], "other-image", 0)
    with pytest.raises(UserError, match="'random' is not one of other-class"):
        NegativeCaptions([1, 2], [0, 1], "random", 0)
    with pytest.raises(ValueError, match="two classes"):
        NegativeCaptions([1, 2], [0, 0], "other-class", 0)
    with pytest.raises(ValueError, match=r"0\.\.9"):
        NegativeCaptions(CLASSES, IMAGES, "other-class", 0).draw(np.array([0]), np.array([-1]), 3)
