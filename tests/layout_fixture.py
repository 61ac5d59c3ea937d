"""Layouts whose segments are the four quarters of an image."""

import torch

from t2igan.layout.layout import Layouts
from t2igan.networks.synthesis import Conditions


def with_quarters(labels):
    half = labels.shape[-1] // 2
    instances = torch.ones_like(labels)
    instances[:, :half, half:], instances[:, half:, :half], instances[:, half:, half:] = 2, 3, 4
    return Layouts(labels, instances, [("a", "b", "c", "d")] * len(labels))


def told(labels):
    rows = len(labels)
    nothing = torch.zeros(rows, 0, 1)
    return Conditions(nothing[:, :, 0], nothing, torch.zeros(rows, 1, dtype=torch.bool), with_quarters(labels))
