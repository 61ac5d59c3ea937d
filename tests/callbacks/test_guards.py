import math

import pytest
import torch

from t2igan.callbacks.guards import LEAST_DIVERSITY, MARGIN_STEPS, Guards, diversity, warn_of_equal_images
from t2igan.callbacks.reading import LateReader
from t2igan.nn.finite import first_non_finite


def test_the_first_tensor_that_is_not_finite_is_named():
    good = {"a": torch.ones(3), "count": torch.tensor(3), "empty": torch.empty(0), "huge": torch.full((2,), 3e38)}
    assert first_non_finite(good) is None
    assert first_non_finite(good | {"b": torch.tensor([1.0, math.inf]), "c": torch.tensor(math.nan)}) == "b"
    assert first_non_finite({}) is None


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


def test_values_on_the_cpu_are_read_at_once_and_as_they_were():
    reader, value = LateReader(), torch.ones(2)
    reader.put("first", value)
    value.zero_()
    assert [(label, read.tolist()) for label, read in reader.take()] == [("first", [1.0, 1.0])]
    assert not list(reader.take(everything=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_values_on_a_device_are_read_two_steps_later():
    reader = LateReader(late=2)
    read = []
    for step in range(4):
        reader.put(step, torch.full((1,), float(step), device="cuda"))
        read.append([label for label, _ in reader.take()])
    assert read == [[], [], [0], [1]]
    assert [values.item() for _, values in reader.take(everything=True)] == [2.0, 3.0]
