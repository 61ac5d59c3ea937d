"""Segments with free texts, and the spatio-textual map that SpaText makes of them (Avrahami et al., CVPR 2023).

A segment is a region of an image with a free-text description. The map holds in each pixel the embedding of its
segment, and zeros without a segment. It is stored as a few embeddings and an index per pixel: 64 pixels square with
16 images, 3 segments each and 768 dimensions take 0.2 MB in this form and 201 MB as a dense map.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from t2igan.errors import UserError

FEWEST, MOST, SMALLEST = 1, 3, 0.05
"""How many segments of an image are told, and the share of the image that each has at least (SpaText's setting)."""


@dataclass
class SpatioTextualMap:
    """Segment embeddings and their index at each pixel: equivalent to the dense map, in a fraction of its memory.

    Attributes:
        embeddings: (B, K, D), embedding of each segment; rows without pixels are ignored.
        index: int64 (B, H, W), 0 for no segment, k for ``embeddings[:, k - 1]``.
    """

    embeddings: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)

    @property
    def occupancy(self) -> Tensor:
        """(B, 1, H, W), 1 within segments and 0 elsewhere, in the embeddings' dtype."""
        return (self.index > 0).to(self.embeddings.dtype)[:, None]

    def dense(self) -> Tensor:
        """The dense map of the paper, (B, D, H, W), with zeros outside of segments."""
        return self.planes(lambda embeddings: embeddings)

    def planes(self, projection: Callable[[Tensor], Tensor]) -> Tensor:
        """Result of a 1x1 convolution without bias on the dense map, computed on the embeddings.

        Args:
            projection: (B, K, D) -> (B, K, C), linear and without bias, so that zeros stay zeros.

        Returns:
            (B, C, H, W).
        """
        projected = projection(self.embeddings)
        table = functional.pad(projected, (0, 0, 1, 0))  # row 0: no segment
        rows = torch.arange(len(table), device=table.device)[:, None, None]
        return table[rows, self.index].permute(0, 3, 1, 2)

    def resized(self, size: int) -> "SpatioTextualMap":
        """Resize the map by nearest neighbours."""
        if self.index.shape[-1] == size:
            return self
        index = functional.interpolate(self.index[:, None].float(), (size, size), mode="nearest-exact")
        return replace(self, index=index[:, 0].long())

    def without(self, rows: Tensor) -> "SpatioTextualMap":
        """Remove the segments of some images: the null condition of guidance.

        Args:
            rows: bool (B,).
        """
        return replace(self, index=self.index.masked_fill(rows[:, None, None], 0))

    def nothing(self) -> "SpatioTextualMap":
        """A map without segments in any image."""
        return replace(self, index=torch.zeros_like(self.index))

    def mismatched(self, alike: float = 0.9) -> "SpatioTextualMap":
        """The same masks with mismatched embeddings: each segment gets that of the batch's previous segment.

        Segments whose new embedding is nearly their own ("sky" for "sky") are removed.

        Args:
            alike: cosine from which two embeddings count as the same.
        """
        there = self.present
        own, flat = self.embeddings.flatten(0, 1), there.flatten()
        # By place instead of by mask: how many there are, only the device knows.
        places = torch.arange(len(flat), device=flat.device)
        latest = places.where(flat, -1).cummax(0).values
        previous = functional.pad(latest[:-1], (1, 0), value=-1)
        previous = previous.where(previous >= 0, latest[-1].clamp(min=0))
        others = own.index_select(0, previous)
        wrong = (functional.cosine_similarity(own, others, dim=1) < alike).view_as(there) & there
        kept = functional.pad(wrong, (1, 0)).long() * torch.arange(there.shape[1] + 1, device=there.device)
        embeddings = others.where(flat[:, None], own).view_as(self.embeddings)
        return SpatioTextualMap(embeddings, kept.gather(1, self.index.flatten(1)).view_as(self.index))

    @property
    def present(self) -> Tensor:
        """Which embeddings have pixels, bool (B, K)."""
        numbers = torch.arange(1, self.embeddings.shape[1] + 1, device=self.index.device)
        return (self.index.flatten(1)[:, None] == numbers[:, None]).any(2)

    def to(self, device: torch.device | str) -> "SpatioTextualMap":
        """Move the map to ``device``."""
        return SpatioTextualMap(self.embeddings.to(device), self.index.to(device))

    def repeated(self, times: int) -> "SpatioTextualMap":
        """Repeat the whole batch ``times`` times."""
        return SpatioTextualMap(self.embeddings.repeat(times, 1, 1), self.index.repeat(times, 1, 1))

    def __getitem__(self, rows: slice | Tensor) -> "SpatioTextualMap":
        return SpatioTextualMap(self.embeddings[rows], self.index[rows])


