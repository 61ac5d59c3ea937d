"""Adversarial objectives: losses of discriminator and generator as functions of logits.

Both follow the matching-aware scheme of the AttnGAN family and of DF-GAN / SSA-GAN: the discriminator's loss
is the mean of its real terms plus the mean of its fake terms (generated images, and real images with a caption
of another image). The terms of an unconditional head are included in the means: two real and three fake terms in
AttnGAN, one and two in SSA-GAN.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from t2igan.errors import UserError
from t2igan.nn.config import Configured


@dataclass
class Logits:
    """Output of a discriminator for a batch of pairs.

    Attributes:
        conditional: logits (B,) of "real and matching"; (B, P) for a discriminator of P patches per image.
        unconditional: logits (B,) of "real", None without an unconditional head.
        layers: intermediate features, layer by layer, if the discriminator returns them; the last one holds the
            logits.
    """

    conditional: Tensor
    unconditional: Tensor | None = None
    layers: tuple[Tensor, ...] = ()

    @property
    def terms(self) -> list[Tensor]:
        """The logits that are not None."""
        both = [self.conditional, self.unconditional]
        return [logits for logits in both if logits is not None]


class Objective(Configured):
    """Base class of objectives. Subclasses define the losses of logits that should be real or fake."""

    def real(self, logits: Tensor) -> Tensor:
        """Discriminator's loss for logits (N,) of real images, a scalar."""
        raise NotImplementedError

    def fake(self, logits: Tensor) -> Tensor:
        """Discriminator's loss for logits (N,) of generated images or mismatched pairs, a scalar."""
        raise NotImplementedError

    def deceive(self, logits: Tensor) -> Tensor:
        """Generator's loss for logits (N,) of generated images, a scalar."""
        raise NotImplementedError

    def discriminator_loss(self, real: Logits, fake: Logits, mismatch: Tensor, share: float = 1.0) -> Tensor:
        """Mean of the real terms plus mean of the fake terms.

        Args:
            real: output for real images with their captions.
            fake: output for generated images with their captions.
            mismatch: (M,), conditional logits of real images with captions of other images; M may be 0.
            share: weight of their mean; 0 if all mismatched pairs are on other devices.
        """
        fakes = [self._loss("fake", logits) for logits in fake.terms]
        if len(mismatch):
            fakes.append(self._loss("fake", mismatch) * share)
        elif share == 0:
            fakes.append(mismatch.sum())
        return _mean([self._loss("real", logits) for logits in real.terms]) + _mean(fakes)

    def generator_loss(self, fake: Logits) -> Tensor:
        """Sum of the generator's terms, without the factor 1/2 of AttnGAN's Eq. 5 (like all released code)."""
        return torch.stack([self._loss("deceive", logits) for logits in fake.terms]).sum()

    def _loss(self, method: str, logits: Tensor) -> Tensor:
        who = f"{type(self).__name__}.{method}"
        value = scalar(getattr(self, method)(logits), who)
        if torch.is_grad_enabled() and logits.requires_grad and not value.requires_grad:
            raise UserError(f"{who} returned a number without a gradient to its logits: do not detach them")
        return value


def scalar(value: Any, who: str) -> Tensor:
    """What a class that somebody wrote gave as a loss: one number, with its graph.

    Args:
        value: what it gave.
        who: names the method.

    Raises:
        UserError: it is something else; a loss for each sample would weigh as much as all of them together.
    """
    if isinstance(value, Tensor) and value.dim() == 0:
        return value
    found = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
    raise UserError(f"{who} returned {found}: return one number, such as loss.mean()")


class Hinge(Objective):
    """Hinge objective of DF-GAN and SSA-GAN (SSA-GAN, Eq. 8)."""

    def real(self, logits: Tensor) -> Tensor:
        """Mean of max(0, 1 - logits)."""
        return F.relu(1 - logits).mean()

    def fake(self, logits: Tensor) -> Tensor:
        """Mean of max(0, 1 + logits)."""
        return F.relu(1 + logits).mean()

    def deceive(self, logits: Tensor) -> Tensor:
        """Minus the mean of the logits."""
        return -logits.mean()


class BCE(Objective):
    """Binary cross-entropy on logits (AttnGAN, Eqs. 5 and 6).

    Args:
        half_generator: halve each of the generator's terms, as in Eq. 5 but in no released code.
    """

    def __init__(self, half_generator: bool = False) -> None:
        self.half_generator = half_generator

    def real(self, logits: Tensor) -> Tensor:
        """Cross-entropy against "real"."""
        return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))

    def fake(self, logits: Tensor) -> Tensor:
        """Cross-entropy against "fake"."""
        return F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))

    def deceive(self, logits: Tensor) -> Tensor:
        """Cross-entropy of generated images against "real"."""
        return self.real(logits) / (2 if self.half_generator else 1)


def _mean(terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).mean()
