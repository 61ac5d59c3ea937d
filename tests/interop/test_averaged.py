import pytest
import torch

from t2igan.errors import UserError
from t2igan.models.weights_file import halved


def test_weights_too_large_for_half_precision_are_refused():
    with pytest.raises(UserError, match="w holds 1e\\+06, too large"):
        halved({"w": torch.tensor([1e6])})
    kept = halved({"w": torch.tensor([1e6]), "n": torch.tensor(3)}, frozenset({"w"}))
    assert (kept["w"].dtype, kept["n"].dtype) == (torch.float32, torch.int64)
