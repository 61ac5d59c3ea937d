import time
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from t2igan.profiling.clock import DATA, LOGGING, LOSSES, ClockProfiler, PartClock, _wrap

CPU = torch.device("cpu")


class Slow(torch.autograd.Function):
    """Takes its time, forward and backward."""

    @staticmethod
    def forward(ctx, value, seconds):
        ctx.seconds = seconds
        time.sleep(seconds)
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        time.sleep(2 * ctx.seconds)
        return gradient, None


class Network(nn.Module):
    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def forward(self, value):
        return Slow.apply(value, self.seconds)


class Owner:
    def backward(self, loss):
        loss.backward()

    def penalty(self, network, value):
        return network(value).sum()


@pytest.fixture
def clock():
    return PartClock(CPU)


def test_forward_and_backward_belong_to_their_network(clock):
    generator, discriminator, owner = Network(0.02), Network(0.05), Owner()
    _wrap(generator, "forward", "generator", clock)
    _wrap(discriminator, "forward", "discriminator", clock)
    _wrap(owner, "backward", "losses", clock, backward=True)
    noise = torch.ones(1, requires_grad=True)
    clock.start()
    owner.backward(discriminator(generator(noise)).sum())
    clock.stop()
    assert clock.seconds["generator"] == pytest.approx(0.06, abs=0.03)
    assert clock.seconds["discriminator"] == pytest.approx(0.15, abs=0.03)
    assert clock.seconds["losses"] < 0.03 and noise.grad is not None


def test_a_whole_part_keeps_what_is_entered_within_it(clock):
    """A penalty runs the discriminator, and that is the penalty's cost; so is its backward."""
    discriminator, owner = Network(0.03), Owner()
    _wrap(discriminator, "forward", "discriminator", clock)
    _wrap(owner, "penalty", "penalty", clock, whole=True)
    _wrap(owner, "backward", "losses", clock, backward=True)
    clock.start()
    owner.backward(owner.penalty(discriminator, torch.ones(1, requires_grad=True)))
    clock.stop()
    assert clock.seconds["discriminator"] == 0
    assert clock.seconds["penalty"] == pytest.approx(0.09, abs=0.03)


def test_a_clock_that_does_not_run_takes_no_time(clock):
    network = Network(0.01)
    _wrap(network, "forward", "network", clock)
    network(torch.ones(1))
    assert not clock.seconds


def test_actions_of_lightning_are_parts(clock):
    profiler, seen = ClockProfiler(clock), []
    clock.within = lambda part: nullcontext(seen.append(part))
    for action in (
        "[_TrainingEpochLoop].train_dataloader_next",
        "[Strategy]SingleDeviceStrategy.batch_to_device",
        "[Callback]RunCheckpoints.on_train_batch_end",
        "[Strategy]SingleDeviceStrategy.training_step",
        "[Strategy]SingleDeviceStrategy.validation_step",
        "run_training_epoch",
    ):
        profiler.start(action)
        profiler.stop(action)
    assert seen == [DATA, DATA, LOGGING, LOSSES]
