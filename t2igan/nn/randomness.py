"""Random numbers of a training step, by one rule for all modules of the suite.

They depend only on the run's seed, the step's number and the index of each sample in the global batch of all
devices. So resuming, the number of devices, worker processes and random draws between steps do not change them.

The suite's own noise, dropout and mismatched captions come from :class:`StepRandom`. For networks that use torch's
generators, :func:`step_seed` gives the seed that these are set to at the start of a step, different on each device.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor, nn


class Purpose(IntEnum):
    """Purposes of random numbers, which are independent of each other. 0 is the noise of evaluations."""

    NOISE = 1
    DROPOUT = 2
    MISMATCH = 3
    SEGMENTS = 4
    DROPPED_CONDITIONS = 5
    DIFFUSION_TIMES = 6
    DIFFUSION_NOISE = 7
    RECOLOURING = 8


def step_seed(seed: int, step: int, rank: int) -> int:
    """Unique 64-bit seed of torch's generators for one step on one device.

    Args:
        seed: seed of the run, at least 0.
        step: number of the training batch, counted from 0 over the whole run.
        rank: rank of the device.
    """
    return _mixed(seed, step, rank)


def seed_weights() -> None:
    """Seed torch's generators for weights of networks that are built late, when their size is known.

    The weights then depend on the last seed of the generators, not on draws since then: strategies of several
    devices reseed when they start their processes, a single device does not.
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
        first: index of the first sample in the global batch of all devices.
    """

    seed: int
    step: int
    first: int = 0

    def after(self, samples: int) -> "StepRandom":
        """The random numbers of the samples after the first ``samples``."""
        return StepRandom(self.seed, self.step, self.first + samples)

    def normal(self, samples: int, width: int, purpose: Purpose = Purpose.NOISE) -> Tensor:
        """Standard normal numbers (samples, width) in torch's default dtype, on the CPU."""
        rows = [each.standard_normal(width) for each in self._generators(samples, purpose)]
        return torch.from_numpy(np.stack(rows)).to(torch.get_default_dtype())

    def uniform(self, samples: int, width: int, purpose: Purpose) -> Tensor:
        """Numbers in [0, 1), float32 (samples, width), on the CPU; a narrower row is a prefix of a wider one."""
        rows = [each.random(width, np.float32) for each in self._generators(samples, purpose)]
        return torch.from_numpy(np.stack(rows))

    def _generators(self, samples: int, purpose: Purpose) -> list[np.random.Generator]:
        # Arrays, since numpy takes three times as long over lists.
        key = np.array([self.seed, self.step], np.uint64)
        places = range(self.first, self.first + samples)
        counters = [np.array([0, 0, purpose, place], np.uint64) for place in places]
        return [np.random.Generator(np.random.Philox(key=key, counter=counter)) for counter in counters]


class Dropout(nn.Dropout):
    """Dropout that uses a step's own random numbers if they are given."""

    def forward(self, input: Tensor, random: StepRandom | None = None) -> Tensor:
        """``input`` (B, ...) with a share ``p`` of its elements zero, the others scaled up, in train mode."""
        if random is None or not self.training or self.p == 0:
            return super().forward(input)
        drawn = random.uniform(len(input), input[0].numel(), Purpose.DROPOUT).view(input.shape)
        return input * (drawn >= self.p).to(input.device, input.dtype, non_blocking=True) / (1 - self.p)
