"""Divide the time of a training step among its parts: networks, losses, data, optimiser, logging."""

import dataclasses
import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.profilers import Profiler
from torch import Tensor, nn

from t2igan.callbacks.watching import networks_of
from t2igan.models.adversarial import AdversarialModule

DATA, LOSSES, PENALTY, MATCHING = "data", "losses, rest of the step", "penalty", "matching loss"
OPTIMISER, AVERAGE, LOGGING = "optimiser", "average", "logging, training loop"
_DATA_ACTIONS = ("dataloader_next", "batch_transfer", "batch_to_device", "transfer_batch_to_device")


class PartClock:
    """Counts the time between two events for the current part.

    Parts are entered and left like calls. Within a backward pass the current part changes when a gradient reaches
    the output of a network: from then on that network's backward is computed, until the next network's output is
    reached. On a GPU every change synchronises with the device, which slows the measured step down.

    Args:
        device: device of the training.

    Attributes:
        seconds: seconds of each part so far.
        running: whether time is being measured.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self.running = False
        self._parts = [LOGGING]
        self._whole = 0  # number of parts on the stack that are not divided further
        self._backward = 0
        self._since = 0.0

    @property
    def part(self) -> str:
        """Name of the current part."""
        return self._parts[-1]

    @property
    def divides(self) -> bool:
        """Whether nested parts count separately from the current part."""
        return not self._whole

    def start(self) -> None:
        """Start measuring."""
        synchronise(self.device)
        self.running, self._since = True, time.perf_counter()

    def stop(self) -> None:
        """Stop measuring."""
        self._settle()
        self.running = False

    @contextmanager
    def within(self, part: str, whole: bool = False, backward: bool = False) -> Iterator[None]:
        """Count the time within for ``part``.

        Args:
            part: name of the part.
            whole: count nested parts for it too.
            backward: let gradients that arrive at networks change the part.
        """
        self._settle()
        self._parts.append(part if self.divides else self.part)
        self._whole += whole
        self._backward += backward
        try:
            yield
        finally:
            self._settle()
            self._parts.pop()
            self._whole -= whole
            self._backward -= backward

    def turn(self, part: str) -> None:
        """Change the part, because a gradient has reached its output."""
        if self._backward and self.divides:
            self._settle()
            self._parts[-1] = part

    def _settle(self) -> None:
        if self.running:
            synchronise(self.device)
            now = time.perf_counter()
            self.seconds[self.part] += now - self._since
            self._since = now


def synchronise(device: torch.device) -> None:
    """Wait for all pending work of the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def watch(module: pl.LightningModule, trainer: pl.Trainer, clock: PartClock) -> None:
    """Instrument the parts of a module, set up for training, with the clock."""
    for name, network in networks_of(module).items():
        _watch_network(network, _title(name), clock)
    _wrap(module, "backward", LOSSES, clock, backward=True)
    for name in ("log", "log_dict"):
        _wrap(module, name, LOGGING, clock)
    _wrap(trainer.strategy, "optimizer_step", OPTIMISER, clock)
    for average in getattr(module, "averages", {}).values():
        _wrap(average, "update", AVERAGE, clock)
    _watch_methods(module, clock)
    if isinstance(module, AdversarialModule):
        _watch_adversarial(module, clock)


def _watch_methods(module: pl.LightningModule, clock: PartClock) -> None:
    """Instrument parts that compute in methods other than ``forward``: segment encoders and diffusion hosts."""
    vectors = ("image_vectors", "caption_vectors")
    for owner, part, methods in (
        (getattr(module, "encoder", None), "segment encoder", vectors),
        (getattr(getattr(module, "conditioner", None), "encoder", None), "segment encoder", vectors),
        (getattr(module, "host", None), "generator", ("encode", "predict")),
    ):
        for name in methods:
            if hasattr(owner, name):
                _wrap(owner, name, part, clock)


def _title(name: str) -> str:
    """Readable name of a network; those of a joint encoder are ``images`` and ``texts``."""
    return {"images": "image encoder", "texts": "text encoder"}.get(name, name.replace("_", " "))


def _watch_adversarial(module: AdversarialModule, clock: PartClock) -> None:
    if module.scorer is not None and module.scorer.text_encoder is not module.text_encoder:
        _watch_network(module.scorer.text_encoder, "text encoder", clock)
    for discriminator in module.discriminators:
        title = _title(next(name for name, each in module.networks().items() if each is discriminator))
        # Discriminators of layouts have a single forward pass.
        for method in ("conditional", "unconditional", "verdict"):
            _wrap(discriminator, method, title, clock)
    _wrap(module, "penalty_loss", PENALTY, clock, whole=True)
    if module.penalty is not None:
        # A separate part if it reuses the features of the discriminator's loss.
        penalty = vars(module)["penalty"] = _Penalty(module.penalty)
        _wrap(penalty, "compute", PENALTY, clock, whole=True)
    for term in module.generator_losses:
        _wrap(term, "forward", MATCHING if term.needs_scorer else _title(term.name), clock, whole=True)


class _Penalty:
    """A gradient penalty whose computation is timed."""

    def __init__(self, penalty: Any) -> None:
        self._penalty = penalty

    def __call__(self, *pair: Tensor) -> Tensor:
        return self.compute(*pair)

    def compute(self, *pair: Tensor) -> Tensor:
        return self._penalty(*pair)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._penalty, name)


def _watch_network(network: nn.Module, part: str, clock: PartClock) -> None:
    _wrap(network, "forward", part, clock)


def _wrap(owner: Any, name: str, part: str, clock: PartClock, whole: bool = False, backward: bool = False) -> None:
    """Count the time of a method and of its backward pass for a part."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def timed(*args: Any, **kwargs: Any) -> Any:
        with clock.within(part, whole, backward):
            result = method(*args, **kwargs)
        if clock.divides:
            for tensor in _tensors(result):
                if tensor.requires_grad:
                    tensor.register_hook(_turner(clock, part))
        return result

    object.__setattr__(owner, name, timed)


def _turner(clock: PartClock, part: str) -> Callable[[Tensor], None]:
    def turn(_: Tensor) -> None:
        clock.turn(part)

    return turn


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif dataclasses.is_dataclass(value):
        yield from _tensors([getattr(value, field.name) for field in dataclasses.fields(value)])


class ClockProfiler(Profiler):
    """Lightning profiler that reports loading, steps and callbacks to the clock."""

    def __init__(self, clock: PartClock) -> None:
        super().__init__()
        self.clock = clock
        self._open: dict[str, Any] = {}

    def start(self, action_name: str) -> None:
        """Enter the part of an action of Lightning."""
        part = self._part(action_name)
        if part is not None:
            self._open[action_name] = self.clock.within(part)
            self._open[action_name].__enter__()

    def stop(self, action_name: str) -> None:
        """Leave the part of an action."""
        if action_name in self._open:
            self._open.pop(action_name).__exit__(None, None, None)

    def _part(self, action: str) -> str | None:
        if action.startswith("[Callback]"):
            return LOGGING
        if any(word in action for word in _DATA_ACTIONS):
            return DATA
        return LOSSES if action.startswith("[Strategy]") and action.endswith("training_step") else None
