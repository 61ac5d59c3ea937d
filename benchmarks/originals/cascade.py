"""AttnGAN, MirrorGAN and DM-GAN as released: networks of the cascade."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DIM, NOISE = 256, 100


def conv3x3(channels: int, out: int) -> nn.Conv2d:
    """Without bias."""
    return nn.Conv2d(channels, out, 3, padding=1, bias=False)


def up_block(channels: int, out: int) -> nn.Sequential:
    """Doubles the side, then the convolution at full size."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2), conv3x3(channels, 2 * out), nn.BatchNorm2d(2 * out), nn.GLU(1)
    )


class ResBlock(nn.Module):
    """Two convolutions and the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            *(conv3x3(width, 2 * width), nn.BatchNorm2d(2 * width), nn.GLU(1)),
            *(conv3x3(width, width), nn.BatchNorm2d(width)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        return self.block(x) + x


def attention(x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """GlobalAttentionGeneral: what each place reads from the words."""
    batch, _, height, width = x.shape
    scores = torch.bmm(x.flatten(2).transpose(1, 2).contiguous(), keys)
    weights = scores.view(batch * height * width, -1).softmax(1).view(batch, height * width, -1)
    return torch.bmm(values, weights.transpose(1, 2).contiguous()).view(batch, -1, height, width)


class AttnStage(nn.Module):
    """NEXT_STAGE_G of AttnGAN; with ``mirror`` GLAM's sentence attention and the convolution that fuses."""

    def __init__(self, width: int, residuals: int, mirror: bool = False) -> None:
        super().__init__()
        self.context = nn.Conv2d(DIM, width, 1, bias=False)
        self.residual = nn.Sequential(*(ResBlock(2 * width) for _ in range(residuals)))
        self.up = up_block(2 * width, width)
        self.mirror = mirror
        if mirror:
            self.linear, self.score = nn.Linear(NOISE, width), nn.Conv2d(width, width, 1, bias=False)
            self.fuse = nn.Conv2d(3 * width, 2 * width, 1, bias=False)

    def forward(self, x: Tensor, words: Tensor, code: Tensor) -> Tensor:
        """Features of twice the side."""
        projected = self.context(words[..., None])[..., 0]
        parts = [x, attention(x, projected, projected)]
        if self.mirror:
            sentence = self.linear(code)[:, :, None, None].repeat(1, 1, *x.shape[2:])
            parts.append(sentence * self.score(sentence * x).softmax(1))
            return self.up(self.residual(self.fuse(torch.cat(parts, 1))))
        return self.up(self.residual(torch.cat(parts, 1)))


class MemoryStage(nn.Module):
    """NEXT_STAGE_G of DM-GAN."""

    def __init__(self, width: int, residuals: int) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(DIM, 1, bias=False), nn.Linear(width, 1, bias=False)
        self.m_w = nn.Sequential(nn.Conv1d(DIM, 2 * width, 1), nn.ReLU())
        self.m_r = nn.Sequential(nn.Conv1d(width, 2 * width, 1), nn.ReLU())
        self.key = nn.Sequential(nn.Conv1d(2 * width, width, 1), nn.ReLU())
        self.value = nn.Sequential(nn.Conv1d(2 * width, width, 1), nn.ReLU())
        self.gate = nn.Sequential(nn.Conv2d(2 * width, 1, 1), nn.Sigmoid())
        self.residual = nn.Sequential(*(ResBlock(2 * width) for _ in range(residuals)))
        self.up = up_block(2 * width, width)

    def forward(self, x: Tensor, words: Tensor, code: Tensor) -> Tensor:
        """Features of twice the side."""
        mean = x.mean((2, 3)).detach()
        gate = (self.a(words.transpose(1, 2)) + self.b(mean)[:, None]).sigmoid().transpose(1, 2)
        memory = self.m_w(words) * gate + self.m_r(mean[..., None].repeat(1, 1, words.shape[2])) * (1 - gate)
        read = attention(x, self.key(memory), self.value(memory))
        share = self.gate(torch.cat([x, read], 1)).repeat(1, x.shape[1], 1, 1)
        x = read * share + x * (1 - share)
        return self.up(self.residual(torch.cat([x, x], 1)))


