"""DF-GAN (both generations) and SSA-GAN as released: their networks."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DIM, NOISE = 256, 100


def mlp(inputs: int, hidden: int, out: int) -> nn.Sequential:
    """One modulation parameter per channel."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, out))


class Affine(nn.Module):
    """DF-GAN's affine: parameters expanded to the size of the features."""

    def __init__(self, width: int, inputs: int, hidden: int) -> None:
        super().__init__()
        self.gamma, self.beta = mlp(inputs, hidden, width), mlp(inputs, hidden, width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Scaled and shifted."""
        gamma, beta = (f(condition)[:, :, None, None].expand(x.size()) for f in (self.gamma, self.beta))
        return gamma * x + beta


class MaskedNorm(nn.Module):
    """SSA-GAN's batch norm with the sentence's parameters under a mask."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width, affine=False)
        self.gamma, self.beta = mlp(DIM, 256, width), mlp(DIM, 256, width)

    def forward(self, x: Tensor, sentence: Tensor, mask: Tensor) -> Tensor:
        """(1 + mask gamma) x + mask beta."""
        x = self.norm(x)
        gamma, beta = (f(sentence)[:, :, None, None].expand(x.size()) for f in (self.gamma, self.beta))
        return (gamma * mask + 1) * x + beta * mask


class DFBlock(nn.Module):
    """Upsampling first, then two fusions of two affines each beside the shortcut, all at full size."""

    def __init__(self, width: int, out: int, inputs: int, hidden: int | None, gated: bool, upsample: bool) -> None:
        super().__init__()
        sizes = [width, width, out, out]
        self.affines = nn.ModuleList(Affine(size, inputs, hidden or size) for size in sizes)
        self.c1, self.c2 = nn.Conv2d(width, out, 3, padding=1), nn.Conv2d(out, out, 3, padding=1)
        self.shortcut = nn.Conv2d(width, out, 1) if width != out else None
        self.gamma = nn.Parameter(torch.zeros(1)) if gated else 1.0
        self.upsample = upsample

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Features of twice the side."""
        if self.upsample:
            x = F.interpolate(x, scale_factor=2)
        h = x
        for conv, (one, two) in ((self.c1, self.affines[:2]), (self.c2, self.affines[2:])):
            h = F.leaky_relu(one(h, condition), 0.2)
            h = conv(F.leaky_relu(two(h, condition), 0.2))
        return (x if self.shortcut is None else self.shortcut(x)) + self.gamma * h


class SSABlock(nn.Module):
    """SSACN block as released, mask predictor included."""

    def __init__(self, width: int, out: int, upsample: bool) -> None:
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(width, out, 3, padding=1), nn.Conv2d(out, out, 3, padding=1)
        self.a1, self.a2 = MaskedNorm(width), MaskedNorm(out)
        self.shortcut = nn.Conv2d(width, out, 1) if width != out else None
        self.gamma = nn.Parameter(torch.zeros(1))
        self.upsample = upsample
        self.mask = nn.Sequential(
            nn.Conv2d(width, 100, 3, padding=1), nn.BatchNorm2d(100), nn.ReLU(), nn.Conv2d(100, 1, 1)
        )

    def forward(self, x: Tensor, sentence: Tensor) -> Tensor:
        """Features of twice the side."""
        mask = self.mask(x)
        if self.upsample:
            x = F.interpolate(x, scale_factor=2)
            mask = F.interpolate(mask, scale_factor=2, mode="bilinear", align_corners=True)
        mask = mask.sigmoid()
        h = self.c1(F.relu(self.a1(x, sentence, mask)))
        h = self.c2(F.relu(self.a2(h, sentence, mask)))
        return (x if self.shortcut is None else self.shortcut(x)) + self.gamma * h


def widths(size: int, width: int, widest: int) -> list[int]:
    """Channels from the image's side down to 4x4."""
    return [width * min(widest, 2**k) for k in range(size.bit_length() - 2)]


class Generator(nn.Module):
    """NetG: ``df`` (current), ``df-legacy`` or ``ssa``."""

    def __init__(self, kind: str, width: int, size: int) -> None:
        super().__init__()
        self.kind = kind
        outs = widths(size, width, 8)[::-1]
        pairs = list(pairwise(outs)) if kind == "df" else list(pairwise([8 * width, *outs]))
        self.fc = nn.Linear(NOISE, pairs[0][0] * 16)
        if kind == "ssa":
            blocks = [SSABlock(a, b, k > 0) for k, (a, b) in enumerate(pairs)]
        elif kind == "df":
            blocks = [DFBlock(a, b, NOISE + DIM, None, False, True) for a, b in pairs]
        else:
            blocks = [DFBlock(a, b, DIM, 256, True, k > 0) for k, (a, b) in enumerate(pairs)]
        self.blocks = nn.ModuleList(blocks)
        norm = [nn.BatchNorm2d(outs[-1])] if kind == "ssa" else []
        self.head = nn.Sequential(
            *norm, nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(outs[-1], 3, 3, padding=1), nn.Tanh()
        )

    def forward(self, noise: Tensor, sentence: Tensor) -> Tensor:
        """Images."""
        x = self.fc(noise)
        x = x.view(len(x), -1, 4, 4)
        condition = torch.cat([noise, sentence], 1) if self.kind == "df" else sentence
        for block in self.blocks:
            x = block(x, condition)
        return self.head(x)


class DownBlock(nn.Module):
    """resD: 1x1 convolution at full size, then pooling."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *(nn.Conv2d(width, out, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)),
            *(nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)),
        )
        self.shortcut = nn.Conv2d(width, out, 1) if width != out else nn.Identity()
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Features of half the side."""
        return F.avg_pool2d(self.shortcut(x), 2) + self.gamma * self.residual(x)


class Discriminator(nn.Module):
    """NetD with its head."""

    def __init__(self, width: int, size: int, widest: int) -> None:
        super().__init__()
        sizes = widths(size, width, widest)
        self.image = nn.Conv2d(3, width, 3, 1, 1)
        self.blocks = nn.Sequential(*(DownBlock(a, b) for a, b in pairwise(sizes)))
        self.joint = nn.Sequential(
            nn.Conv2d(sizes[-1] + DIM, 2 * width, 3, 1, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * width, 1, 4, bias=False),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, C, 4, 4)."""
        return self.blocks(self.image(images))

    def pair(self, features: Tensor, sentence: Tensor) -> Tensor:
        """Logits."""
        return self.joint(torch.cat([features, sentence[:, :, None, None].repeat(1, 1, 4, 4)], 1)).view(-1)
