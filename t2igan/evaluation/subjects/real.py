"""Real images as a subject."""

from collections.abc import Iterator

import numpy as np
import torch

from t2igan.data.datasets import EvaluationItems, resize_images
from t2igan.data.selection import Numbers
from t2igan.data.store import Store, StoreSplit
from t2igan.evaluation.images.generate import NumberedImages, batches
from t2igan.evaluation.plan import ImagePlan, plan_images
from t2igan.evaluation.protocol import Protocol
from t2igan.evaluation.record import SubjectCard
from t2igan.evaluation.subjects.base import Subject


class RealImages(Subject):
    """The data set's own images with their captions, as an upper reference for generated images.

    If the protocol halves the split, these are the images outside of the reference. R-precision uses a caption
    as often as with generated images; the other metrics see each image once.
    """

    def __init__(self) -> None:
        self.card, self.notes = SubjectCard("real", "real images"), []

    def check(self, protocol: Protocol, store: Store) -> None:
        """No check: real images fit every protocol of their data set."""

    def plan(self, protocol: Protocol, split: StoreSplit) -> ImagePlan:
        """As many captions as other subjects have images, or all captions."""
        images = range(1, len(split), 2) if protocol.reference == "halves" else range(len(split))
        available = sum(len(split.captions_of(image)) for image in images)
        return plan_images(split, min(protocol.images, available), images)

    def address(self, protocol: Protocol, store: Store) -> list[object]:
        """The address of the store's images."""
        return [self.card.kind, "real", store.fingerprint, protocol.drawing]

    def distinct(self, plan: ImagePlan, split: StoreSplit) -> np.ndarray:
        """True for the first occurrence of each image."""
        mask = np.zeros(len(plan), bool)
        mask[np.unique(split.caption_images[plan.captions], return_index=True)[1]] = True
        return mask

    def images(
        self,
        protocol: Protocol,
        store: Store,
        plan: ImagePlan,
        numbers: Numbers,
        batch_size: int,
        device: torch.device,
    ) -> Iterator[NumberedImages]:
        """Read the images from the store."""
        for batch in batches(numbers, batch_size):
            images = real_images(store, protocol, plan.captions[batch], device)
            yield NumberedImages(torch.from_numpy(batch), images)


def real_images(store: Store, protocol: Protocol, captions: Numbers, device: torch.device) -> torch.Tensor:
    """Centre crops of the images of some captions, uint8 (B, 3, S, S), at the protocol's size."""
    items = EvaluationItems(store.split(protocol.split), store.image_size, protocol.words, protocol.words_seed)
    return resize_images(items[captions].images.to(device), protocol.image_size)
