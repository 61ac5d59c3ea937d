"""Speed levers: named optimisations of the training step that can be switched individually.

``plain`` uses none. ``exact``, the default, uses those that change results only by float32 rounding. ``fast`` adds
half precision on a GPU, which changes results within the noise of training. For the measured gains see
docs/speed.md.
"""

from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import nn

from t2igan.nn.convolution import Conv2d, DoublingConv2d, Halving, Joining, LeakyReLU, RepeatedConv2d

Preset = Literal["plain", "exact", "fast"]


@dataclass(frozen=True)
class Levers:
    """The levers; None leaves the choice to the preset.

    Args:
        allocator: keep freed memory in the process (Linux with glibc, CPU); see :mod:`t2igan.allocator`.
        doubling: upsampling and the 3x3 convolution after it as one transposed convolution (CPU).
        repeated: a convolution of features that stand twice in its input takes them once, with summed weights.
        pointwise: 1x1 convolutions of small batches on one thread by the library's own kernels (CPU).
        by_matrix: convolutions of many weights onto few places as one matrix product (CPU).
        folding: batch norm folded into the convolutions of frozen networks.
        fused_adam: Adam in one pass over all parameters.
        channels_last: memory layout of the networks. On a CPU presets take it for those that gain by it.
        joint_pass: real and generated images through the discriminator together, where nothing in it depends on
            the batch but batch norms, which take them one after the other.
        shared_penalty: a gradient penalty that is part of the loss takes the features of the real images from it.
        second_order: gradient penalties differentiate convolutions and LeakyReLUs by what is known of them.
        bf16: mixed precision; gradient penalty, matching losses and spectral norms stay in float32.
        tf32: products in float32 may round their factors to 10 bits (CUDA).
        compile: generator and, without a gradient penalty, discriminators through ``torch.compile``.
    """

    allocator: bool | None = None
    doubling: bool | None = None
    repeated: bool | None = None
    pointwise: bool | None = None
    by_matrix: bool | None = None
    folding: bool | None = None
    fused_adam: bool | None = None
    channels_last: bool | None = None
    joint_pass: bool | None = None
    shared_penalty: bool | None = None
    second_order: bool | None = None
    bf16: bool | None = None
    tf32: bool | None = None
    compile: bool | None = None


PLAIN = Levers(**{each.name: False for each in fields(Levers)})
EXACT = replace(
    PLAIN,
    allocator=True,
    doubling=True,
    repeated=True,
    pointwise=True,
    by_matrix=True,
    folding=True,
    fused_adam=True,
    channels_last=None,
    joint_pass=True,
    shared_penalty=True,
    second_order=True,
)


def settle(preset: Preset, levers: Levers, cuda: bool) -> Levers:
    """Resolve a preset and explicit levers.

    Args:
        preset: preset for levers that are None.
        levers: explicit levers.
        cuda: whether training runs on CUDA; elsewhere ``fast`` equals ``exact``.

    Returns:
        Levers that are all True or False; only ``channels_last`` may be None, for each network's choice.
    """
    base = PLAIN if preset == "plain" else EXACT
    if cuda and preset != "plain":  # the defaults are for a CPU
        base = replace(base, bf16=preset == "fast", channels_last=preset == "fast", pointwise=False)
    named = {each.name: getattr(levers, each.name) for each in fields(levers)}
    return replace(base, **{name: value for name, value in named.items() if value is not None})


def pull(network: nn.Module, levers: Levers) -> None:
    """Switch the levers of the convolutions of ``network``."""
    for part in network.modules():
        if isinstance(part, Conv2d):
            part.by_matrix = bool(levers.by_matrix)
        if isinstance(part, Conv2d | Halving | Joining | LeakyReLU):
            part.second_order = bool(levers.second_order)
        if isinstance(part, DoublingConv2d):
            part.merged = bool(levers.doubling)
        if isinstance(part, RepeatedConv2d):
            part.summed = bool(levers.repeated)
        if isinstance(part, nn.Conv2d) and part.kernel_size == (1, 1):
            # Dilation has no effect on a 1x1 kernel, but makes PyTorch use oneDNN. Otherwise, for fewer
            # than 16 images on one thread, it uses a matrix product that takes twice the time.
            part.dilation = (2, 2) if levers.pointwise else (1, 1)


def lay_out(network: nn.Module, levers: Levers) -> None:
    """Put the weights of ``network`` channels last: all, or with None the parts that are ``faster_channels_last``.

    State dicts keep their form; results change by rounding.
    """
    if levers.channels_last:
        network.to(memory_format=torch.channels_last)
    elif levers.channels_last is None:
        for part in network.modules():
            if getattr(part, "faster_channels_last", False):
                part.to(memory_format=torch.channels_last)


def permit_tf32(permitted: bool) -> None:
    """Allow or forbid TF32 in CUDA matrix products and convolutions (PyTorch's default: convolutions)."""
    torch.backends.cuda.matmul.allow_tf32 = permitted
    torch.backends.cudnn.allow_tf32 = permitted
