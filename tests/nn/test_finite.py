import math

import torch

from t2igan.nn.finite import first_non_finite


def test_the_first_tensor_that_is_not_finite_is_named():
    good = {"a": torch.ones(3), "count": torch.tensor(3), "empty": torch.empty(0), "huge": torch.full((2,), 3e38)}
    assert first_non_finite(good) is None
    assert first_non_finite(good | {"b": torch.tensor([1.0, math.inf]), "c": torch.tensor(math.nan)}) == "b"
    assert first_non_finite({}) is None
