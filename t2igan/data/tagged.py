"""Lightning data module of narratives with a label for every word."""

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from t2igan.data.loader import TrainingLoader
from t2igan.data.requirements import refuse_lack
from t2igan.data.sampler import EvaluationBatches, TrainingBatches
from t2igan.data.vocabulary import END, Vocabulary
from t2igan.errors import UserError
from t2igan.layout.labels import COCO_STUFF
from t2igan.layout.narratives import Narrative, read_tagged, split_by_image
from t2igan.lightning_private import resumable_position
from t2igan.ranges import Count, Whole, check_ranges

UNKNOWN = "<unk>"
UNTAGGED = -100
"""The tag of padding; cross-entropy leaves it out."""


@dataclass
class TaggedBatch:
    """A batch of narratives with word labels.

    Attributes:
        words: int64 (B, T), word ids; 0 = padding.
        lengths: int64 (B,), always in host memory, as recurrent layers require.
        tags: int64 (B, T), values of labels; -100 = padding.
        texts: the words themselves, for networks with a tokenizer of their own.
    """

    words: Tensor
    lengths: Tensor
    tags: Tensor
    texts: list[tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.lengths)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "TaggedBatch":
        """Move the batch to ``device``, except for the lengths."""
        words, tags = (each.to(device, non_blocking=non_blocking) for each in (self.words, self.tags))
        return TaggedBatch(words, self.lengths, tags, self.texts)


@dataclass(frozen=True)
class TaggedFiles:
    """Stand-in for a store in places that need a data set's name.

    Attributes:
        name: name of the data set.
    """

    name: str


class _Narratives(Dataset):
    """``dataset[[number, ...]]`` is a batch; training asks for (epoch, number)."""

    def __init__(self, narratives: Sequence[Narrative], vocabulary: Vocabulary) -> None:
        unknown = vocabulary.words.index(UNKNOWN)
        ids = {word: place for place, word in enumerate(vocabulary.words)}
        values = {name: value for value, name in enumerate(COCO_STUFF.names)}
        self.rows = [
            (
                torch.tensor([ids.get(word, unknown) for word in narrative.words]),
                torch.tensor([values[tag] for tag in narrative.tags or ()]),
                narrative.words,
            )
            for narrative in narratives
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, numbers: Sequence[int] | Sequence[tuple[int, int]]) -> TaggedBatch:
        words, tags, texts = zip(*(self.rows[each[1] if isinstance(each, tuple) else each] for each in numbers))
        pad = torch.nn.utils.rnn.pad_sequence
        lengths = torch.tensor([len(each) for each in words])
        return TaggedBatch(pad(list(words), True), lengths, pad(list(tags), True, UNTAGGED), list(texts))


class TaggedNarratives(LightningDataModule):
    """Tagged narratives (``<files>.ids.txt``, ``.words.txt``, ``.cleaned_tags.txt``), split 80 / 10 / 10 by image.

    Args:
        files: the files' common beginning, e.g. ``datasets/trecs/sequence_labels/val_coco``.
        batch_size: training narratives per step and device.
        eval_batch_size: the same for evaluation.
        min_uses: words with fewer occurrences in the training narratives are mapped to ``<unk>``.
        seed: seed of the training order.
    """

    def __init__(
        self,
        files: str = "datasets/trecs/sequence_labels/val_coco",
        batch_size: Count = 32,
        eval_batch_size: Count = 128,
        min_uses: Count = 2,
        seed: Whole = 0,
    ) -> None:
        arguments = dict(locals())
        super().__init__()
        check_ranges(type(self), arguments, TaggedNarratives.__init__)
        self.store_path, self.store = Path(files), TaggedFiles("trecs-tags")
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.min_uses, self.seed = min_uses, seed

    def require(self, needed: Collection[str], who: str) -> None:
        """See :meth:`t2igan.data.datamodule.CaptionedImagesModule.require`; reads the files."""
        refuse_lack(needed, {"tags"}, who, str(self.store_path))
        _ = self.parts  # a training that cannot read them must not begin a folder

    @cached_property
    def parts(self) -> dict[str, list[Narrative]]:
        """The splits ``train``, ``val`` and ``test``.

        Raises:
            UserError: the files are missing or broken, have no tags, or too few narratives for a batch.
        """
        narratives = read_tagged(self.store_path)
        if narratives and narratives[0].tags is None:
            raise UserError(f"{self.store_path}.cleaned_tags.txt does not exist: a tagger needs tags to learn from")
        parts = split_by_image(narratives)
        short = [name for name, part in parts.items() if len(part) < (self.batch_size if name == "train" else 1)]
        if short:
            raise UserError(f"{self.store_path}: too few narratives for {', '.join(short)}: lower data.batch_size")
        return parts

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """``<end>`` (padding), ``<unk>``, then the words of the training narratives in alphabetical order."""
        uses = Counter(word for narrative in self.parts["train"] for word in narrative.words)
        kept = sorted(word for word, count in uses.items() if count >= self.min_uses and word != UNKNOWN)
        return Vocabulary([END, UNKNOWN, *kept])

    @cached_property
    def fingerprint(self) -> str:
        """sha256 (hex) of all narratives and tags."""
        digest = hashlib.sha256()
        for part in self.parts.values():
            for narrative in part:
                digest.update(repr((narrative.key, narrative.words, narrative.tags)).encode())
        return digest.hexdigest()

    def training_rows(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Word ids and tags of the training narratives, an int64 (T,) of each narrative."""
        rows = _Narratives(self.parts["train"], self.vocabulary).rows
        return [words.numpy() for words, _, _ in rows], [tags.numpy() for _, tags, _ in rows]

    def train_dataloader(self) -> TrainingLoader:
        """Batches of the training narratives; resumes at the position of the trainer's checkpoint."""
        rank, world_size = self._share()
        position = resumable_position(self.trainer)
        items = _Narratives(self.parts["train"], self.vocabulary)
        sampler = TrainingBatches(len(items), self.batch_size, self.seed, rank, world_size, position=position)
        return TrainingLoader(items, sampler=sampler, batch_size=None)

    def val_dataloader(self) -> DataLoader:
        """The validation narratives in order."""
        return self._in_order("val")

    def test_dataloader(self) -> DataLoader:
        """The test narratives in order."""
        return self._in_order("test")

    def transfer_batch_to_device(
        self, batch: TaggedBatch, device: torch.device, dataloader_idx: int
    ) -> TaggedBatch:
        """Copy a batch to the device while the device still works on the previous one."""
        return batch.to(device, non_blocking=device.type == "cuda")

    def _in_order(self, part: str) -> DataLoader:
        items = _Narratives(self.parts[part], self.vocabulary)
        sampler = EvaluationBatches(range(len(items)), self.eval_batch_size, *self._share())
        return DataLoader(items, sampler=sampler, batch_size=None)

    def _share(self) -> tuple[int, int]:
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)
