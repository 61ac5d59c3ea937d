"""Conditioning augmentation (StackGAN; F_ca of AttnGAN, sec. 3.1)."""

import torch
from torch import Tensor, nn


class ConditioningAugmentation(nn.Module):
    """Draws a condition from a normal distribution around the sentence; in eval mode too.

    Args:
        sentence_dim: width D of the sentence.
        dim: width C of the condition.
    """

    def __init__(self, sentence_dim: int, dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(sentence_dim, 4 * dim)
        self.gate = nn.GLU(dim=1)

    def forward(self, sentence: Tensor, eps: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Condition, its mean and its log variance, (B, C) each.

        Args:
            sentence: (B, D).
            eps: (B, C), standard normal; None draws it.
        """
        mu, logvar = self.gate(self.fc(sentence)).chunk(2, dim=1)
        eps = torch.randn_like(mu) if eps is None else eps
        return mu + eps * (0.5 * logvar).exp(), mu, logvar
