"""The frozen ImageNet trunk under DAMSM's image encoder and STREAM's caption encoder."""

from pathlib import Path
from typing import ClassVar, Literal

from pytorch_lightning.utilities import rank_zero_warn
from torch import nn

from t2igan.metrics.backbones import load_weights
from t2igan.metrics.weights import pretrained_weights

BatchNormMode = Literal["train", "eval"]


class FrozenTrunk(nn.Module):
    """Mixin of an encoder whose trunk has ImageNet weights that are never trained.

    Attributes:
        TRUNK: the trunk's name in messages.
        PUBLISHED: name of its weights in :data:`t2igan.metrics.weights.PUBLISHED`.
        UNUSED: prefixes of published tensors that the trunk does not have.
        PURPOSE: what random weights are not suitable for, in messages.
        trunk: the network, without its last layer.
        weights: ``imagenet`` (torchvision's, from ``checkpoints/`` or downloaded), ``random``, or a file.
        bn_mode: ``train``: the trunk's batch norm is in the mode of the encoder; ``eval``: always in eval mode.
    """

    TRUNK: ClassVar[str]
    PUBLISHED: ClassVar[str]
    UNUSED: ClassVar[tuple[str, ...]]
    PURPOSE: ClassVar[str]
    trunk: nn.Module
    weights: str
    bn_mode: BatchNormMode

    def set_trunk(self, trunk: nn.Module, weights: str, bn_mode: BatchNormMode) -> None:
        """Set the frozen trunk, without its layer ``fc``; to be called in the constructor."""
        self.weights, self.bn_mode = weights, bn_mode
        trunk.register_module("fc", nn.Identity())
        # Trainers do not change the mode of modules.
        self.trunk = trunk.requires_grad_(False).train(bn_mode == "train")

    def load_pretrained(self) -> None:
        """Load the trunk's weights.

        Raises:
            UserError: the file cannot be found or downloaded, or holds another network.
        """
        if self.weights == "random":
            rank_zero_warn(
                f"the {self.TRUNK} trunk has random weights: suitable for trying the code, not for {self.PURPOSE}"
            )
            return
        load_published(self.trunk, self.PUBLISHED, self.weights, self.UNUSED)

    def train(self, mode: bool = True) -> "FrozenTrunk":
        """Set train mode; the trunk follows only with ``bn_mode="train"``."""
        super().train(mode)
        if self.bn_mode == "eval":
            self.trunk.eval()
        return self


def load_published(network: nn.Module, published: str, weights: str, unused: tuple[str, ...]) -> None:
    """Load published weights into a network.

    Args:
        network: network to load into.
        published: name of the weights in :data:`t2igan.metrics.weights.PUBLISHED`.
        weights: ``imagenet`` (from ``checkpoints/`` or downloaded), or a file with these weights.
        unused: prefixes of tensors that the network does not have.

    Raises:
        UserError: the file cannot be found or downloaded, or holds another network.
    """
    file, _ = pretrained_weights(published, None if weights == "imagenet" else Path(weights))
    load_weights(network, file, ignore=unused)