class Generator(nn.Module):
    """G_NET: three images."""

    def __init__(self, width: int, stages: list[nn.Module], size: int) -> None:
        super().__init__()
        coarse = size // 2 ** len(stages)
        top = width * coarse // 4
        self.ca = nn.Sequential(nn.Linear(DIM, 4 * NOISE), nn.GLU(1))
        self.fc = nn.Sequential(nn.Linear(2 * NOISE, top * 32, bias=False), nn.BatchNorm1d(top * 32), nn.GLU(1))
        widths = [top // 2**k for k in range((coarse // 4).bit_length())]
        self.init = nn.Sequential(*(up_block(a, b) for a, b in pairwise(widths)))
        self.stages = nn.ModuleList(stages)
        self.heads = nn.ModuleList(nn.Sequential(conv3x3(width, 3), nn.Tanh()) for _ in range(len(stages) + 1))

    def forward(self, noise: Tensor, sentence: Tensor, words: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Images, mean and log variance."""
        mu, logvar = self.ca(sentence).chunk(2, 1)
        code = torch.randn_like(mu) * (0.5 * logvar).exp() + mu
        x = self.fc(torch.cat([code, noise], 1))
        x = self.init(x.view(len(x), -1, 4, 4))
        images = [self.heads[0](x)]
        for stage, head in zip(self.stages, self.heads[1:]):
            x = stage(x, words, code)
            images.append(head(x))
        return images, mu, logvar


class Spectral(nn.Module):
    """DM-GAN's SpectralNorm: a power iteration at each forward."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        weight = conv.weight
        del conv._parameters["weight"]
        self.bar = nn.Parameter(weight.data)
        self.u, self.v = torch.randn(len(weight)), torch.randn(weight[0].numel())

    def forward(self, x: Tensor) -> Tensor:
        """The convolution with the weight over its norm."""
        matrix = self.bar.data.flatten(1)
        self.v = F.normalize(matrix.T @ self.u, dim=0)
        self.u = F.normalize(matrix @ self.v, dim=0)
        self.conv.weight = self.bar / self.u.dot(self.bar.flatten(1) @ self.v)
        return self.conv(x)


class Discriminator(nn.Module):
    """D_NET64, D_NET128 or D_NET256; with ``spectral`` DM-GAN's. Probabilities."""

    def __init__(self, width: int, size: int, spectral: bool = False) -> None:
        super().__init__()

        def block(channels: int, out: int, kernel: int, stride: int, norm: bool) -> list[nn.Module]:
            conv = nn.Conv2d(channels, out, kernel, stride, 1, bias=spectral)
            if spectral:
                return [Spectral(conv), nn.LeakyReLU(0.2, inplace=True)]
            return [conv, *([nn.BatchNorm2d(out)] if norm else []), nn.LeakyReLU(0.2, inplace=True)]

        depth = (size // 4).bit_length() - 1
        widths = [3, *(width * 2**k for k in range(depth))]
        layers = [part for k, (a, b) in enumerate(pairwise(widths)) for part in block(a, b, 4, 2, k > 0)]
        for k in range(depth - 1, 3, -1):
            layers += block(width * 2**k, width * 2 ** (k - 1), 3, 1, True)
        top = min(widths[-1], 8 * width)
        self.features = nn.Sequential(*layers)
        self.joint = nn.Sequential(*block(top + DIM, top, 3, 1, True))
        self.cond = nn.Sequential(nn.Conv2d(top, 1, 4, stride=4), nn.Sigmoid())
        self.uncond = nn.Sequential(nn.Conv2d(top, 1, 4, stride=4), nn.Sigmoid())

    def pair(self, features: Tensor, sentence: Tensor) -> Tensor:
        """Probability that image and sentence belong together."""
        everywhere = sentence[:, :, None, None].repeat(1, 1, 4, 4)
        return self.cond(self.joint(torch.cat([features, everywhere], 1))).view(-1)

    def alone(self, features: Tensor) -> Tensor:
        """Probability that the image is real."""
        return self.uncond(features).view(-1)
