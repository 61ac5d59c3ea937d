"""Fold batch norms of frozen networks into the preceding convolutions."""

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(network: nn.Module) -> int:
    """Fold each batch norm that directly follows a convolution among its parent's children, in place.

    The network must stay in eval mode afterwards, and its state dict changes. In the networks of the suite and
    in torchvision's Inception and ResNet, children are called in the order of their definition.

    Args:
        network: in eval mode, frozen.

    Returns:
        Number of batch norms folded.

    Raises:
        ValueError: the network is in train mode, or not frozen.
    """
    if any(each.requires_grad for each in network.parameters()):
        raise ValueError("only a frozen network can be folded")
    folded = 0
    for parent in list(network.modules()):
        for (first, convolution), (second, norm) in list(pairwise(parent.named_children())):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                if norm.training:
                    raise ValueError("only a network in eval mode can be folded")
                setattr(parent, first, fuse_conv_bn_eval(convolution, norm).requires_grad_(False))
                setattr(parent, second, nn.Identity())
                folded += 1
    return folded
