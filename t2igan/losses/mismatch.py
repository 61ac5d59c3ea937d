"""Mismatched pairs of real images and captions."""

from typing import Literal

import torch
from torch import Tensor

from t2igan.nn import across
from t2igan.nn.randomness import Purpose, StepRandom

MismatchPolicy = Literal["neighbour", "roll", "other-class", "none"]


def mismatched(
    features: Tensor,
    sentence: Tensor,
    class_ids: Tensor,
    policy: MismatchPolicy,
    random: StepRandom | None = None,
) -> tuple[Tensor, Tensor]:
    """Form mismatched pairs of features and sentences, using the captions of all devices.

    Args:
        features: (B, ...), of real images.
        sentence: (B, D), of their captions, or another condition of the discriminator, (B, ...).
        class_ids: int64 (B,), in host memory; ``other-class`` on several devices waits for those of the others.
        policy: ``neighbour``: image i with caption i + 1, N - 1 pairs of the N of all devices (AttnGAN family,
            SSA-GAN; with a batch sorted by caption length the lengths are alike). ``roll``: image i with caption
            i - 1, cyclic, N pairs (current DF-GAN). ``other-class``: each image with a random caption of another
            class; no pairs if all images have the same class. ``none`` is not valid here.
        random: source of randomness for ``other-class``; None uses torch's generator.
    """
    first, count = across.place() * len(sentence), len(sentence)
    captions = across.gather(sentence.detach())
    if policy == "neighbour":
        wrong = captions[first + 1 : first + 1 + count]
        return features[: len(wrong)], wrong
    if policy == "roll":
        return features, captions.roll(1, dims=0)[first : first + count]
    everybody = across.gather(class_ids.to(sentence.device)).cpu() if across.devices() > 1 else class_ids
    strangers = class_ids[:, None] != everybody[None, :]
    if not strangers.any():
        return features[:0], captions[:0]
    return features, captions[_one_of_each(strangers, random).to(captions.device, non_blocking=True)]


def _one_of_each(allowed: Tensor, random: StepRandom | None) -> Tensor:
    """Random column of each row of ``allowed``, bool (B, N), uniform over the true ones, int64 (B,)."""
    drawn = torch.rand(len(allowed)) if random is None else random.uniform(len(allowed), 1, Purpose.MISMATCH)[:, 0]
    counts = allowed.sum(dim=1)
    chosen = (drawn * counts).long().clamp(max=counts - 1)
    return (allowed.cumsum(dim=1) > chosen[:, None]).int().argmax(dim=1)


def mismatch_share(pairs: int, samples: int, policy: MismatchPolicy) -> float:
    """Weight of the mean over this device's mismatched pairs relative to those of other devices.

    With this weight the trainer's mean over devices is the mean over all pairs.

    Args:
        pairs: number of mismatched pairs on this device.
        samples: number of samples on each device.
        policy: as of :func:`mismatched`.
    """
    if policy != "neighbour" or across.devices() == 1:
        return 1.0
    return pairs * across.devices() / (samples * across.devices() - 1)
