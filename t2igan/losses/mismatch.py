"""Which caption counts as wrong for a real picture."""

from typing import Literal

import torch
from torch import Tensor

MismatchPolicy = Literal["neighbour", "roll", "other-class"]


def mismatched(
    features: Tensor, sentence: Tensor, class_ids: Tensor, policy: MismatchPolicy
) -> tuple[Tensor, Tensor]:
    """Pairs of features and sentences that do not belong together.

    Args:
        features: (B, ...), of real pictures.
        sentence: (B, D), of their captions.
        class_ids: int64 (B,).
        policy: ``neighbour``: picture i with caption i + 1, B - 1 pairs (AttnGAN family, SSA-GAN; with a batch
            sorted by caption length the lengths are alike). ``roll``: picture i + 1 with caption i, cyclic, B pairs
            (current DF-GAN). ``other-class``: each picture with a random caption of another class; pictures
            that have none in the batch are left out.
    """
    if policy == "neighbour":
        return features[:-1], sentence[1:]
    if policy == "roll":
        return features.roll(-1, dims=0), sentence
    strangers = (class_ids[:, None] != class_ids[None, :]).float()
    rows = strangers.any(dim=1).nonzero().flatten()
    if len(rows) == 0:
        return features[:0], sentence[:0]
    return features[rows], sentence[torch.multinomial(strangers[rows], 1).flatten()]
