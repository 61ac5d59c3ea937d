"""A released network as data: how it is told, read from its tensors and built."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from t2igan.models.adversarial import AdversarialModule

Arguments = dict[str, Any]
# (pattern in the suite's name of a tensor, what stands there in the released name), applied one after the other.
Rules = list[tuple[str, str | Callable[[re.Match[str]], str]]]


class Shapes(dict[str, tuple[int, ...]]):
    """Shapes of released tensors by name.

    A name that is not there reads as the released network's: what is missing is then listed against a whole
    network, rather than one tensor at a time.
    """

    def size(self, name: str, axis: int, released: int) -> int:
        """A tensor's extent along an axis."""
        shape = self.get(name, ())
        return shape[axis] if len(shape) > axis else released

    def count(self, pattern: str) -> int:
        """How many different things the first group of a pattern, which begins names, stands for."""
        found = (re.match(pattern, name) for name in self)
        return len({match[1] for match in found if match})


@dataclass(frozen=True)
class Kind:
    """A released network.

    Attributes:
        network: its class in the suite.
        read: its arguments, from the shapes of the released tensors.
        fingerprint: a tensor that tells it from the kinds that are asked after it.
        released: arguments that make it do as the released network does, where the suite's default does otherwise.
        prefix: what the original code saves before every key.
        parts: classes of the networks that it is made of, where there are several; ``read`` gives arguments of
            each.
        module: the paper's LightningModule that trains it, and its arguments; None of what is no generator.
    """

    network: type[nn.Module]
    read: Callable[[Shapes], Arguments]
    fingerprint: str
    released: Arguments = field(default_factory=dict)
    prefix: str = ""
    parts: dict[str, type[nn.Module]] = field(default_factory=dict)
    module: tuple[type[AdversarialModule], Arguments] | None = None

    @property
    def options(self) -> list[str]:
        """Names of its arguments."""
        networks = self.parts.values() or [self.network]
        return list(dict.fromkeys(name for network in networks for name in _parameters(network)))

    def build(self, read: Arguments, config: Arguments) -> nn.Module:
        """The network.

        Args:
            read: from its shapes.
            config: some of ``options``, which overrule what was read and released.
        """
        if not self.parts:
            return self.network(**{**self.released, **read, **config})
        parts = {}
        for name, network in self.parts.items():
            own = {key: value for key, value in config.items() if key in _parameters(network)}
            parts[name] = network(**{**read[name], **own})
        return self.network(**parts)


def _parameters(network: type[nn.Module]) -> list[str]:
    return list(inspect.signature(network).parameters)


def cascade(shapes: Shapes) -> Arguments:
    """Arguments of the cascaded generators of AttnGAN, MirrorGAN and DM-GAN."""
    doublings = shapes.count(r"h_net1\.upsample(\d+)\.") or 4
    stages = 1 + shapes.count(r"h_net([2-9])\.")
    eps_dim = shapes.size("ca_net.fc.weight", 0, 400) // 4
    arguments = {
        "image_size": 4 * 2 ** (doublings + stages - 1),
        "stages": stages,
        "channels": shapes.size(f"h_net1.upsample{doublings}.1.weight", 0, 64) // 2,
        "noise_dim": max(shapes.size("h_net1.fc.0.weight", 1, eps_dim + 100) - eps_dim, 1),
        "sentence_dim": shapes.size("ca_net.fc.weight", 1, 256),
        "eps_dim": eps_dim,
    }
    if stages > 1:
        arguments["residual_blocks"] = shapes.count(r"h_net2\.residual\.(\d+)\.")
    return arguments
