"""A process that does training steps one way, one at a time, whenever it is told to.

``python -m benchmarks.worker CASE WAY``, both JSON: prints a line of JSON when it is ready, does a step for each
line that it reads and prints what it took, or what it computed if the line is ``count``, and ends with its input.
Ways wait for each other so that they meet the same machine, and each has an allocator of its own.
"""

import json
import resource
import sys
import time
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch.utils.data import DataLoader

from benchmarks.systems import Case, batch_of, original, original_inputs, suite
from t2igan.allocator import keep_memory
from t2igan.nn.levers import Levers, settle
from t2igan.profiling.arithmetic import FlopsByPart
from t2igan.profiling.clock import PartClock

FOREVER = 10**9
COUNT = "count"


class Clock:
    """Wall and CPU seconds of each step, or its arithmetic, asked for over standard input."""

    runs = False
    counter: FlopsByPart | None = None

    def wait(self) -> bool:
        """Until the next step is asked for; whether one is."""
        line = sys.stdin.readline()
        self.counter = FlopsByPart(PartClock(torch.device("cpu"))) if line.strip() == COUNT else None
        return bool(line)

    def start(self) -> None:
        """A step begins."""
        self.runs = True
        if self.counter is not None:
            self.counter.__enter__()
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """It is over: say what it took."""
        if not self.runs:
            return
        self.runs = False
        if self.counter is not None:
            self.counter.__exit__(None, None, None)
            print(json.dumps({"gflop": sum(self.counter.flops.values()) / 1e9}), flush=True)
            return
        seconds = {"wall": time.perf_counter() - self.wall, "cpu": time.process_time() - self.cpu}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(seconds | {"peak_mib": peak}), flush=True)


class Gate(Callback):
    """Lets the Trainer do a step when it is asked for."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> int | None:
        """Wait; -1 ends the epoch, which is the run."""
        if not self.clock.wait():
            trainer.should_stop = True
            return -1
        self.clock.start()
        return None

    def on_train_batch_end(self, *_: Any) -> None:
        """Report."""
        self.clock.stop()


class _Again:
    """The same batch for ever."""

    def __init__(self, case: Case) -> None:
        self.batch = batch_of(case)

    def __len__(self) -> int:
        return FOREVER

    def __getitem__(self, _: int) -> Any:
        return self.batch


def run_suite(case: Case, speed: str, named: dict[str, bool]) -> None:
    """The suite's own training, gated."""
    levers = settle(speed, Levers(**named), cuda=False)
    if levers.allocator:
        keep_memory()
    module = suite(case)
    module.levers = levers
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        logger=False,
        callbacks=[Gate(Clock())],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        precision="bf16-mixed" if levers.bf16 else None,
    )
    print("{}", flush=True)
    trainer.fit(module, DataLoader(_Again(case), batch_size=None))


def run_original(case: Case, allocator: bool) -> None:
    """The released code's way, gated."""
    if allocator:
        keep_memory()
    step, inputs, clock = original(case), original_inputs(case), Clock()
    print("{}", flush=True)
    while clock.wait():
        clock.start()
        step(inputs)
        clock.stop()


def run_peak() -> None:
    """Instead of a step: the rate of three convolutions that the device does best, GFLOP/s (baselines' shapes)."""
    keep_memory()
    shapes = [(512, 32), (256, 64), (512, 64)]
    layers = [torch.nn.Conv2d(c, c, 3, padding=1, bias=False).requires_grad_(False) for c, _ in shapes]
    inputs = [torch.randn(4, c, s, s) for c, s in shapes]
    print("{}", flush=True)
    while sys.stdin.readline():
        rates = []
        for layer, features, (channels, side) in zip(layers, inputs, shapes):
            flop = 2 * 4 * channels**2 * 9 * side**2
            layer(features)
            begun, cpu = time.perf_counter(), time.process_time()
            layer(features)
            rates.append((flop / (time.perf_counter() - begun) / 1e9, flop / (time.process_time() - cpu) / 1e9))
        wall, cpu = (max(column) for column in zip(*rates))
        print(json.dumps({"gflops": wall, "gflops_per_cpu_second": cpu}), flush=True)


def main(case: dict[str, Any], way: dict[str, Any]) -> None:
    """Run what is asked for."""
    torch.set_num_threads(way["threads"])
    # Takes minutes with the widest layers, and a step takes as long with other weights.
    torch.nn.init.orthogonal_ = partial(torch.nn.init.normal_, std=0.02)
    if way["name"] == "peak":
        run_peak()
    elif way["name"] == "original":
        run_original(Case(**case), way["allocator"])
    else:
        run_suite(Case(**case), way["speed"], way["levers"])


if __name__ == "__main__":
    main(*map(json.loads, sys.argv[1:3]))
