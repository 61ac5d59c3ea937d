"""Checkpoints of a few kB and configurations that describe networks which fill the memory: refused in time."""

import copy
import inspect
from abc import ABC
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_input import outcome_of
from harness import LONG
from torch import nn

from t2igan.cli.fit import import_classes
from t2igan.cli.main import main
from t2igan.cli.parsing import subclasses
from t2igan.errors import UserError
from t2igan.models.digest import seal
from t2igan.nn.bounded import TooLarge, refuse_what_no_memory_holds
from t2igan.nn.config import Configured
from t2igan.ranges import out_of_range

SIZES = (10**5, 10**8, 2**31, 10**30)


def numbers(content, path=()):
    """Where whole numbers stand in plain data."""
    items = (
        content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    )
    for key, value in items:
        if isinstance(value, int) and not isinstance(value, bool):
            yield (*path, key)
        yield from numbers(value, (*path, key))


def put(content, path, value):
    """``content`` with another value in one place."""
    changed = copy.deepcopy(content)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize("name", ["ssagan", "damsm"])
def test_every_size_that_a_checkpoint_names(good_input, tally, name):
    probe = tally("a checkpoint that describes huge networks: one line, under 10 s, under 1 GB")
    whole = torch.load(f"{name}.ckpt", weights_only=True)
    for path in numbers(whole["t2igan"]["config"]):
        for size in SIZES:
            own = whole["t2igan"] | {"config": put(whole["t2igan"]["config"], path, size)}
            huge = whole | {"t2igan": own}
            seal(huge)
            torch.save(huge, "huge.ckpt")
            outcome = outcome_of(
                "sample", "--checkpoint", "huge.ckpt", "--caption", "a red bird", "--n", 1, "--out", "out"
            )
            fault = outcome.fault(["huge.ckpt"], may_work=True)
            probe.note(not fault, f"{path} {size}: {fault}")
    probe.check()


def sizes_of_networks() -> Iterator[tuple[type, str]]:
    """Every class that a configuration may name and that can be made without others, with each of its sizes."""
    import_classes()
    for kind in sorted(set(subclasses(Configured)), key=lambda each: each.__name__):
        parameters = inspect.signature(kind.__init__).parameters.values()
        alone = all(
            each.default is not each.empty or each.kind is each.VAR_KEYWORD for each in list(parameters)[1:]
        )
        if kind.__module__.startswith(("t2igan.models", "t2igan.networks")) and alone and ABC not in kind.__bases__:
            yield from ((kind, each.name) for each in parameters if type(each.default) is int)


HARMLESS = {
    "seed": "draws nothing larger",
    "accumulate": "only counts",
    "most": "is bound by what an image holds",
    "widest": "only bounds a width",
    "attention": "is bound by the number of widths",
    "unknown_every": "only counts",
}


DEFERRED = {"BiLSTMTagger", "EvaluationClassifier"}
"""They make their networks when words or classes are known."""


@pytest.mark.skipif(not LONG, reason="every size of every class takes minutes: `make faults`")
@pytest.mark.parametrize("size", [10**9, 2**40], ids=str)
def test_no_size_of_a_configuration_fills_the_memory(tally, size):
    """Refused by its range, by its class, or by the sum of what would be made: without making it."""
    probe = tally("a size of 10^9 or 2^40 in a configuration: refused before networks are made")
    for kind, name in sizes_of_networks():
        if name in HARMLESS or kind.__name__ in DEFERRED:
            continue
        refused = bool(list(out_of_range(kind.__init__, {name: size})))
        try:
            refuse_what_no_memory_holds(lambda kind=kind, name=name: kind(**{name: size}), "too large")
            with torch.device("meta"):
                kind(**{name: size})
        except (TooLarge, ValueError):
            refused = True
        except UserError as error:
            # It is named, or MirrorGAN asks for its captioner first.
            refused |= str(size) in str(error) or "captioner" in str(error)
        probe.note(refused, f"{kind.__name__}.{name}")
    probe.check()


def tensor_error():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    return raised.value


def array_error():
    with pytest.raises(MemoryError) as raised:
        np.empty(2**60, np.uint8)
    return raised.value


FULL = {
    "the CPU's allocator": (tensor_error, "the memory is full"),
    "NumPy": (array_error, "the memory is full"),
    "another system's": (lambda: RuntimeError("DefaultCPUAllocator: not enough memory"), "the memory is full"),
    "another version's": (lambda: RuntimeError("alloc: can't allocate memory: 8 bytes"), "the memory is full"),
    "the GPU's": (lambda: torch.OutOfMemoryError("CUDA out of memory."), "the GPU's memory is full"),
}


@pytest.mark.parametrize(("error", "line"), FULL.values(), ids=FULL)
def test_no_memory_in_a_step_of_fit_is_told_in_one_line(good_input, monkeypatch, error, line):
    raised = error()

    def step(self, batch, batch_idx):
        raise raised

    monkeypatch.setattr("t2igan.models.damsm.DAMSM.training_step", step)
    outcome = outcome_of("fit", "--config", "damsm.yaml", "--run", "out")
    assert not outcome.fault([line])
    assert "batch_size" in outcome.line


def test_another_error_of_torch_is_a_bug(good_input, monkeypatch):
    def step(self, batch, batch_idx):
        raise RuntimeError("another")

    monkeypatch.setattr("t2igan.models.damsm.DAMSM.training_step", step)
    with pytest.raises(RuntimeError, match="another"):
        main(["fit", "--config", "damsm.yaml", "--run", "out"])


def test_layers_without_end_in_a_configuration():
    with pytest.raises(TooLarge, match="it is too large: they hold"):
        refuse_what_no_memory_holds(lambda: nn.ModuleList(nn.Linear(1, 1) for _ in range(10**6)), "it is too large")


@pytest.mark.parametrize(
    ("key", "size"), [("generator.init_args.channels", 10**6), ("generator.init_args.noise_dim", 10**12)]
)
def test_fit_names_the_largest_size(good_input, key, size):
    words = ("fit", "--config", "ssagan.yaml", "--run", "out", f"--model.init_args.{key}", size)
    assert not outcome_of(*words).fault([f"the largest of its sizes is model.init_args.{key}: {size}"])


@pytest.mark.parametrize("name", ["DMGAN", "AttnGAN", "DFGAN", "SSAGAN"])
@pytest.mark.parametrize("option", ["image_size", "channels", "discriminator_channels"])
def test_fit_refuses_absurd_presets(good_input, tally, name, option):
    probe = tally("fit of a preset with a size of 2^40: one line, under 10 s, under 1 GB")
    Path("huge.yaml").write_text(
        f"model: {{class_path: {name}, init_args: {{damsm: damsm.ckpt, {option}: {2**40}}}}}\n"
        "data: {class_path: DrawnBirds, init_args: {store: store.h5}}\n"
    )
    fault = outcome_of("fit", "--config", "huge.yaml", "--run", "out").fault([option])
    probe.note(not fault, f"{name}.{option}: {fault}")
    probe.check()