@dataclass
class Segments:
    """Disjoint segments of each image of a batch, in host memory.

    Attributes:
        index: int64 (B, H, W), 0 for none, k for the k-th of the image.
        texts: free-text descriptions: ``texts[b][k - 1]`` is that of segment k of image b.
        numbers: original numbers of each image's segments in its layout.
    """

    index: Tensor
    texts: list[tuple[str, ...]]
    numbers: list[tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def places(self) -> list[tuple[int, int]]:
        """(image, k - 1) of every segment, sorted by image."""
        return [(image, place) for image, texts in enumerate(self.texts) for place in range(len(texts))]

    @property
    def flat_texts(self) -> list[str]:
        """The text of every segment, in the order of :attr:`places`."""
        return [text for texts in self.texts for text in texts]

    @property
    def masks(self) -> Tensor:
        """Mask of every segment, bool (N, H, W), in the order of :attr:`places`."""
        places = torch.tensor(self.places, dtype=torch.int64).view(-1, 2)
        return self.index[places[:, 0]] == places[:, 1, None, None] + 1

    def spread(self, vectors: Tensor) -> SpatioTextualMap:
        """Make the map from embeddings (N, D) in the order of :attr:`places`, on their device."""
        widest = max((len(texts) for texts in self.texts), default=0)
        embeddings = vectors.new_zeros(len(self), max(widest, 1), vectors.shape[1])
        places = torch.tensor(self.places, dtype=torch.int64).view(-1, 2).to(vectors.device, non_blocking=True)
        embeddings[places[:, 0], places[:, 1]] = vectors
        return SpatioTextualMap(embeddings, self.index.to(vectors.device, non_blocking=True))


def choose_segments(
    instances: Tensor,
    texts: Sequence[Sequence[str]],
    uniform: Tensor,
    fewest: int = FEWEST,
    most: int = MOST,
    smallest: float = SMALLEST,
) -> Segments:
    """Choose random segments of each image: ``fewest`` to ``most`` of the large ones, else the largest one.

    Args:
        instances: integers (B, H, W) in host memory, 0 for none, k for the image's k-th segment.
        texts: ``texts[b][k - 1]`` says what it is.
        uniform: (B, N + 1) random numbers in [0, 1), N at least the highest number in ``instances``; the choice is
            a pure function of them.
        fewest: minimum number of segments, if there are as many.
        most: maximum number of segments.
        smallest: minimum area as a share of the image.

    Raises:
        UserError: a segment has no text.
    """
    count = uniform.shape[1] - 1
    areas = _counts(instances, count) / instances[0].numel()
    fits = (areas >= smallest) & (areas > 0)
    largest = functional.one_hot(areas.argmax(1), count).bool() & (areas > 0)
    fits = torch.where(fits.any(1, keepdim=True), fits, largest)
    wanted = fewest + (uniform[:, :1] * (most - fewest + 1)).long()
    keys, order = uniform[:, 1:].masked_fill(~fits, -1).sort(dim=1, descending=True, stable=True)
    taken = (keys >= 0) & (torch.arange(count) < wanted)
    numbers = [tuple((row[mask] + 1).tolist()) for row, mask in zip(order, taken)]
    return pick_segments(instances, texts, numbers)


def pick_segments(instances: Tensor, texts: Sequence[Sequence[str]], numbers: Sequence[Sequence[int]]) -> Segments:
    """Select the segments with given numbers, in that order.

    Args:
        instances: integers (B, H, W) in host memory, 0 for none.
        texts: ``texts[b][k - 1]`` says what the k-th segment of image b is.
        numbers: k of the wanted segments of each image.

    Raises:
        UserError: a segment has no text.
    """
    highest = max(int(instances.max()), *(max(own, default=0) for own in numbers))
    table = torch.zeros(len(numbers), highest + 1, dtype=torch.int64)
    told = []
    for image, own in enumerate(numbers):
        if max(own, default=0) > len(texts[image]):
            raise UserError(
                f"segment {max(own)} of image {image} of the batch has no text ({len(texts[image])} are there): "
                "prepare the store again"
            )
        table[image, list(own)] = torch.arange(1, len(own) + 1)
        told.append(tuple(texts[image][number - 1] for number in own))
    rows = torch.arange(len(numbers))[:, None, None]
    return Segments(table[rows, instances.long()], told, [tuple(own) for own in numbers])


def crop_segments(images: Tensor, segments: Segments, size: int) -> Tensor:
    """Crop each segment like SpaText does for CLIP: a tight square with black background, resized.

    The square is centred on the segment's box and has its longer side; beyond the image it is black too.

    Args:
        images: uint8 (B, 3, H, W), on any device.
        segments: segments of these images.
        size: side of the crops.

    Returns:
        uint8 (N, 3, size, size), in the order of ``segments.places``; black for a segment without a pixel.
    """
    boxes, index = boxes_of(segments.masks).tolist(), segments.index.to(images.device, non_blocking=True)
    crops = images.new_zeros(len(boxes), 3, size, size)
    for crop, (image, place), (top, left, bottom, right) in zip(crops, segments.places, boxes):
        side = max(bottom - top, right - left)
        if side == 0:
            continue
        mask = index[image, top:bottom, left:right] == place + 1
        seen = images[image, :, top:bottom, left:right] * mask
        over, beside = side - (bottom - top), side - (right - left)
        square = functional.pad(seen, (beside // 2, beside - beside // 2, over // 2, over - over // 2))
        resized = functional.interpolate(
            square[None].float(), (size, size), mode="bilinear", align_corners=False, antialias=True
        )
        crop.copy_(resized[0].round_().clamp_(0, 255))
    return crops


def boxes_of(masks: Tensor) -> Tensor:
    """Tight boxes (N, 4) of masks, bool (N, H, W): top, left, bottom, right (exclusive); 0 if empty."""
    sides = []
    for other in (2, 1):
        there = masks.any(other).int()
        first, last = there.argmax(1), there.shape[1] - there.flip(1).argmax(1)
        sides.append((first, torch.where(there.any(1), last, first)))
    (top, bottom), (left, right) = sides
    return torch.stack([top, left, bottom, right], dim=1)


def _counts(index: Tensor, count: int) -> Tensor:
    """Number of pixels of segments 1 to ``count``, float32 (B, count)."""
    offsets = torch.arange(len(index), device=index.device)[:, None] * (count + 1)
    flat = torch.bincount((index.flatten(1).long() + offsets).flatten(), minlength=len(index) * (count + 1))
    return flat.view(len(index), count + 1)[:, 1:].float()


Shape = Literal["exact", "dilated", "eroded", "ellipse", "box"]
"""How masks are given: as they are, or as a rough hand would draw them."""


def roughened(segments: Segments, shape: Shape, radius: int = 2) -> Segments:
    """Segments with rougher masks, to measure how closely images follow the outline of a mask (SpaText).

    A growing mask only takes pixels without a segment; a mask that erosion would remove entirely is not changed.

    Args:
        segments: segments with exact masks.
        shape: ``dilated`` and ``eroded`` by ``radius`` pixels; ``ellipse`` of the same moments; tight ``box``.
        radius: radius of the erosion and dilation.
    """
    if shape == "exact":
        return segments
    index = segments.index.clone()
    for (image, place), mask in zip(segments.places, segments.masks):
        grown = _rough_mask(mask, shape, radius)
        own = index[image]
        own[mask & (own == place + 1)] = 0
        own[grown & (own == 0)] = place + 1
    return replace(segments, index=index)


def _rough_mask(mask: Tensor, shape: Shape, radius: int) -> Tensor:
    if not mask.any():
        return mask
    if shape in ("dilated", "eroded"):
        inverted = mask if shape == "dilated" else ~mask
        # A mask is eroded as if it continued beyond the image's border.
        grown = functional.max_pool2d(inverted[None].float(), 2 * radius + 1, 1, radius)[0] > 0
        rough = grown if shape == "dilated" else ~grown
        return rough if rough.any() else mask
    y, x = torch.meshgrid(*(torch.arange(side, device=mask.device) for side in mask.shape), indexing="ij")
    if shape == "box":
        top, left, bottom, right = boxes_of(mask[None])[0]
        return (y >= top) & (y < bottom) & (x >= left) & (x < right)
    points = torch.stack([y[mask], x[mask]]).double()
    centre = points.mean(1)
    # An ellipse's second moments are a quarter of its squared half axes; a pixel's own are a twelfth.
    spread = (points - centre[:, None]) @ (points - centre[:, None]).T / points.shape[1]
    spread += torch.eye(2, dtype=torch.float64, device=mask.device) / 12
    away = torch.stack([y, x]).flatten(1) - centre[:, None]
    return ((away * torch.linalg.solve(spread, away)).sum(0) <= 4).view(mask.shape)
