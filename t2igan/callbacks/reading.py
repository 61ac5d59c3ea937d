"""Copy small tensors to the host without waiting for the device."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

STEPS_LATE = 2


class LateReader:
    """Reads tensors from the device a few steps after they were queued, when they have long been computed.

    Values on the CPU are read at once. The delay counts steps, not time, so that all processes of a run
    read the same values at the same step.

    Args:
        late: number of steps between :meth:`put` and :meth:`take`, for tensors on an accelerator.
    """

    def __init__(self, late: int = STEPS_LATE) -> None:
        self.late = late
        self._waiting: deque[tuple[Any, Tensor, torch.cuda.Event | None]] = deque()

    def put(self, label: Any, values: Tensor) -> None:
        """Queue a copy of a tensor, at most once a step; the tensor may be modified afterwards."""
        if not values.is_cuda:
            self._waiting.append((label, values.detach().clone(), None))
            return
        host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        host.copy_(values.detach(), non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self._waiting.append((label, host, event))

    def take(self, everything: bool = False) -> Iterator[tuple[Any, Tensor]]:
        """(label, values) of the tensors that are due; with ``everything`` of all, waiting for the device."""
        while self._waiting:
            label, values, event = self._waiting[0]
            if event is not None:
                if not everything and len(self._waiting) <= self.late:
                    return
                event.synchronize()
            self._waiting.popleft()
            yield label, values
