import pytest
from matrix_plans import plan

from t2igan.errors import UserError


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": ["a"]}, r"seeds\[0\]: 'a' is not of type int"),
        ({"seeds": [-1]}, "seeds must be"),
        ({"seeds": []}, "seeds must be"),
        ({"baselines": ["fake"]}, r"datasets\.birds\.baselines\[0\]: 'fake' is not one of real, untrained"),
        ({"models": ["a/x.yaml", "b/x.yaml"]}, "two entries called x"),
        ({"models": [{"name": "x"}]}, r"datasets\.birds\.models\[0\]\.config is missing"),
        (
            {"models": [{"config": "x.yaml", "seed": 1}]},
            r"models\[0\]\.seed: unknown key; valid keys: config, name, set, grid",
        ),
        ({"classifier": {"config": "x.yaml", "seed": -1}}, r"birds\.classifier\.seed: -1 is below 0"),
        ({"independent_damsm": ["runs/d/checkpoints/last.ckpt"]}, r"last\.ckpt is a checkpoint: name the config"),
        ({"prepare": "a 'b"}, "prepare of data set birds is not a command line"),
        ({"wandb": "sometimes"}, r"wandb\.mode: 'sometimes' is not one of online, offline, disabled"),
        ({"colour": "red"}, "colour: unknown key; valid keys:"),
        ({"models": "x.yaml"}, r"datasets\.birds\.models: 'x\.yaml' is not a list"),
    ],
)
def test_a_matrix_that_is_none(place, changes, words):
    with pytest.raises(UserError, match=words):
        plan(**changes)


def test_a_protocol_that_is_none(place):
    with pytest.raises(UserError, match="quack"):
        plan(protocols=["drawn-birds/quack"]).phases[0]()
