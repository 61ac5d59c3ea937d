"""Description of a released network: how to recognise it, read its arguments and build it."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from t2igan.models.adversarial import AdversarialModule

Arguments = dict[str, Any]
# (pattern in the suite's tensor name, replacement in the released name), applied in order.
Rules = list[tuple[str, str | Callable[[re.Match[str]], str]]]


class Shapes(dict[str, tuple[int, ...]]):
    """Shapes of released tensors by name.

    A missing name has the released network's shape, so that all missing tensors can be listed at once.
    """

    def size(self, name: str, axis: int, released: int) -> int:
        """A tensor's extent along an axis."""
        shape = self.get(name, ())
        return shape[axis] if len(shape) > axis else released

    def count(self, pattern: str) -> int:
        """Number of different values of the first group of a pattern that matches the beginning of names."""
        found = (re.match(pattern, name) for name in self)
        return len({match[1] for match in found if match})


@dataclass(frozen=True)
class Kind:
    """Description of a kind of released network.

    Attributes:
        network: class of the network in the suite.
        read: function that reads its arguments from the shapes of the released tensors.
        fingerprint: name of a tensor that distinguishes it from the kinds tried after it.
        released: arguments that reproduce the released behaviour, if the suite's defaults differ.
        prefix: prefix of every key in the original file.
        parts: classes of the networks that it is made of, where there are several; ``read`` gives arguments of
            each.
        module: the paper's LightningModule, and its arguments; None unless the network is a generator.
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
        """Names of the network's arguments."""
        networks = self.parts.values() or [self.network]
        return list(dict.fromkeys(name for network in networks for name in _parameters(network)))

    def build(self, read: Arguments, config: Arguments) -> nn.Module:
        """Build the network.

        Args:
            read: arguments read from the shapes.
            config: arguments among ``options`` that override the read and released ones.
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
