"""Whether weights are numbers."""

import math
from collections.abc import Mapping

from torch import Tensor
from torch.nn.utils import get_total_norm


def first_non_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds a number which is not finite; None where all are.

    The device is waited for once, and once a tensor only where something is wrong.
    """
    floating = {name: each.detach() for name, each in tensors.items() if each.is_floating_point() and each.numel()}
    if not floating or math.isfinite(get_total_norm(list(floating.values()), math.inf).item()):
        return None
    return next((name for name, value in floating.items() if not value.isfinite().all()), None)
