"""The one batch type of the suite."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from t2igan.layout.layout import Layouts
from t2igan.layout.narratives import Narrative

ON_THE_HOST = ("lengths", "class_ids", "caption_ids", "host_captions")
"""Parts of a batch that stay in host memory: what depends on them is decided without waiting for the device."""


@dataclass
class CaptionedImages:
    """Images with one caption each, and with layouts and narratives if requested.

    Attributes:
        images: uint8 (B, 3, H, W), RGB.
        captions: int64 (B, T), word ids; 0 = padding, T = the longest caption of the batch.
        lengths: int64 (B,), words per caption, at least 1; always in host memory, as recurrent layers require.
        class_ids: int64 (B,), always in host memory; pairs of equal class are not negatives of each other.
        keys: the data set's names of the images, e.g. ``002.Laysan_Albatross/Laysan_Albatross_0002_1027``.
        caption_ids: int64 (B,), index of the caption within its split, which seeds the evaluation noise; always in
            host memory.
        layouts: layouts of the same H, W, crop and flip as ``images``; None if not requested.
        narratives: one narrative per image, its traces cropped and flipped like the image; None if not requested.
        host_captions: the captions in host memory, kept when they were moved; None if they were not.
    """

    images: Tensor
    captions: Tensor
    lengths: Tensor
    class_ids: Tensor
    keys: list[str]
    caption_ids: Tensor
    layouts: Layouts | None = None
    narratives: list[Narrative] | None = None
    host_captions: Tensor | None = None

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def captions_on_host(self) -> Tensor:
        """The captions in host memory, where they are spelled out without waiting for the device."""
        return self.captions.cpu() if self.host_captions is None else self.host_captions

    def _map_tensors(self, function: Callable[[Tensor], Tensor]) -> "CaptionedImages":
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in ON_THE_HOST}
        tensors = {name: function(value) for name, value in values.items() if isinstance(value, Tensor)}
        layouts = None if self.layouts is None else self.layouts.map_tensors(function)
        return replace(self, **tensors, layouts=layouts)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "CaptionedImages":
        """Move the batch to ``device``, except for the parts that stay in host memory."""
        moved = self._map_tensors(lambda tensor: tensor.to(device, non_blocking=non_blocking))
        layouts = None if self.layouts is None else self.layouts.to(device, non_blocking)
        return replace(moved, layouts=layouts, host_captions=host_copy(self.captions, self.host_captions))

    def pin_memory(self) -> "CaptionedImages":
        """Copy the batch to page-locked memory (called by the data loader)."""
        return self._map_tensors(Tensor.pin_memory)

    def select(self, index: Tensor) -> "CaptionedImages":
        """Rows of the batch.

        Args:
            index: int64 (N,), positions in 0..B-1.
        """
        numbers = index.tolist()
        there = index.to(self.images.device, non_blocking=True)
        picked = self._map_tensors(lambda tensor: tensor[there])
        return replace(
            picked,
            **{name: own if (own := getattr(self, name)) is None else own[index] for name in ON_THE_HOST},
            keys=[self.keys[i] for i in numbers],
            layouts=None if self.layouts is None else self.layouts.select(index),
            narratives=None if self.narratives is None else [self.narratives[i] for i in numbers],
        )


def host_copy(values: Tensor, known: Tensor | None) -> Tensor | None:
    """What is kept in host memory of ``values`` that are moved: ``known``, or they themselves if they lie there."""
    return values if known is None and values.device.type == "cpu" else known
