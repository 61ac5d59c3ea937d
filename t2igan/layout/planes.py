"""Convert label maps to input planes of convolutions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2igan.layout.labels import COCO_STUFF, VOID
from t2igan.layout.layout import Layouts, resize_maps

LABELS = len(COCO_STUFF)
PLANES = LABELS + 1
"""One for each label, and the last one for pixels that have none."""


def layout_maps(layouts: Layouts) -> Tensor:
    """Input maps of a layout network, uint8 (B, 2, H, W).

    First the label of each pixel, ``LABELS`` for void; then 1 where one of its four neighbours belongs to another
    segment, else 0.
    """
    labels = layouts.labels.masked_fill(layouts.labels == VOID, LABELS)
    return torch.stack([labels, edges(layouts.instances)], dim=1)


def edges(instances: Tensor) -> Tensor:
    """uint8 (B, H, W), 1 on both sides of each border between segments ``instances`` (B, H, W)."""
    found = torch.zeros_like(instances)
    beside = (instances[:, :, 1:] != instances[:, :, :-1]).to(found)
    below = (instances[:, 1:] != instances[:, :-1]).to(found)
    found[:, :, 1:] |= beside
    found[:, :, :-1] |= beside
    found[:, 1:] |= below
    found[:, :-1] |= below
    return found


def one_hot(maps: Tensor) -> Tensor:
    """The planes of :func:`layout_maps`: (B, 183 + 1, H, W), the last one of edges, of torch's default type."""
    planes = F.one_hot(maps[:, 0].long(), PLANES).permute(0, 3, 1, 2)
    return torch.cat([planes, maps[:, 1:]], dim=1).to(torch.get_default_dtype())


class LayoutPlanes(nn.Module):
    """Convert maps to one-hot planes, optionally projected by a 1x1 convolution.

    Args:
        dim: width of the convolution; None leaves the planes one-hot.

    Attributes:
        channels: number of planes.
    """

    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.channels = dim or PLANES + 1
        # A 1x1 convolution of a one-hot pixel picks a column of its weights.
        self.labels = nn.Embedding(PLANES, dim) if dim else None
        self.edge = nn.Parameter(torch.randn(dim)) if dim else None

    def forward(self, maps: Tensor, size: int | None = None) -> Tensor:
        """uint8 maps (B, 2, H, H) of :func:`layout_maps` -> planes (B, C, size, size), of the nearest pixels."""
        if size is not None:
            maps = resize_maps(maps.flatten(0, 1), size).unflatten(0, maps.shape[:2])
        if self.labels is None or self.edge is None:
            return one_hot(maps)
        planes = self.labels(maps[:, 0].long()) + maps[:, 1, :, :, None] * self.edge
        return planes.permute(0, 3, 1, 2).contiguous()
