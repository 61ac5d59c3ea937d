"""Profile a few training steps: without the clock, with it, and one with counted arithmetic."""

import statistics
import time
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from t2igan.lightning_private import set_profiler
from t2igan.profiling.arithmetic import FlopsByPart, measure_peaks
from t2igan.profiling.clock import ClockProfiler, PartClock, synchronise, watch
from t2igan.profiling.memory import forget_peak, peak_megabytes
from t2igan.ranges import Count, check_ranges

WARM_UP = 2


@dataclass(frozen=True)
class StepPart:
    """Time and arithmetic of one part of a step.

    Attributes:
        name: name of the network, loss or chore.
        seconds: seconds per step.
        gflop: 10^9 floating point operations per step, in convolutions, matrix products and LSTMs.
    """

    name: str
    seconds: float
    gflop: float


@dataclass(frozen=True)
class Profile:
    """Profile of a training step.

    Attributes:
        subject: name of the trained configuration.
        device: name of the device.
        threads: threads of the process.
        precision: precision of the trainer.
        images: images per step.
        step_seconds: seconds of each step run without the clock.
        peak_megabytes: peak memory during those steps.
        parts: parts of a step with the clock, the longest first.
        peaks: GFLOP/s of the device in a convolution and in a matrix product, measured in the same run.
    """

    subject: str
    device: str
    threads: int
    precision: str
    images: int
    step_seconds: list[float]
    peak_megabytes: float
    parts: list[StepPart]
    peaks: dict[str, float]

    @property
    def seconds(self) -> float:
        """Median seconds of a step without the clock."""
        return statistics.median(self.step_seconds)

    @property
    def images_per_second(self) -> float:
        """Images per second without the clock."""
        return self.images / self.seconds

    @property
    def gflop(self) -> float:
        """10^9 floating point operations per step."""
        return sum(part.gflop for part in self.parts)

    @property
    def share_of_peak(self) -> float:
        """Share of the convolution peak that a step without the clock reaches."""
        return self.gflop / self.seconds / self.peaks["convolution"]

    @property
    def peak_disturbed(self) -> bool:
        """Whether the step seems faster than the device can be: the peak was measured while something else ran."""
        return self.share_of_peak > 1

    def as_dict(self) -> dict[str, Any]:
        """The profile as plain data, with derived quantities."""
        derived = ("seconds", "images_per_second", "gflop", "share_of_peak", "peak_disturbed")
        return asdict(self) | {name: getattr(self, name) for name in derived}


class ProfileSteps(Callback):
    """Callback that measures: warm-up steps, ``steps`` without clock, as many with it, one with counted arithmetic.

    Args:
        subject: name of what is trained.
        steps: number of steps measured with and without the clock.

    Attributes:
        profile: the result, available after training.
    """

    def __init__(self, subject: str, steps: Count) -> None:
        check_ranges(type(self), {"steps": steps}, ProfileSteps.__init__)
        self.subject, self.steps = subject, steps
        self.profile: Profile | None = None
        self._begun: list[float] = []
        self._images = 0

    @property
    def all_steps(self) -> int:
        """Total number of steps that the training must have."""
        return WARM_UP + 2 * self.steps + 2

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set up clock and counter."""
        self.device = pl_module.device
        self.clock = PartClock(self.device)
        self.counter = FlopsByPart(self.clock)
        half = torch.bfloat16 if "bf16" in str(trainer.precision) else torch.float32
        self._measure_peaks = partial(measure_peaks, self.device, half)
        self._peaks = self._measure_peaks()
        set_profiler(trainer, ClockProfiler(self.clock))
        watch(pl_module, trainer, self.clock)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """A step begins: the one before has ended, its logging and the loading of this batch included."""
        number, self._images = len(self._begun), len(batch)
        if number <= WARM_UP + self.steps:
            synchronise(self.device)
        self._begun.append(time.perf_counter())
        if number == WARM_UP:
            forget_peak(self.device)
        elif number == WARM_UP + self.steps:
            self._peak = peak_megabytes(self.device)
            self.clock.start()
        elif number == WARM_UP + 2 * self.steps:
            self.clock.stop()
        elif number == WARM_UP + 2 * self.steps + 1:
            self.counter.__enter__()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """The last step is the one that is counted."""
        if len(self._begun) == self.all_steps:
            self.counter.__exit__(None, None, None)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Build the profile."""
        plain = self._begun[WARM_UP : WARM_UP + self.steps + 1]
        names = sorted({*self.clock.seconds, *self.counter.flops}, key=lambda name: -self.clock.seconds[name])
        after = self._measure_peaks()  # also measured before: other processes may disturb one of the measurements
        self.profile = Profile(
            subject=self.subject,
            device=torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU",
            threads=torch.get_num_threads(),
            precision=str(trainer.precision),
            images=self._images,
            step_seconds=[end - begin for begin, end in pairwise(plain)],
            peak_megabytes=self._peak,
            parts=[
                StepPart(name, self.clock.seconds[name] / self.steps, self.counter.flops[name] / 1e9)
                for name in names
            ],
            peaks={name: max(rate, after[name]) for name, rate in self._peaks.items()},
        )
