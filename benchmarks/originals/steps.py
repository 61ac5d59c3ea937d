"""One training iteration of each released trainer, statement for statement."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.originals import cascade, one_way
from benchmarks.originals.matching import Captioner, ImageEncoder, TextEncoder, sentence_loss, words_loss

DECAY = 0.999


@dataclass
class Inputs:
    """A batch: images of each size, coarse to fine, captions (B, T) and their lengths."""

    images: list[Tensor]
    captions: Tensor
    lengths: Tensor


Step = Callable[[Inputs], None]


def _adam(network: nn.Module, rate: float, betas: tuple[float, float]) -> torch.optim.Adam:
    trained = [each for each in network.parameters() if each.requires_grad]
    return torch.optim.Adam(trained, lr=rate, betas=betas)


def cascade_step(kind: str, width: int, discriminator_width: int, size: int) -> Step:
    """AttnGAN, MirrorGAN and DM-GAN: ``kind`` attn, mirror or dm."""
    stage = {
        "attn": lambda: cascade.AttnStage(width, 2),
        "mirror": lambda: cascade.AttnStage(width, 2, mirror=True),
        "dm": lambda: cascade.MemoryStage(width, 2),
    }[kind]
    generator = cascade.Generator(width, [stage(), stage()], size)
    discriminators = [cascade.Discriminator(discriminator_width, size // k, kind == "dm") for k in (4, 2, 1)]
    text = TextEncoder().eval().requires_grad_(False)
    damsm = (Captioner() if kind == "mirror" else ImageEncoder()).eval().requires_grad_(False)
    average = copy.deepcopy(list(generator.parameters()))
    optimizers = [_adam(discriminator, 2e-4, (0.5, 0.999)) for discriminator in discriminators]
    optimizer = _adam(generator, 2e-4, (0.5, 0.999))
    bce = nn.BCELoss()

    def step(inputs: Inputs) -> None:
        words, sentence = text(inputs.captions, inputs.lengths)
        batch = len(sentence)
        real, fake = torch.ones(batch), torch.zeros(batch)
        images, mu, logvar = generator(torch.randn(batch, cascade.NOISE), sentence, words)
        for discriminator, its_optimizer, true, generated in zip(discriminators, optimizers, inputs.images, images):
            discriminator.zero_grad()
            of_real, of_fake = discriminator.features(true), discriminator.features(generated.detach())
            errors = bce(discriminator.pair(of_real, sentence), real), bce(discriminator.alone(of_real), real)
            wrong = bce(discriminator.pair(of_real[:-1], sentence[1:]), fake[1:])
            fakes = bce(discriminator.pair(of_fake, sentence), fake), bce(discriminator.alone(of_fake), fake)
            (sum(errors) / 2 + (sum(fakes) + wrong) / 3).backward()
            its_optimizer.step()
        generator.zero_grad()
        total = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).mean()
        for discriminator, generated in zip(discriminators, images):
            features = discriminator.features(generated)
            total = (
                total + bce(discriminator.pair(features, sentence), real) + bce(discriminator.alone(features), real)
            )
        if kind == "mirror":
            total = total + 10 * damsm(images[-1], inputs.captions, inputs.lengths)
        else:
            regions, codes = damsm(images[-1])
            matching = words_loss(regions, words, inputs.lengths, (4, 5, 10)) + sentence_loss(codes, sentence, 10)
            total = total + 5 * matching
        total.backward()
        optimizer.step()
        for mean, parameter in zip(average, generator.parameters()):
            mean.data.mul_(DECAY).add_(parameter.data, alpha=1 - DECAY)

    return step


def _penalty(discriminator: one_way.Discriminator, images: Tensor, sentence: Tensor, logits: Tensor) -> Tensor:
    parts = torch.autograd.grad(logits, (images, sentence), torch.ones_like(logits), create_graph=True)
    norm = torch.cat([part.flatten(1) for part in parts], 1).square().sum(1).sqrt()
    return 2 * norm.pow(6).mean()


def one_way_step(kind: str, width: int, size: int) -> Step:
    """SSA-GAN and DF-GAN: ``kind`` ssa, df or df-legacy."""
    generator = one_way.Generator(kind, width, size)
    discriminator = one_way.Discriminator(width, size, 8 if kind == "df" else 16)
    text = TextEncoder().eval().requires_grad_(False)
    damsm = ImageEncoder().eval().requires_grad_(False) if kind == "ssa" else None
    optimizer, of_discriminator = _adam(generator, 1e-4, (0.0, 0.9)), _adam(discriminator, 4e-4, (0.0, 0.9))

    def discriminator_steps(true: Tensor, generated: Tensor, sentence: Tensor) -> None:
        merged = kind == "df"
        images, leaf = (
            (true.detach().requires_grad_(), sentence.detach().requires_grad_())
            if merged
            else (
                true,
                sentence,
            )
        )
        features = discriminator(images)
        logits = discriminator.pair(features, leaf)
        wrong = (features.roll(-1, 0), leaf) if merged else (features[:-1], leaf[1:])
        error_wrong = F.relu(1 + discriminator.pair(*wrong)).mean()
        error_fake = F.relu(1 + discriminator.pair(discriminator(generated.detach()), leaf)).mean()
        total = F.relu(1 - logits).mean() + (error_fake + error_wrong) / 2
        if merged:
            total = total + _penalty(discriminator, images, leaf, logits)
        generator.zero_grad()
        discriminator.zero_grad()
        total.backward()
        of_discriminator.step()
        if not merged:
            images, leaf = true.detach().requires_grad_(), sentence.detach().requires_grad_()
            penalty = _penalty(discriminator, images, leaf, discriminator.pair(discriminator(images), leaf))
            discriminator.zero_grad()
            penalty.backward()
            of_discriminator.step()

    def step(inputs: Inputs) -> None:
        words, sentence = text(inputs.captions, inputs.lengths)
        generated = generator(torch.randn(len(sentence), one_way.NOISE), sentence)
        discriminator_steps(inputs.images[-1], generated, sentence)
        total = -discriminator.pair(discriminator(generated), sentence).mean()
        if damsm is not None:
            regions, codes = damsm(generated)
            matching = words_loss(regions, words, inputs.lengths, (5, 5, 10)) + sentence_loss(codes, sentence, 10)
            total = total + 0.05 * matching
        generator.zero_grad()
        discriminator.zero_grad()
        total.backward()
        optimizer.step()

    return step


def damsm_step() -> Step:
    """pretrain_DAMSM.py: the trunk in train mode, as released."""
    text, image = TextEncoder().train(), ImageEncoder().train()
    trained = [*text.parameters(), *image.emb_features.parameters(), *image.emb_cnn_code.parameters()]
    optimizer = torch.optim.Adam(trained, lr=2e-3, betas=(0.5, 0.999))

    def step(inputs: Inputs) -> None:
        text.zero_grad()
        image.zero_grad()
        regions, codes = image(inputs.images[-1])
        words, sentence = text(inputs.captions, inputs.lengths)
        total = words_loss(regions, words, inputs.lengths, (4, 5, 10)) + sentence_loss(codes, sentence, 10)
        total.backward()
        nn.utils.clip_grad_norm_(text.parameters(), 0.25)
        optimizer.step()

    return step


def stream_step() -> Step:
    """Pre-training of MirrorGAN's captioner."""
    captioner = Captioner().train()
    optimizer = _adam(captioner, 1e-3, (0.9, 0.999))

    def step(inputs: Inputs) -> None:
        captioner.zero_grad()
        captioner(inputs.images[-1], inputs.captions, inputs.lengths).backward()
        optimizer.step()

    return step
