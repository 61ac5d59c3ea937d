"""The real images that generated images are compared with."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from t2igan.data.datasets import resize_images
from t2igan.data.selection import Numbers
from t2igan.data.store import Store
from t2igan.evaluation.protocol import Protocol, hash_of


class Reference:
    """The reference images of a protocol, by number.

    Args:
        store: the data set.
        protocol: protocol that determines the images and their crop.
    """

    def __init__(self, store: Store, protocol: Protocol) -> None:
        self._split, self._window = store.split(protocol.reference_of), store.image_size
        self._size, self._mode = protocol.image_size, protocol.reference_images
        self._images = range(0, len(self._split), 2 if protocol.reference == "halves" else 1)
        self._count = protocol.reference_count if self._mode == "augmented" else len(self._images)
        self._seed = protocol.reference_seed
        self.identity = hash_of({"store": store.fingerprint, **protocol.reference_drawing})

    def __len__(self) -> int:
        return self._count

    def images(self, numbers: Numbers, device: torch.device) -> Tensor:
        """Reference images, uint8 (B, 3, S, S) at the protocol's size."""
        cut = [self._image(*divmod(int(number), len(self._images))) for number in numbers]
        same_shape = len({image.shape for image in cut}) == 1
        if same_shape:
            return self._resized(torch.from_numpy(np.stack(cut)).to(device))
        return torch.cat([self._resized(torch.from_numpy(image)[None].to(device)) for image in cut])

    def _image(self, turn: int, place: int) -> np.ndarray:
        image = self._images[place]
        if self._mode == "full":
            return self._split.image(image)
        height, width = self._split.shape(image)
        top, left = height - self._window, width - self._window
        if self._mode == "crop":
            return self._split.crop(image, top // 2, left // 2, self._window)
        generator = np.random.default_rng([self._seed, turn, image])
        top, left = int(generator.integers(top + 1)), int(generator.integers(left + 1))
        pixels = self._split.crop(image, top, left, self._window)
        return np.ascontiguousarray(pixels[:, :, ::-1]) if generator.random() < 0.5 else pixels

    def _resized(self, images: Tensor) -> Tensor:
        if images.shape[-1] == images.shape[-2]:
            return resize_images(images, self._size)
        squeezed = functional.interpolate(
            images.float(), (self._size, self._size), mode="bilinear", align_corners=False, antialias=True
        )
        return squeezed.round_().clamp_(0, 255).to(torch.uint8)
