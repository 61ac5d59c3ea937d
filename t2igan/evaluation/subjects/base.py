"""Base class of subjects."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import torch

from t2igan.data.selection import Numbers
from t2igan.data.store import Store, StoreSplit
from t2igan.evaluation.images.generate import NumberedImages
from t2igan.evaluation.plan import ImagePlan, plan_for
from t2igan.evaluation.protocol import Protocol
from t2igan.evaluation.record import SubjectCard


class Subject(ABC):
    """A source of images for captions.

    Attributes:
        card: description for the record.
        notes: notes for the record.
        has_floats: whether images are available as floats before quantisation.
        knows_captions: whether the caption of each image is known.
    """

    card: SubjectCard
    notes: list[str]
    has_floats = False
    knows_captions = True

    @abstractmethod
    def check(self, protocol: Protocol, store: Store) -> None:
        """Check that the subject fits the protocol and the store.

        Raises:
            UserError: the subject does not fit.
        """

    def plan(self, protocol: Protocol, split: StoreSplit) -> ImagePlan:
        """The plan of the images to be scored."""
        return plan_for(protocol, split)

    def address(self, protocol: Protocol, store: Store) -> list[object] | None:
        """All values that its images depend on, None if they cannot be identified."""
        if self.card.sha256 is None:
            return None
        return [self.card.kind, self.card.sha256, store.fingerprint, protocol.drawing]

    def distinct(self, plan: ImagePlan, split: StoreSplit) -> np.ndarray:
        """Mask (N,), False for repetitions of an earlier image of the plan."""
        return np.ones(len(plan), bool)

    @abstractmethod
    def images(
        self,
        protocol: Protocol,
        store: Store,
        plan: ImagePlan,
        numbers: Numbers,
        batch_size: int,
        device: torch.device,
    ) -> Iterator[NumberedImages]:
        """Yield images ``numbers`` of the plan, on ``device``."""
