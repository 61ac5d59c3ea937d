"""Spectral normalisation (Miyato et al., ICLR 2018) with DM-GAN's tensors and, optionally, its behaviour."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-12


class SpectralConv2d(nn.Module):
    """Convolution whose weight, as a matrix W with one row per output channel, is divided by its norm sigma.

    Sigma = u . (W v); the power iteration v <- W'u, u <- Wv brings u and v to the first singular vectors. Both are
    parameters without gradient, as in released checkpoints, which hold them.

    By default u and v are updated in train mode only, and each forward's gradient uses its own u and v. PyTorch's
    ``spectral_norm`` does the same, but names its tensors otherwise.

    Args:
        channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the kernel.
        stride: stride of the kernel.
        padding: zeros at each border.
        legacy_power_iteration: as in the released code, update u and v in every forward, even in eval mode, and in
            place, so that gradients of earlier forwards use the latest u and v. Results then depend on the number
            of calls.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        legacy_power_iteration: bool = False,
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        self.legacy_power_iteration = legacy_power_iteration
        fan_in = channels * kernel**2
        self.weight_bar = nn.Parameter(nn.init.orthogonal_(torch.empty(out_channels, channels, kernel, kernel)))
        self.bias = nn.Parameter(torch.empty(out_channels).uniform_(-(fan_in**-0.5), fan_in**-0.5))
        self.weight_u = nn.Parameter(_unit(torch.randn(out_channels)), requires_grad=False)
        self.weight_v = nn.Parameter(_unit(torch.randn(fan_in)), requires_grad=False)
        # An orthogonal matrix has equal singular values: a single iteration makes sigma exact.
        self._iterate()

    def forward(self, features: Tensor) -> Tensor:
        """``features`` (B, C, h, w) -> (B, C', h', w')."""
        # Sigma in half precision would be wrong in the third digit.
        with torch.autocast(features.device.type, enabled=False):
            sigma, weight = self._sigma(), self.weight_bar
            # Dividing the features is equivalent, and cheaper for wide layers with more weights than features.
            if features.numel() < weight.numel():
                features = features / sigma
            else:
                weight = weight / sigma
        return F.conv2d(features, weight, self.bias, self.stride, self.padding)

    def _sigma(self) -> Tensor:
        if self.training or self.legacy_power_iteration:
            self._iterate()
        u, v = self.weight_u, self.weight_v
        if not self.legacy_power_iteration:
            # The graph keeps these copies when later forward passes change the parameters.
            u, v = u.clone(), v.clone()
        return u.dot(self.weight_bar.flatten(1).mv(v))

    def _iterate(self) -> None:
        # ``data`` hides the change from autograd, which would otherwise refuse the legacy gradients.
        matrix = self.weight_bar.data.flatten(1)
        self.weight_v.data.copy_(_unit(self.weight_u.data @ matrix))
        self.weight_u.data.copy_(_unit(matrix @ self.weight_v.data))


def _unit(vector: Tensor) -> Tensor:
    return vector / (vector.norm() + EPSILON)
