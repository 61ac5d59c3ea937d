"""The store behind a Lightning data module: opening, splits, and what checkpoints remember of it."""

from abc import ABC
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from pytorch_lightning import LightningDataModule
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn

from t2igan.data.requirements import refuse_lack
from t2igan.data.selection import HeldOutClasses, ImageSplit, NarrativesAsCaptions, only_with
from t2igan.data.store import Store, open_store
from t2igan.data.vocabulary import Vocabulary
from t2igan.errors import UserError
from t2igan.ranges import Side, Whole


class StoreModule(LightningDataModule, ABC):
    """A data module that reads one store; subclasses make the batches.

    Args:
        store: HDF5 file of `t2igan prepare`.
        image_size: side of the images in the batches.
        allow_upsampling: accept a store of a smaller training resolution than ``image_size``.
        val_classes: number of training classes that are held out for validation.
        captions: which texts are used as captions.
        carry: parts of a batch beside captions.

    Attributes:
        expected_name: name of the data set that the store must hold, None for any.
    """

    expected_name: ClassVar[str | None] = None

    def __init__(
        self,
        store: str,
        image_size: Side,
        allow_upsampling: bool,
        val_classes: Whole,
        captions: Literal["captions", "narratives"],
        carry: Collection[str],
    ) -> None:
        super().__init__()
        self.store_path = Path(store)
        self.image_size, self.allow_upsampling = image_size, allow_upsampling
        self.val_classes, self.captions = val_classes, captions
        self._carried = frozenset(carry)
        self._complete: dict[tuple[str, frozenset[str]], ImageSplit] = {}
        self._store: Store | None = None

    @property
    def store(self) -> Store:
        """The store, opened on first access; with ``captions: narratives``, a view with narratives as captions.

        Raises:
            UserError: it cannot be opened, holds another data set, its images are too small, or it lacks the parts
                that batches must hold.
        """
        if self._store is None:
            store = open_store(self.store_path)
            if self.expected_name and store.name != self.expected_name:
                raise UserError(
                    f"{store.path}: holds {store.name!r}, not {self.expected_name!r}; set data.store to a store of "
                    f"`t2igan prepare {self.expected_name}`, or CaptionedImagesModule, which takes any"
                )
            if store.image_size < self.image_size and not self.allow_upsampling:
                raise UserError(
                    f"{store.path}: prepared for {store.image_size}-pixel training, data.image_size is "
                    f"{self.image_size}; prepare it with --image_size {self.image_size}, or set "
                    "data.allow_upsampling: true"
                )
            if self._carried or self.captions == "narratives":
                asked = self._carried | ({self.captions} - {"captions"})
                refuse_lack(asked, store.holds, "the configuration", _named(store))
            self._store = NarrativesAsCaptions(store) if self.captions == "narratives" else store
        return self._store

    def require(self, needed: Collection[str], who: str) -> None:
        """Include in every batch the parts that a model needs.

        Args:
            needed: any of ``captions``, ``layouts``, ``segments``, ``narratives``.
            who: name of the model for error messages.

        Raises:
            UserError: the store does not hold one of them.
        """
        refuse_lack(needed, self.store.holds, who, _named(self.store))
        self._carried |= set(needed) - {"captions"}

    @property
    def carried(self) -> frozenset[str]:
        """Parts of a batch beside captions; ``segments`` are the texts of ``layouts``."""
        return self._carried | ({"layouts"} if "segments" in self._carried else set())

    def _with_all(self, split: ImageSplit) -> ImageSplit:
        """The images of a split that have all parts of a batch."""
        known = (split.name, self.carried)
        if known not in self._complete:
            self._complete[known] = only_with(split, self.carried)
            if lacking := len(split) - len(self._complete[known]):
                lost = f"{lacking:,} of {len(split):,} {split.name} images"
                rank_zero_info(
                    f"{self.store_path}: skipped {lost}, which have no {' or '.join(sorted(self.carried))}"
                )
        return self._complete[known]

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the captions."""
        return self.store.vocabulary

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) of the store's content."""
        return self.store.fingerprint

    @property
    def num_classes(self) -> int:
        """Number of classes of both splits together; class ids are below it."""
        return len(self.store.class_names)

    @cached_property
    def held_out(self) -> HeldOutClasses | None:
        """View of the store without the ``val_classes`` held-out classes, None if no class is held out.

        Raises:
            UserError: the store has too few classes.
        """
        return HeldOutClasses(self.store, self.val_classes) if self.val_classes else None

    @property
    def train_split(self) -> ImageSplit:
        """The training images, without held-out classes."""
        return self._with_all((self.held_out or self.store).split("train"))

    @property
    def test_split(self) -> ImageSplit:
        """The test images."""
        return self._with_all(self.store.split("test"))

    @property
    def val_split(self) -> ImageSplit:
        """The validation images: those of held-out classes, otherwise the test images."""
        return self._with_all(self.held_out.split("test")) if self.held_out else self.test_split

    def _images(self, split: str) -> ImageSplit:
        return self.val_split if split == "val" else self._with_all(self.store.split(split))

    def state_dict(self) -> dict[str, Any]:
        """Fingerprint, vocabulary hash and path of the store, saved in checkpoints."""
        told = {"fingerprint": self.fingerprint, "vocabulary_hash": self.vocabulary.hash}
        return told | {"store": str(self.store_path)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuse a checkpoint of another vocabulary; warn if the images differ.

        Raises:
            UserError: the vocabulary differs; or training would continue on different images under the same path.
        """
        self.store.require_vocabulary(state_dict["vocabulary_hash"], "the checkpoint")
        if state_dict["fingerprint"] != self.fingerprint:
            in_its_place = state_dict.get("store") == str(self.store_path)
            if in_its_place and self.trainer is not None and self.trainer.state.fn == TrainerFn.FITTING:
                raise UserError(
                    f"{self.store_path} is not the store that the checkpoint was trained on: put that one back, "
                    "give this one another name, or start anew with --fresh true"
                )
            rank_zero_warn(f"{self.store_path}: not the store that the checkpoint was trained on (same vocabulary)")

    def teardown(self, stage: str | None = None) -> None:
        """Close the store's file."""
        if self._store is not None:
            self._store.close()


def _named(store: Store) -> str:
    """Name of the store for error messages."""
    older = f", schema version {store.schema_version}: prepare it again" if store.schema_version < 4 else ""
    return f"{store.path} ({store.name}{older})"
