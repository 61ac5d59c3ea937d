"""Inception-v3 with the pooling of TensorFlow's graph of 2015-12-05, and the resizing that goes with it.

torchvision's Inception-v3 has the same convolutions; what differs (known from the ports in use for FID) is
that average pooling does not count the padding and that the last block pools by maximum.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import Inception3
from torchvision.models.inception import InceptionA, InceptionC, InceptionE

# The trunk of torchvision's Inception3 in order, without the auxiliary classifier.
TRUNK = (
    *(
        "Conv2d_1a_3x3",
        "Conv2d_2a_3x3",
        "Conv2d_2b_3x3",
        "maxpool1",
        "Conv2d_3b_1x1",
        "Conv2d_4a_3x3",
        "maxpool2",
    ),
    *("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    *("Mixed_7a", "Mixed_7b", "Mixed_7c", "avgpool"),
)
FEATURE_DIM = 2048


def _average_pool(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class _BlockA(InceptionA):
    """35 x 35 block."""

    def forward(self, x: Tensor) -> Tensor:
        wide = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), wide, double, self.branch_pool(_average_pool(x))], 1)


class _BlockC(InceptionC):
    """17 x 17 block."""

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_2(self.branch7x7dbl_1(x))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(self.branch7x7dbl_3(double)))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(_average_pool(x))], 1)


class _BlockE(InceptionE):
    """8 x 8 block."""

    def pooled(self, x: Tensor) -> Tensor:
        return _average_pool(x)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        branches = [
            self.branch1x1(x),
            self.branch3x3_2a(single),
            self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(self.pooled(x)),
        ]
        return torch.cat(branches, 1)


class _LastBlockE(_BlockE):
    """The last 8 x 8 block."""

    def pooled(self, x: Tensor) -> Tensor:
        return functional.max_pool2d(x, 3, stride=1, padding=1)


def inception_v3(classes: int, tf_pooling: bool, last_by_maximum: bool = True) -> Inception3:
    """Build Inception-v3 without the auxiliary classifier, with uninitialised weights.

    Args:
        classes: number of logits (1,008 in TensorFlow's graph, 1,000 in torchvision's).
        tf_pooling: pool as in TensorFlow's graph of 2015-12-05.
        last_by_maximum: the last block pools by maximum, as that graph does; TF-slim's network averages.
    """
    network = Inception3(num_classes=classes, aux_logits=False, transform_input=False, init_weights=False)
    if tf_pooling:
        for name, channels, pooled in (("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)):
            setattr(network, f"Mixed_{name}", _BlockA(channels, pool_features=pooled))
        for name, inner in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
            setattr(network, f"Mixed_{name}", _BlockC(768, channels_7x7=inner))
        network.Mixed_7b = _BlockE(1280)
        network.Mixed_7c = (_LastBlockE if last_by_maximum else _BlockE)(2048)
    return network


def pooled_features(network: nn.Module, images: Tensor) -> Tensor:
    """Output of the global average pooling.

    Args:
        network: torchvision's Inception3 or :func:`inception_v3`.
        images: float (B, 3, 299, 299), scaled as the network wants.

    Returns:
        (B, 2048).
    """
    for name in TRUNK:
        images = getattr(network, name)(images)
    return images.flatten(1)


def tf1_resize(images: Tensor, size: int) -> Tensor:
    """Bilinear resize of TensorFlow 1: no antialias, and output pixel i lies at input position i * in / out.

    Args:
        images: float (B, C, H, W).
        size: size of the output, (B, C, size, size).
    """
    for axis in (-1, -2):
        length = images.shape[axis]
        step = torch.tensor(length, dtype=torch.float32) / size
        position = torch.arange(size, dtype=torch.float32) * step
        lower = position.long()
        upper = (lower + 1).clamp(max=length - 1)
        fraction = (position - lower).to(images)
        if axis == -2:
            fraction = fraction[:, None]
        lower, upper = lower.to(images.device), upper.to(images.device)
        images = torch.lerp(images.index_select(axis, lower), images.index_select(axis, upper), fraction)
    return images
