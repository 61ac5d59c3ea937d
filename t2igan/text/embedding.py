"""Embedded captions, the text input of all generators, discriminators and losses."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from t2igan.nn import across


@dataclass
class TextEmbedding:
    """Sentence and word vectors of a batch of captions.

    Attributes:
        sentence: (B, D), one vector per caption.
        words: (B, D, T), one vector per word; zero for padding.
        padding: bool (B, T), True for padding.
    """

    sentence: Tensor
    words: Tensor
    padding: Tensor

    def __len__(self) -> int:
        return len(self.sentence)

    @property
    def lengths(self) -> Tensor:
        """Number of words per caption, int64 (B,)."""
        return (~self.padding).sum(dim=1)

    def detach(self) -> "TextEmbedding":
        """Detach the embedding from the encoder's graph."""
        return replace(self, sentence=self.sentence.detach(), words=self.words.detach())

    def to(self, device: torch.device | str) -> "TextEmbedding":
        """Move the embedding to ``device``."""
        return TextEmbedding(self.sentence.to(device), self.words.to(device), self.padding.to(device))

    def select(self, index: Tensor) -> "TextEmbedding":
        """Select rows ``index``, int64 (N,)."""
        return TextEmbedding(self.sentence[index], self.words[index], self.padding[index])

    def between(self, shares: Tensor) -> "TextEmbedding":
        """Interpolate N embeddings between the first two rows.

        Between the ends a position is padding only if it is in both rows; the ends are unchanged.

        Args:
            shares: (N,), 0 for the first, 1 for the second.
        """
        first, second = self.padding[:1], self.padding[1:2]
        padding = torch.where(
            shares[:, None] == 0, first, torch.where(shares[:, None] == 1, second, first & second)
        )
        sentence = torch.lerp(self.sentence[:1], self.sentence[1:2], shares[:, None])
        words = torch.lerp(self.words[:1], self.words[1:2], shares[:, None, None])
        return TextEmbedding(sentence, words, padding)

    def gathered(self) -> "TextEmbedding":
        """Concatenate the captions of all devices in order; gradients flow back to the originating device."""
        if across.devices() == 1:
            return self
        steps = self.words.shape[2]
        missing = across.largest(steps, self.words.device) - steps
        words, padding = (
            functional.pad(self.words, (0, missing)),
            functional.pad(self.padding, (0, missing), value=True),
        )
        everyone = across.gather(padding.to(torch.uint8)).bool()
        return TextEmbedding(across.gather(self.sentence), across.gather(words), everyone)
