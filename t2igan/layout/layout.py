"""Layouts: the label and the segment of each pixel."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from t2igan.layout.labels import MOST_SEGMENTS, NO_SEGMENT, VOID

__all__ = ["MOST_SEGMENTS", "NO_SEGMENT", "Layout", "Layouts", "resize_maps"]


@dataclass(frozen=True, eq=False)
class Layout:
    """The layout of one image.

    Attributes:
        labels: uint8 (H, W), values of :data:`t2igan.layout.labels.COCO_STUFF`, 255 where there is none.
        instances: uint8 (H, W), 0 = no segment, k = the k-th segment of the image.
    """

    labels: np.ndarray
    instances: np.ndarray

    def __post_init__(self) -> None:
        """Check the maps.

        Raises:
            ValueError: they are not two uint8 maps of one size.
        """
        for name in ("labels", "instances"):
            values = getattr(self, name)
            if values.dtype != np.uint8 or values.ndim != 2:
                raise ValueError(f"{name} are {values.dtype} {values.shape}, not uint8 (H, W)")
        if self.labels.shape != self.instances.shape:
            raise ValueError(f"labels {self.labels.shape} and instances {self.instances.shape} differ in size")

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Layout)
            and np.array_equal(self.labels, other.labels)
            and np.array_equal(self.instances, other.instances)
        )

    def __hash__(self) -> int:
        return hash((self.labels.tobytes(), self.instances.tobytes()))

    @property
    def void(self) -> float:
        """Share of unlabelled pixels."""
        return float((self.labels == VOID).mean())


@dataclass
class Layouts:
    """The layouts of a batch.

    Attributes:
        labels: uint8 (B, H, W), see :class:`Layout`.
        instances: uint8 (B, H, W), see :class:`Layout`.
        texts: free-text descriptions: ``texts[b][k - 1]`` is that of segment k of image b, e.g. "a small
            red bird". A segment that lies outside of the crop has no pixel, but keeps its text and number.
        host: the same layouts in host memory, kept when they were moved; None if they were not.
    """

    labels: Tensor
    instances: Tensor
    texts: list[tuple[str, ...]]
    host: "Layouts | None" = None

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def on_host(self) -> "Layouts":
        """The same layouts in host memory, where segments are chosen without waiting for the device."""
        return self.to("cpu") if self.host is None else self.host

    def map_tensors(self, function: Callable[[Tensor], Tensor]) -> "Layouts":
        """Apply ``function`` to both maps; what is kept in host memory is not part of the result."""
        return Layouts(function(self.labels), function(self.instances), self.texts)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Layouts":
        """Move the maps to ``device``; a copy in host memory is kept."""
        moved = self.map_tensors(lambda maps: maps.to(device, non_blocking=non_blocking))
        return replace(moved, host=self if self.host is None and self.labels.device.type == "cpu" else self.host)

    def pin_memory(self) -> "Layouts":
        """Copy the maps to page-locked memory."""
        return self.map_tensors(Tensor.pin_memory)

    def select(self, index: Tensor) -> "Layouts":
        """Select rows of the batch.

        Args:
            index: int64 (N,), positions in 0..B-1.
        """
        picked = self.map_tensors(lambda maps: maps[index.to(maps.device, non_blocking=True)])
        texts = [self.texts[i] for i in index.tolist()]
        return replace(picked, texts=texts, host=None if self.host is None else self.host.select(index))

    def resized(self, size: int) -> "Layouts":
        """Resize the maps by nearest neighbours."""
        resized = self.map_tensors(lambda maps: resize_maps(maps, size))
        return replace(resized, host=None if self.host is None else self.host.resized(size))

    @classmethod
    def of(cls, layouts: Sequence[Layout], texts: Sequence[Sequence[str]]) -> "Layouts":
        """Make a batch from layouts of one size and the texts of their segments."""
        labels = torch.from_numpy(np.stack([each.labels for each in layouts]))
        instances = torch.from_numpy(np.stack([each.instances for each in layouts]))
        return cls(labels, instances, [tuple(each) for each in texts])


def resize_maps(maps: Tensor, size: int) -> Tensor:
    """Resize square maps by nearest neighbours; in a tie the later pixel is used.

    Args:
        maps: uint8 (B, H, H).
        size: the new side.
    """
    side = maps.shape[-1]
    # In integers, because interpolate() rounds and may choose another of two equally near pixels.
    nearest = (2 * torch.arange(size, device=maps.device) + 1) * side // (2 * size)
    return maps if side == size else maps[:, nearest[:, None], nearest]


def required(layouts: Layouts | None) -> Layouts:
    """The layouts of a batch of a model that requires them, as :attr:`SuiteModule.requires` guarantees.

    Raises:
        ValueError: the batch has no layouts.
    """
    if layouts is None:
        raise ValueError("the batch has no layouts, and the model requires them")
    return layouts
