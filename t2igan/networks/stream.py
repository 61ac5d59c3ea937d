"""STREAM's networks without pre-trained weights: a small encoder, and the decoder (MirrorGAN, sec. 3.3)."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from t2igan.nn.config import Configured
from t2igan.nn.images import resize
from t2igan.nn.sequences import pack, unpack
from t2igan.ranges import Count, Finite, Side


class CaptionEncoder(Configured, nn.Module):
    """Images (B, 3, S, S) in [-1, 1] -> features (B, E), of any side S.

    Attributes:
        dim: width E.
        image_size: side in pixels to which images are resized.
        faster_channels_last: whether the channels-last memory layout is faster on a CPU.
    """

    faster_channels_last: ClassVar[bool] = False
    dim: int
    image_size: int

    def load_pretrained(self) -> None:
        """Load pre-trained weights before training, if the encoder has any."""

    def trainable(self) -> list[nn.Parameter]:
        """The parameters that pre-training trains."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


class SmallCaptionEncoder(CaptionEncoder):
    """A small convolutional encoder for images of 32 to 64 pixels, trained from scratch.

    Args:
        dim: width of the features.
        channels: width of the first layers, which detect colours and small patterns.
        image_size: side to which images are resized, a multiple of 4.
    """

    def __init__(self, dim: Count = 256, channels: Count = 16, image_size: Side = 64) -> None:
        super().__init__()
        self.dim = dim
        self.image_size = image_size
        self.trunk = nn.Sequential(
            nn.AvgPool2d(2), *_convolution(3, channels, 1), *_convolution(channels, channels, 3), nn.MaxPool2d(2)
        )
        # The position of a colour tells which body part has it, so positions are not pooled.
        self.linear = nn.Linear(channels * (image_size // 4) ** 2, dim)
        self.bn = nn.BatchNorm1d(dim)

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, E)."""
        return self.bn(self.linear(self.trunk(resize(images, self.image_size)).flatten(1)))


def _convolution(channels: int, out_channels: int, kernel: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(out_channels), nn.LeakyReLU(0.2)


class CaptionDecoder(Configured, nn.Module):
    """LSTM decoder from features to words, which takes the features as its first input.

    Args:
        vocabulary_size: number V of word ids, index 0 (``<end>``, padding) included.
        embedding_dim: width E of word embeddings and features.
        hidden_dim: width of the LSTM's state.
        forget_bias: initial value of the forget gate's bias; 1 makes the LSTM keep the image features at first. The
            released code adds nothing.
    """

    def __init__(
        self, vocabulary_size: Count, embedding_dim: Count = 256, hidden_dim: Count = 512, forget_bias: Finite = 0.0
    ) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.embedding = nn.Embedding(vocabulary_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, batch_first=True)
        self.linear = nn.Linear(hidden_dim, vocabulary_size)
        with torch.no_grad():
            self.lstm.get_parameter("bias_ih_l0")[hidden_dim : 2 * hidden_dim] += forget_bias

    def forward(self, features: Tensor, captions: Tensor, lengths: Tensor) -> Tensor:
        """Logits of each word, given the features and the true words before it.

        Args:
            features: (B, E).
            captions: int64 (B, T), 0 = padding.
            lengths: int64 (B,), each in 1..T, in any order.

        Returns:
            (sum of lengths, V), as PyTorch packs sequences: first words of all captions from the longest caption to
            the shortest, then second words, and so on.
        """
        inputs = torch.cat([features[:, None], self.embedding(captions[:, :-1])], dim=1)
        states, _ = self.lstm(pack(inputs, lengths))
        return self.linear(states.data)

    def log_probabilities(self, features: Tensor, captions: Tensor, lengths: Tensor) -> Tensor:
        """Natural logarithm of the probability of each word, given the features and the true words before it.

        Args:
            features: (B, E).
            captions: int64 (B, T), 0 = padding.
            lengths: int64 (B,), each in 1..T, in any order.

        Returns:
            (B, max(lengths)), zero for padding.
        """
        lengths = lengths.cpu()
        targets = pack(captions, lengths)
        losses = F.cross_entropy(self(features, captions, lengths), targets.data, reduction="none")
        return unpack(PackedSequence(-losses, *targets[1:]))

    def greedy(self, features: Tensor, max_words: int = 20, stop: bool = True) -> Tensor:
        """Greedy decoding: the most probable word at each position.

        Args:
            features: (B, E).
            max_words: T, length of the captions.
            stop: whether ``<end>`` ends a caption; False always generates ``max_words`` words, as released.

        Returns:
            int64 (B, T); with ``stop``, 0 from the ``<end>`` on.
        """
        words, inputs, state = [], features, None
        for _ in range(max_words):
            output, state = self.lstm(inputs[:, None], state)
            words.append(self.linear(output[:, 0]).argmax(dim=1))
            inputs = self.embedding(words[-1])
        caption = torch.stack(words, dim=1)
        return caption.masked_fill((caption == 0).cumsum(dim=1) > 0, 0) if stop else caption


def with_end(captions: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Append ``<end>`` to captions (B, T): captions (B, T + 1) and their lengths."""
    return F.pad(captions, (0, 1)), lengths + 1
