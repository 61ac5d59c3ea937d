import torch

from t2igan.layout.segments import SpatioTextualMap
from t2igan.models.guidance import Fast, GuidedConditions, Multi


def wanted():
    torch.manual_seed(0)
    st_map = SpatioTextualMap(torch.randn(3, 2, 4), torch.randint(0, 3, (3, 5, 5)))
    return GuidedConditions(torch.randn(3, 6), torch.zeros(3, 6), st_map)


class Noise:
    """A predictor; counts its calls."""

    def __init__(self, interaction):
        self.interaction, self.calls = interaction, 0

    def __call__(self, noisy, text, st_map):
        self.calls += 1
        said = text.sum(1)[:, None, None, None].sin()
        places = st_map.dense().sum(1, keepdim=True).tanh()
        return 0.3 * noisy + said + places + self.interaction * said * places


def predictions(predict, noisy, conditions):
    """e without conditions, with the caption, with the map, with both."""
    nothing = conditions.st_map.nothing()
    silent, text, st_map = conditions.no_text, conditions.text, conditions.st_map
    pairs = ((silent, nothing), (text, nothing), (silent, st_map), (text, st_map))
    return [predict(noisy, *pair) for pair in pairs]


def test_both_forms_are_the_formulas_in_one_call():
    noisy, conditions, predict = torch.randn(3, 1, 5, 5), wanted(), Noise(interaction=1.0)
    nothing, text, places, both = predictions(predict, noisy, conditions)
    predict.calls = 0
    assert torch.allclose(Fast(2.5)(predict, noisy, conditions), nothing + 2.5 * (both - nothing), atol=1e-5)
    guided = Multi(1.5, 4.0)(predict, noisy, conditions)
    assert predict.calls == 2
    expected = nothing + 1.5 * (text - nothing) + 4.0 * (places - nothing)
    assert torch.allclose(guided, expected, atol=1e-5)


def test_with_one_condition_both_forms_are_ordinary_guidance():
    noisy, conditions, predict = torch.randn(3, 1, 5, 5), wanted(), Noise(interaction=1.0)
    conditions = GuidedConditions(conditions.text, conditions.no_text, conditions.st_map.nothing())
    ordinary = Fast(3.0)(predict, noisy, conditions)
    assert torch.allclose(Multi(3.0, 7.0)(predict, noisy, conditions), ordinary, atol=1e-5)
    assert not torch.allclose(ordinary, predict(noisy, conditions.text, conditions.st_map), atol=1e-2)


def test_of_additive_predictions_scales_of_one_give_the_joint():
    noisy, conditions, predict = torch.randn(3, 1, 5, 5), wanted(), Noise(interaction=0.0)
    both = predictions(predict, noisy, conditions)[3]
    assert torch.allclose(Multi(1.0, 1.0)(predict, noisy, conditions), both, atol=1e-5)
    assert torch.allclose(Fast(1.0)(predict, noisy, conditions), both, atol=1e-5)


def test_scales_of_zero_ignore_the_conditions():
    noisy, conditions, predict = torch.randn(3, 1, 5, 5), wanted(), Noise(interaction=1.0)
    nothing = predictions(predict, noisy, conditions)[0]
    for guidance in (Fast(0.0), Multi(0.0, 0.0)):
        assert torch.equal(guidance(predict, noisy, conditions), nothing)
