"""What a caption is to every generator, discriminator and loss."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from t2igan.nn import across


@dataclass
class TextEmbedding:
    """Embedded captions.

    Attributes:
        sentence: (B, D), one vector a caption.
        words: (B, D, T), one vector a word; zero where there is no word.
        padding: bool (B, T), True where there is no word.
    """

    sentence: Tensor
    words: Tensor
    padding: Tensor

    def __len__(self) -> int:
        return len(self.sentence)

    @property
    def lengths(self) -> Tensor:
        """int64 (B,), words per caption."""
        return (~self.padding).sum(dim=1)

    def detach(self) -> "TextEmbedding":
        """The same embedding, cut from the graph of the encoder."""
        return replace(self, sentence=self.sentence.detach(), words=self.words.detach())

    def to(self, device: torch.device | str) -> "TextEmbedding":
        """The same embedding on ``device``."""
        return TextEmbedding(self.sentence.to(device), self.words.to(device), self.padding.to(device))

    def select(self, index: Tensor) -> "TextEmbedding":
        """Rows ``index`` (int64 (N,)) of the embedding."""
        return TextEmbedding(self.sentence[index], self.words[index], self.padding[index])

    def between(self, shares: Tensor) -> "TextEmbedding":
        """Embeddings (N) on the way from the first row to the second.

        Between the ends a place has a word where one of the two has one; at the ends they are as they were.

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
        """The captions of all devices, in their order; gradients flow back to where they come from."""
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
