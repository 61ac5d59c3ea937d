"""Initial weights of the AttnGAN family."""

from torch import nn


def initialise_orthogonally(module: nn.Module) -> None:
    """Orthogonal weights for convolutions and linear layers, N(1, 0.02) for the scale of batch norms.

    Biases of linear layers and batch norms are zero; those of convolutions keep PyTorch's initialisation.
    """
    for part in module.modules():
        if isinstance(part, (nn.Conv1d, nn.Conv2d, nn.Linear)):
            nn.init.orthogonal_(part.weight)
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(part.weight, 1.0, 0.02)
        if isinstance(part, (nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)) and part.bias is not None:
            nn.init.zeros_(part.bias)
