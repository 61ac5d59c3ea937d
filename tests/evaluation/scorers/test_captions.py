"""R-precision's control: the same images under captions of other classes, which must be at chance."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from t2igan.evaluation.features.embedders import CaptionEmbedder
from t2igan.evaluation.features.networks import NetworkOptions
from t2igan.evaluation.metrics.r_precision import DAMSMRPrecision
from t2igan.evaluation.plan import ImagePlan, shuffled_captions
from t2igan.evaluation.protocol import Protocol
from t2igan.evaluation.scorers.base import Setting
from t2igan.evaluation.scorers.captions import MatchingScorer
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


class Given(CaptionEmbedder):
    """Vectors of captions as they are given."""

    name, sha256, source = "given", "ab" * 32, "uint8"

    def __init__(self, sentences):
        self._sentences = sentences

    def _embed(self, images):
        raise AssertionError("the test gives the vectors of the images")

    _encode = _embed


def test_the_scorers_control_never_ranks_a_caption_of_the_images_own_class():
    """An encoder that knows nothing but classes would rank it first."""
    codes, sentences = knowing(50.0)
    split = SimpleNamespace(caption_images=IMAGE_IDS, class_ids=CLASS_IDS[::CAPTIONS])
    plan = ImagePlan(np.arange(len(CLASS_IDS)), np.zeros(len(CLASS_IDS), np.int64))
    protocol = Protocol("p", "given", 4, len(plan))
    wanted, store = np.ones(len(plan), bool), SimpleNamespace(split=lambda name: split)
    setting = Setting(None, protocol, store, plan, wanted, None, NetworkOptions(), torch.device("cpu"))
    scorer = MatchingScorer(DAMSMRPrecision(candidates=10, folds=1), Given(sentences), setting)
    scorer.add(torch.arange(len(plan)), (codes,))
    control = scorer.values()["r-precision-shuffled"]
    # 1200 trials of chance 0.1: standard deviation 0.009. A sixth of all other images are of the same class.
    assert control.value == pytest.approx(control.chance, abs=0.035)
