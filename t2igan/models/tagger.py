"""TReCS's tagger (Koh et al., WACV 2021, sec. 3): words of a narrative -> a COCO-Stuff label for each of them.

The paper fine-tunes BERT (:mod:`t2igan.models.transformers_tagger`); without its weights a bi-directional LSTM
takes its place. Labels are silver: the paper's HMM derived them from the image and the mouse trace, which the
tagger does not get.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2igan.data.tagged import UNTAGGED, TaggedBatch
from t2igan.layout.labels import COCO_STUFF
from t2igan.lightning_private import datamodule_of
from t2igan.metrics.tagging import content_words, tagging_quality
from t2igan.models.suite_module import SuiteModule
from t2igan.nn.config import Configured
from t2igan.nn.sequences import pack, unpack
from t2igan.ranges import Count, Positive, Rate, Share


class TokenClassifier(Configured, nn.Module):
    """Words of narratives -> logits (B, T, labels).

    Attributes:
        vocabulary_size: number of word ids, None before it is known.
    """

    def build(self, vocabulary_size: int, labels: int) -> None:
        """Make the layers."""
        raise NotImplementedError

    def forward(self, words: Tensor, lengths: Tensor, texts: Sequence[Sequence[str]]) -> Tensor:
        """Logits of each word's label.

        Args:
            words: int64 (B, T), word ids; 0 = padding.
            lengths: int64 (B,).
            texts: the words themselves, for networks with a tokenizer of their own.
        """
        raise NotImplementedError


class BiLSTMTagger(TokenClassifier):
    """Word embedding, a bi-directional LSTM, a linear layer.

    Args:
        embedding_dim: width of the word embedding.
        hidden_dim: width of each direction.
        dropout: dropout rate before and after the LSTM.
        word_dropout: share of training words replaced by ``<unk>``.
    """

    def __init__(
        self, embedding_dim: Count = 100, hidden_dim: Count = 128, dropout: Share = 0.3, word_dropout: Share = 0.05
    ) -> None:
        super().__init__()
        self.embedding_dim, self.hidden_dim, self.word_dropout = embedding_dim, hidden_dim, word_dropout
        self.dropout = nn.Dropout(dropout)

    def build(self, vocabulary_size: int, labels: int) -> None:
        """Make the layers."""
        self.embedding = nn.Embedding(vocabulary_size, self.embedding_dim, padding_idx=0)
        self.lstm = nn.LSTM(self.embedding_dim, self.hidden_dim, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * self.hidden_dim, labels)

    def forward(self, words: Tensor, lengths: Tensor, texts: Sequence[Sequence[str]]) -> Tensor:
        """Logits (B, T, labels) from word ids."""
        if self.training and self.word_dropout:
            hidden = torch.rand(words.shape, device=words.device) < self.word_dropout
            words = words.masked_fill(hidden & (words > 0), 1)
        embedded = self.dropout(self.embedding(words))
        states = unpack(self.lstm(pack(embedded, lengths))[0], words.shape[1])
        return self.head(self.dropout(states))


class Tagger(SuiteModule):
    """Trains a tagger with the cross-entropy of each word's label, Adam, and a rate that falls after each epoch.

    Args:
        network: the tagger.
        vocabulary_size: number of words; None takes the data's.
        lr: first learning rate.
        lr_decay: factor after each epoch.
        clip: largest norm of the gradient.
    """

    requires = frozenset({"tags"})
    of_each_device = "the loss is a mean over each device's words, of which not all have equally many"

    def __init__(
        self,
        network: TokenClassifier,
        vocabulary_size: Count | None = None,
        lr: Rate = 3e-3,
        lr_decay: Share = 0.85,
        clip: Positive = 1.0,
    ) -> None:
        super().__init__()
        self.network = network
        self.vocabulary_size = vocabulary_size
        self.lr, self.lr_decay, self.clip = lr, lr_decay, clip
        self.built = False
        self._seen: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def configure_model(self) -> None:
        """Build the layers once the vocabulary is known."""
        if self.built:
            return
        size = self.vocabulary_size or len(self.vocabulary)
        self.remember(vocabulary_size=size)
        unbuilt = copy.deepcopy(self.network)
        self.require_memory(lambda: unbuilt.build(size, len(COCO_STUFF)), "model.init_args.network")
        self.network.build(size, len(COCO_STUFF))
        self.built = True

    def training_step(self, batch: TaggedBatch, batch_idx: int) -> Tensor:
        """Cross-entropy of a batch's words."""
        loss = self._loss(self.network(batch.words, batch.lengths, batch.texts), batch)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch))
        return loss

    def _loss(self, logits: Tensor, batch: TaggedBatch) -> Tensor:
        return F.cross_entropy(logits.flatten(0, 1), batch.tags.flatten(), ignore_index=UNTAGGED)

    def validation_step(self, batch: TaggedBatch, batch_idx: int) -> None:
        """Log the loss, and collect the tags for :meth:`on_validation_epoch_end`."""
        logits = self.network(batch.words, batch.lengths, batch.texts)
        self.log("val/loss", self._loss(logits, batch), batch_size=len(batch), sync_dist=True)
        columns = (batch.words, logits.argmax(dim=2), batch.tags)
        for words, guess, tags, length in zip(*(each.cpu().numpy() for each in columns), batch.lengths.tolist()):
            self._seen.append((words[:length], guess[:length], tags[:length]))

    def on_validation_epoch_end(self) -> None:
        """Log every :class:`~t2igan.metrics.tagging.TaggingQuality` under ``val/`` (this process's narratives)."""
        words, guess, tags = (list(each) for each in zip(*self._seen))
        self._seen = []
        telling = self._content_words()
        quality = tagging_quality(guess, tags, [telling[each] for each in words])
        self.log_dict({f"val/{name}": value for name, value in quality.as_dict().items()}, sync_dist=True)

    def test_step(self, batch: TaggedBatch, batch_idx: int) -> None:
        """Same as validation, on the test narratives."""
        self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """Same as at the end of validation."""
        self.on_validation_epoch_end()

    def _content_words(self) -> np.ndarray:
        rows = datamodule_of(self.trainer).training_rows()
        return content_words(*rows, size=len(self.vocabulary))

    def on_train_epoch_start(self) -> None:
        """Set the learning rate of the epoch."""
        self.set_rate(self.lr * self.lr_decay**self.current_epoch)

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, *_: object, **__: object) -> None:
        """Clip the norm of all gradients together."""
        nn.utils.clip_grad_norm_(self.parameters(), self.clip)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.lr)

    @torch.no_grad()
    def tag(self, narratives: Sequence[Sequence[str]]) -> list[list[str]]:
        """The label name of every word; words unseen in training count as unknown.

        Args:
            narratives: lower-case words of each narrative, at least one.
        """
        ids = {word: place for place, word in enumerate(self.vocabulary)}
        rows = [torch.tensor([ids.get(word, 1) for word in words]) for words in narratives]
        padded = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(self.device)
        values = self.network(padded, torch.tensor([len(row) for row in rows]), narratives).argmax(dim=2)
        return [
            [COCO_STUFF.names[value] for value in row[: len(words)]]
            for row, words in zip(values.tolist(), narratives)
        ]
