"""R-precision's control: the same images under captions of other classes, which must be at chance."""

import numpy as np
import pytest
import torch

from t2igan.evaluation.plan import shuffled_captions
from t2igan.metrics.r_precision import RPrecision

CLASSES, IMAGES, CAPTIONS, TRIALS = 6, 20, 10, 6000
IMAGE_IDS = np.repeat(np.arange(CLASSES * IMAGES), CAPTIONS)
CLASS_IDS = IMAGE_IDS // IMAGES


def rates(codes, sentences, batch_size=1000):
    """R-precision and its control, for images of all captions in turn, and what guessing gives of each."""
    trials = torch.arange(TRIALS)
    captions, draws = trials % len(CLASS_IDS), trials // len(CLASS_IDS)
    shuffled = torch.from_numpy(shuffled_captions(captions.numpy(), CLASS_IDS[captions], seed=0))
    metric, control = (RPrecision(CLASS_IDS, IMAGE_IDS, 10, seed=seed) for seed in (0, 1))
    for each in (metric, control):
        each.set_captions(sentences)
    for part in trials.split(batch_size):
        metric.update(codes[captions[part]], captions[part], draws[part])
        control.update(codes[captions[part]], captions[part], draws[part], shuffled[part])
    return [each.compute()[0].item() for each in (metric, control)], [metric.chance(), control.chance()]


def knowing(certainty):
    """Vectors of images and captions that agree within a class, the more the higher ``certainty``."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(CLASSES, 16, generator=generator)[torch.from_numpy(CLASS_IDS)]
    noise = torch.randn(2, len(CLASS_IDS), 16, generator=generator)
    return certainty * centres + noise[0], certainty * centres + noise[1]


@pytest.mark.parametrize("certainty", [0.0, 1.0, 5.0])
def test_the_control_is_at_chance_however_much_the_network_knows(certainty):
    (found, control), chances = rates(*knowing(certainty))
    # 6000 trials of chance 0.1: standard deviation 0.004. Of 10 candidates now and then two are one.
    assert control == pytest.approx(chances[1].item(), abs=0.016)
    assert chances == pytest.approx([0.1, 0.1], abs=0.001)
    assert found == pytest.approx(0.1, abs=0.016) if certainty == 0 else found > 0.4


def test_collapsed_encoders_are_at_chance():
    same = torch.ones(len(CLASS_IDS), 16)
    with pytest.warns(UserWarning, match="ties"):
        values, chances = rates(same, same)
    assert values[0] == pytest.approx(0.1)
    assert values == pytest.approx([chance.item() for chance in chances])


def test_the_control_does_not_depend_on_batches():
    assert rates(*knowing(1.0), batch_size=7) == rates(*knowing(1.0), batch_size=6000)
