"""The bi-directional recurrent text encoder of DAMSM (AttnGAN, sec. 3.2), which MirrorGAN calls STEM."""

from typing import Literal

import torch
from torch import Tensor, nn

from t2igan.errors import UserError
from t2igan.nn.config import Configured
from t2igan.nn.randomness import Dropout, StepRandom
from t2igan.nn.sequences import pack, unpack
from t2igan.ranges import Count, Share
from t2igan.text.embedding import TextEmbedding


class NoText(nn.Module):
    """Replaces the text encoder in models without text: vectors of width 0."""

    def forward(self, captions: Tensor, lengths: Tensor) -> TextEmbedding:
        """int64 captions (B, T) and lengths (B,) -> sentence (B, 0) and words (B, 0, T)."""
        rows, steps = captions.shape
        nothing = torch.empty(rows, 0, steps, device=captions.device)
        return TextEmbedding(nothing[:, :, 0], nothing, _padding(lengths, steps, captions.device))


class TextEncoder(Configured, nn.Module):
    """Word ids -> sentence and word vectors.

    Args:
        vocabulary_size: number of word ids, index 0 (padding) included.
        dim: width D of both vectors; half of it belongs to each direction.
        embedding_dim: width of the word embedding.
        dropout: dropout rate of the word embedding, in train mode.
        cell: ``lstm`` (all released checkpoints) or ``gru``.
    """

    def __init__(
        self,
        vocabulary_size: Count,
        dim: Count = 256,
        embedding_dim: Count = 300,
        dropout: Share = 0.5,
        cell: Literal["lstm", "gru"] = "lstm",
    ) -> None:
        super().__init__()
        if dim % 2:
            raise UserError(f"TextEncoder: dim is {dim}, but must be even: half of it belongs to each direction")
        self.dim = dim
        self.vocabulary_size = vocabulary_size
        self.embedding = nn.Embedding(vocabulary_size, embedding_dim)
        self.dropout = Dropout(dropout)
        recurrent = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.rnn = recurrent(embedding_dim, dim // 2, batch_first=True, bidirectional=True)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)

    def forward(self, captions: Tensor, lengths: Tensor, random: StepRandom | None = None) -> TextEmbedding:
        """Encode captions, in any order of lengths.

        Args:
            captions: int64 (B, T), 0 = padding.
            lengths: int64 (B,), each in 1..T.
            random: source of dropout's random numbers; None uses torch's generator.

        Returns:
            Words of shape (B, D, max(lengths)): states of the forward direction in the first half of the
            channels, of the backward direction in the second. The sentence is the last state of each.
        """
        embedded = self.dropout(self.embedding(captions), random)
        states, last = self.rnn(pack(embedded, lengths))
        hidden = last[0] if isinstance(last, tuple) else last
        words = unpack(states)
        sentence = hidden.transpose(0, 1).reshape(len(captions), self.dim)
        padding = _padding(lengths, words.shape[1], words.device)
        return TextEmbedding(sentence, words.transpose(1, 2), padding)


def _padding(lengths: Tensor, steps: int, device: torch.device) -> Tensor:
    """Bool (B, steps), True from each length on."""
    return torch.arange(steps, device=device) >= lengths.to(device, non_blocking=True)[:, None]
