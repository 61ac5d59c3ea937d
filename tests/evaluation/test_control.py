import numpy as np
import pytest
import torch

from t2igan.evaluation.control import ShuffledRPrecision
from t2igan.evaluation.metric_specs import RPrecision as Options
from t2igan.evaluation.plan import shuffled_captions
from t2igan.metrics.r_precision import RPrecision

CLASSES, IMAGES, CAPTIONS, TRIALS = 6, 20, 10, 6000
IMAGE_IDS = np.repeat(np.arange(CLASSES * IMAGES), CAPTIONS)
CLASS_IDS = IMAGE_IDS // IMAGES
OPTIONS = Options(candidates=10)


def rates(codes, sentences, batch_size=1000):
    """R-precision and its control, for pictures of all captions in turn."""
    captions = torch.arange(TRIALS) % len(CLASS_IDS)
    shuffled = torch.from_numpy(shuffled_captions(captions.numpy(), CLASS_IDS[captions], seed=0))
    metric, control = (
        RPrecision(CLASS_IDS, IMAGE_IDS, 10),
        ShuffledRPrecision(CLASS_IDS, IMAGE_IDS, sentences, OPTIONS),
    )
    metric.set_captions(sentences)
    for trial in torch.arange(TRIALS).split(batch_size):
        metric.update(codes[captions[trial]], captions[trial], trial)
        control.update(codes[captions[trial]], captions[trial], shuffled[trial], trial)
    return metric.compute()[0].item(), control.compute()[0].item()


def knowing(certainty):
    """Vectors of pictures and captions that agree within a class, the more the higher ``certainty``."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(CLASSES, 16, generator=generator)[torch.from_numpy(CLASS_IDS)]
    noise = torch.randn(2, len(CLASS_IDS), 16, generator=generator)
    return certainty * centres + noise[0], certainty * centres + noise[1]


@pytest.mark.parametrize("certainty", [0.0, 1.0, 5.0])
def test_the_control_is_at_chance_however_much_the_judge_knows(certainty):
    found, control = rates(*knowing(certainty))
    # 6000 trials of chance 0.1: standard deviation 0.004; few captions, so that equal candidates tie: 0.004 above.
    assert control == pytest.approx(0.104, abs=0.016)
    assert found == pytest.approx(0.1, abs=0.016) if certainty == 0 else found > 0.4


def test_a_collapsed_judge_shows_in_the_control():
    same = torch.ones(len(CLASS_IDS), 16)
    with pytest.warns(UserWarning, match="ties"):
        assert rates(same, same) == (1.0, 1.0)


def test_the_control_does_not_depend_on_batches():
    assert rates(*knowing(1.0), batch_size=7) == rates(*knowing(1.0), batch_size=6000)
