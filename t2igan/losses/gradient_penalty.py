"""The matching-aware gradient penalty (DF-GAN, Eq. 2; SSA-GAN, Eq. 8)."""

import torch
from torch import Tensor

from t2igan.nn.config import Configured
from t2igan.nn.second_order import gradients_of_inputs_only
from t2igan.ranges import Positive, Weight


class MAGP(Configured):
    """MA-GP: weight * mean ||gradient of the matching real logits w.r.t. (image, sentence)||^power.

    Args:
        weight: k of the papers.
        power: p of the papers.
        separate: apply the penalty in a separate optimiser step, after the adversarial step and with the updated
            discriminator (released SSA-GAN and first DF-GAN), or add it to that step's loss. The two are different
            algorithms (Adam's second moment decays twice per iteration).
    """

    def __init__(self, weight: Weight = 2.0, power: Positive = 6.0, separate: bool = True) -> None:
        self.weight = weight
        self.power = power
        self.separate = separate

    def __call__(self, logits: Tensor, images: Tensor, sentence: Tensor) -> Tensor:
        """The weighted penalty, a scalar.

        Args:
            logits: (B,), computed from ``images`` and ``sentence`` in float32 or wider: the power overflows
                half precision.
            images: (B, 3, S, S), requires grad.
            sentence: (B, D), requires grad.
        """
        return self.weight * gradient_norm(logits, images, sentence).pow(self.power).mean()


def gradient_norm(logits: Tensor, images: Tensor, sentence: Tensor) -> Tensor:
    """L2 norm (B,) of the gradient of each sample's logit w.r.t. its image and sentence together.

    A sample with zero gradient has norm zero and contributes no gradient (the derivative of the square root would
    be infinite).
    """
    with gradients_of_inputs_only():
        parts = torch.autograd.grad(logits.sum(), (images, sentence), create_graph=True)
    squares = torch.cat([part.flatten(1) for part in parts], dim=1).square().sum(dim=1)
    flat = squares == 0
    return squares.masked_fill(flat, 1.0).sqrt().masked_fill(flat, 0.0)


def leaves(images: Tensor, sentence: Tensor) -> tuple[Tensor, Tensor]:
    """Detached images and sentence vectors that require gradients, in the images' precision."""
    return images.detach().requires_grad_(), sentence.detach().to(images.dtype).requires_grad_()
