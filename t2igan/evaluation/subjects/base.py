"""What every subject can be asked."""

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
    """Something that gives images of captions.

    Attributes:
        card: for the record.
        notes: for the record.
        has_floats: whether images are there before quantisation.
        knows_captions: whether each image is of a known caption.
    """

    card: SubjectCard
    notes: list[str]
    has_floats = False
    knows_captions = True

    @abstractmethod
    def check(self, protocol: Protocol, store: Store) -> None:
        """Refuse what does not fit together.

        Raises:
            UserError: it does not.
        """

    def plan(self, protocol: Protocol, split: StoreSplit) -> ImagePlan:
        """The images to be scored."""
        return plan_for(protocol, split)

    def address(self, protocol: Protocol, store: Store) -> list[object] | None:
        """All that its images depend on, None where that has no name."""
        if self.card.sha256 is None:
            return None
        return [self.card.kind, self.card.sha256, store.fingerprint, protocol.drawing]

    def distinct(self, plan: ImagePlan, split: StoreSplit) -> np.ndarray:
        """Mask (N,), False for images that an earlier number of the plan has shown already."""
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
        """Images ``numbers`` of the plan, on ``device``."""
