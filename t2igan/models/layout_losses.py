"""SPADE's further generator losses: feature matching and VGG's perceptual loss."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import vgg19

from t2igan.errors import UserError
from t2igan.metrics.backbones import IMAGENET_MEAN, IMAGENET_STD
from t2igan.metrics.weights import file_sha256
from t2igan.models.generator_losses import GeneratorLoss, GeneratorView
from t2igan.ranges import Weight

VGG_NAME = "vgg19-dcbb9e9d.pth"
VGG_URL = f"https://download.pytorch.org/models/{VGG_NAME}"
# Index of VGG19's layers relu1_1 to relu5_1, and their weights.
VGG_LAYERS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}


class FeatureMatching(GeneratorLoss):
    """Distance (L1) of generated from real images in the discriminators' features (pix2pixHD, Eq. 4).

    Uses all layers of a discriminator except the last one, which holds the logits; discriminators are weighted like
    their adversarial losses, and those that return no layers are ignored.

    Args:
        weight: lambda (10 in SPADE, 20 in CC-FPSE).
    """

    name = "feature_matching"

    def __init__(self, weight: Weight = 10.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, view: GeneratorView) -> Tensor:
        """The weighted distance.

        Raises:
            UserError: no discriminator returns layers.
        """
        shown = [each for each in view.discriminated if each.verdict.layers]
        if not shown:
            names = ", ".join(type(each.discriminator).__name__ for each in view.discriminated)
            raise UserError(
                f"FeatureMatching: {names} returns no layers: remove it from generator_losses, or use "
                "PatchDiscriminator, FPSEDiscriminator or SegmentDiscriminator"
            )
        total = view.synthesis.images[-1].new_zeros(())
        for each in shown:
            discriminator = each.discriminator
            with torch.no_grad():
                real = discriminator.verdict(view.real(discriminator.image_size), each.condition).layers
            pairs = zip(each.verdict.layers[:-1], real[:-1])
            distance = torch.stack([F.l1_loss(mine, theirs) for mine, theirs in pairs]).sum()
            total = total + discriminator.adversarial_weight * distance
        return self.weight * total


class VGGLoss(GeneratorLoss):
    """Distance (L1) of generated from real images in the features of VGG19 (SPADE, appendix A).

    Args:
        weights: file of torchvision's VGG19 on ImageNet, ``vgg19-dcbb9e9d.pth``.
        weight: lambda (10 in SPADE).
    """

    name = "vgg"
    network: nn.Sequential

    def __init__(self, weights: str, weight: Weight = 10.0) -> None:
        super().__init__()
        self.weights, self.weight = weights, weight

    def prepare(self, vocabulary: list[str]) -> None:
        """Load the frozen network.

        Raises:
            UserError: there is no such file, or it holds something else.
        """
        path = Path(self.weights)
        if not path.is_file():
            raise UserError(f"VGGLoss.weights: {path} does not exist; download {VGG_URL} there, or remove the loss")
        self.network = nn.Sequential(*list(vgg19(weights=None).features.children())[: max(VGG_LAYERS) + 1])
        own = {f"features.{name}" for name in self.network.state_dict()}
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
            kept = {name.removeprefix("features."): value for name, value in found.items() if name in own}
            self.network.load_state_dict(kept)
        except Exception as error:  # a file of another kind may raise anything
            raise UserError(f"VGGLoss.weights: {path} is not {VGG_NAME}; download {VGG_URL}") from error
        self.inputs = {"vgg": file_sha256(path)}
        self.eval().requires_grad_(False)

    def forward(self, view: GeneratorView) -> Tensor:
        """The weighted distance."""
        generated = view.synthesis.images[-1]
        with torch.no_grad():
            real = self._features(view.real(generated.shape[-1]))
        pairs = zip(self._features(generated), real, VGG_LAYERS.values())
        return self.weight * torch.stack([weight * F.l1_loss(mine, theirs) for mine, theirs, weight in pairs]).sum()

    def _features(self, images: Tensor) -> list[Tensor]:
        """VGG19's features of images (B, 3, S, S) in [-1, 1], after ImageNet normalisation."""
        mean, deviation = (images.new_tensor(each).view(1, 3, 1, 1) for each in (IMAGENET_MEAN, IMAGENET_STD))
        values, found = ((images + 1) / 2 - mean) / deviation, []
        for place, layer in enumerate(self.network):
            values = layer(values)
            if place in VGG_LAYERS:
                found.append(values)
        return found
