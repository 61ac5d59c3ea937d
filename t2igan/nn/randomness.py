"""Random numbers of a training step: one rule for every module of the suite.

What a step draws depends on the run's seed, the step's number and the place of each sample in the batch of all
devices together; on nothing else. So a resumed run draws what the uninterrupted one draws, any number of devices
draws what one draws, and neither worker processes nor whatever draws between two steps changes a bit.

What the suite itself needs (noise, dropout, mismatched captions) comes from :class:`StepRandom`. For networks that
ask torch's own generators :func:`step_seed` gives the seed that they are set to when a step begins, another on
each device.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor, nn


class Purpose(IntEnum):
    """What numbers are for; numbers of different purposes are independent. 0 is the noise of evaluations."""

    NOISE = 1
    DROPOUT = 2
    MISMATCH = 3
    SEGMENTS = 4
    DROPPED_CONDITIONS = 5
    DIFFUSION_TIMES = 6
    DIFFUSION_NOISE = 7
    RECOLOURING = 8


def step_seed(seed: int, step: int, rank: int) -> int:
    """Seed of torch's generators for one step on one device; no two of them alike, 64 bits wide.

    Args:
        seed: seed of the run, at least 0.
        step: number of the training batch, counted from 0 over the whole run.
        rank: rank of the device.
    """
    return _mixed(seed, step, rank)


def seed_weights() -> None:
    """Set torch's generators for the weights of networks that are built late, once their size is known.

    They then depend on the seed that the generators were last given, not on what was drawn since: a strategy of
    several devices gives it anew when it starts its processes, one device does not.
    """
    torch.manual_seed(_mixed(torch.initial_seed()))


def _mixed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


@dataclass(frozen=True)
class StepRandom:
    """The random numbers of one training step for some consecutive samples.

    Attributes:
        seed: seed of the run, at least 0.
        step: number of the training batch, counted from 0 over the whole run.
        first: place of the first sample in the batch of all devices.
    """

    seed: int
    step: int
    first: int = 0

    def after(self, samples: int) -> "StepRandom":
        """The numbers of what follows behind ``samples`` samples."""
        return StepRandom(self.seed, self.step, self.first + samples)

    def normal(self, samples: int, width: int, purpose: Purpose = Purpose.NOISE) -> Tensor:
        """Standard normal numbers (samples, width) of torch's default type, on the CPU."""
        rows = [each.standard_normal(width) for each in self._generators(samples, purpose)]
        return torch.from_numpy(np.stack(rows)).to(torch.get_default_dtype())

    def uniform(self, samples: int, width: int, purpose: Purpose) -> Tensor:
        """Numbers in [0, 1), float32 (samples, width), on the CPU; a narrower row is a wider one's beginning."""
        rows = [each.random(width, np.float32) for each in self._generators(samples, purpose)]
        return torch.from_numpy(np.stack(rows))

    def _generators(self, samples: int, purpose: Purpose) -> list[np.random.Generator]:
        # Arrays, since numpy takes three times as long over lists.
        key = np.array([self.seed, self.step], np.uint64)
        places = range(self.first, self.first + samples)
        counters = [np.array([0, 0, purpose, place], np.uint64) for place in places]
        return [np.random.Generator(np.random.Philox(key=key, counter=counter)) for counter in counters]


class Dropout(nn.Dropout):
    """Dropout that takes a step's own random numbers where it is given them."""

    def forward(self, input: Tensor, random: StepRandom | None = None) -> Tensor:
        """``input`` (B, ...) with a share ``p`` of its elements zero, the others scaled up, in train mode."""
        if random is None or not self.training or self.p == 0:
            return super().forward(input)
        drawn = random.uniform(len(input), input[0].numel(), Purpose.DROPOUT).view(input.shape)
        return input * (drawn >= self.p).to(input.device, input.dtype, non_blocking=True) / (1 - self.p)
