import math

import pytest
import torch

from t2igan.errors import UserError
from t2igan.losses.adversarial import BCE, Hinge, Logits, Objective, scalar

REAL = Logits(torch.tensor([0.5, -1.0]), torch.tensor([2.0, 0.0]))
FAKE = Logits(torch.tensor([-2.0, 0.5]), torch.tensor([1.0, -0.5]))
MISMATCH = torch.tensor([0.25])


def softplus(values):
    return sum(math.log1p(math.exp(value)) for value in values) / len(values)


def test_hinge_is_that_of_the_papers():
    hinge = Hinge()
    assert hinge.real(REAL.conditional) == pytest.approx((0.5 + 2) / 2)
    assert hinge.fake(FAKE.conditional) == pytest.approx((0 + 1.5) / 2)
    assert hinge.deceive(FAKE.conditional) == pytest.approx(0.75)


def test_cross_entropy_is_that_of_the_papers():
    plain, halved = BCE(), BCE(half_generator=True)
    assert plain.real(REAL.conditional) == pytest.approx(softplus([-0.5, 1.0]))
    assert plain.fake(FAKE.conditional) == pytest.approx(softplus([-2.0, 0.5]))
    assert plain.deceive(FAKE.conditional) == pytest.approx(softplus([2.0, -0.5]))
    assert halved.deceive(FAKE.conditional) == pytest.approx(softplus([2.0, -0.5]) / 2)


def test_the_discriminators_loss_is_a_mean_of_two_real_and_one_of_three_fake_terms():
    hinge = Hinge()
    real = (hinge.real(REAL.conditional) + hinge.real(REAL.unconditional)) / 2
    terms = [hinge.fake(FAKE.conditional), hinge.fake(FAKE.unconditional), hinge.fake(MISMATCH)]
    assert hinge.discriminator_loss(REAL, FAKE, MISMATCH) == pytest.approx(real + sum(terms) / 3)
    assert hinge.generator_loss(FAKE) == pytest.approx(0.75 - 0.25)


def test_without_an_unconditional_head_there_is_one_real_and_there_are_two_fake_terms():
    hinge, real, fake = Hinge(), Logits(REAL.conditional), Logits(FAKE.conditional)
    expected = hinge.real(real.conditional) + (hinge.fake(fake.conditional) + hinge.fake(MISMATCH)) / 2
    assert hinge.discriminator_loss(real, fake, MISMATCH) == pytest.approx(expected)


def test_the_share_weighs_mismatched_pairs_and_keeps_their_term_on_a_device_without_any():
    hinge, real, fake, none = Hinge(), Logits(REAL.conditional), Logits(FAKE.conditional), torch.zeros(0)
    first = hinge.real(real.conditional)
    half = first + (hinge.fake(fake.conditional) + hinge.fake(MISMATCH) / 2) / 2
    assert hinge.discriminator_loss(real, fake, MISMATCH, share=0.5) == pytest.approx(half)
    assert hinge.discriminator_loss(real, fake, none, share=0.0) == pytest.approx(
        first + hinge.fake(fake.conditional) / 2
    )
    assert hinge.discriminator_loss(real, fake, none) == pytest.approx(first + hinge.fake(fake.conditional))


class Each(Objective):
    """A loss for each sample, which would weigh as much as all of them together."""

    def deceive(self, logits):
        return -logits


def test_a_loss_is_one_number():
    with pytest.raises(UserError, match=r"Each\.deceive returned a tensor of shape \(2,\): return one number"):
        Each().generator_loss(FAKE)
    with pytest.raises(UserError, match="it returned a float"):
        scalar(0.5, "it")
