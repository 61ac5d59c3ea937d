"""Word attention of image features to the caption (AttnGAN, sec. 3.1)."""

import torch
from torch import Tensor, nn


def attend(
    features: Tensor, keys: Tensor, values: Tensor, padding: Tensor, legacy_mask: bool = False
) -> tuple[Tensor, Tensor]:
    """Unscaled dot-product attention of image features over the words of a caption.

    Args:
        features: (B, C, h, w), the queries.
        keys: (B, C, T).
        values: (B, C, T).
        padding: bool (B, T), True where there is no word.
        legacy_mask: use the mask of the released code, which tiles the batch's masks instead of repeating each
            sample's: of the B * h * w queries, row by row, query r gets the mask of sample r mod B. Results then
            depend on the lengths of the other captions in the batch.

    Returns:
        Attended values (B, C, h, w) and attention (B, T, h, w), which sums to 1 over the words.
    """
    batch, _, height, width = features.shape
    scores = features.flatten(2).transpose(1, 2) @ keys
    if legacy_mask:
        samples = torch.arange(batch * height * width, device=features.device) % batch
        mask = padding[samples].view(batch, height * width, -1)
    else:
        mask = padding[:, None, :]
    attention = scores.masked_fill(mask, float("-inf")).softmax(dim=2).transpose(1, 2)
    read = values @ attention
    return read.view(batch, -1, height, width), attention.reshape(batch, -1, height, width)


class WordAttention(nn.Module):
    """Attention of each position over the words, which are projected to the features' width first.

    Args:
        channels: width C of the features.
        word_dim: width D of the words.
        legacy_mask: see :func:`attend`.
    """

    def __init__(self, channels: int, word_dim: int, legacy_mask: bool = False) -> None:
        super().__init__()
        self.legacy_mask = legacy_mask
        self.project = nn.Conv2d(word_dim, channels, 1, bias=False)

    def forward(self, features: Tensor, words: Tensor, padding: Tensor) -> tuple[Tensor, Tensor]:
        """``features`` (B, C, h, w), ``words`` (B, D, T) -> context (B, C, h, w), attention (B, T, h, w)."""
        projected = self.project(words[..., None])[..., 0]
        return attend(features, projected, projected, padding, self.legacy_mask)
