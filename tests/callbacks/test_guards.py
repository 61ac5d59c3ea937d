import pytest
import torch

from t2igan.callbacks.guards import LEAST_DIVERSITY, MARGIN_STEPS, Guards, diversity, warn_of_equal_images


def test_equal_images_are_told_with_figures():
    real = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8)
    same = real[:1].expand(8, -1, -1, -1)
    assert diversity(same) == 0
    with pytest.warns(UserWarning, match=r"step 7: the 8 generated images .*diversity 0\.0000, real images 0\.2"):
        warn_of_equal_images(same, real, 7)
    warn_of_equal_images(real, real, 7)  # a warning would be an error of the test
    barely = (128 + (real.float() - 128) * 2 * LEAST_DIVERSITY).round().to(torch.uint8)
    warn_of_equal_images(barely, real, 7)


pytestmark = pytest.mark.filterwarnings("error::UserWarning")


def test_a_saturated_margin_is_told_once():
    guards = Guards()
    for step in range(MARGIN_STEPS - 1):
        guards._watch_margin("train/margin", 30.0, step)
    with pytest.warns(UserWarning, match=r"train/margin was 30\.0 on average over 100 steps"):
        guards._watch_margin("train/margin", 30.0, MARGIN_STEPS)
    guards._watch_margin("train/margin", 30.0, MARGIN_STEPS + 1)
    for step in range(3 * MARGIN_STEPS):
        guards._watch_margin("train/margin_64", 5.0, step)
