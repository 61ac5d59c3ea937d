"""Generate images of given captions, independently of batch size and number of devices."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from t2igan.data.selection import ImageSplit, Numbers
from t2igan.data.vocabulary import subsample_words
from t2igan.evaluation.images.told import layouts_to_draw
from t2igan.evaluation.plan import ImagePlan
from t2igan.evaluation.protocol import Protocol
from t2igan.layout.layout import Layouts
from t2igan.models.drawing import DrawingModule
from t2igan.nn.images import generated_uint8
from t2igan.nn.noise import caption_noise

ROWS = 16


@dataclass(frozen=True)
class NumberedImages:
    """A batch of images with their numbers in the plan.

    Attributes:
        numbers: int64 (B,), their numbers in the plan.
        images: uint8 (B, 3, S, S).
        generated: (B, 3, S, S) in [-1, 1] before quantisation; None where the images are 8-bit by nature.
    """

    numbers: Tensor
    images: Tensor
    generated: Tensor | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def only(self, mask: Tensor) -> "NumberedImages":
        """The images selected by ``mask``, bool (B,)."""
        if mask.all():
            return self
        there = mask.to(self.images.device)
        return NumberedImages(
            self.numbers[mask], self.images[there], None if self.generated is None else self.generated[there]
        )


def batches(numbers: Numbers, batch_size: int) -> Iterator[np.ndarray]:
    """Split ``numbers``, int64, into consecutive batches; the last one may be smaller."""
    for start in range(0, len(numbers), batch_size):
        yield np.asarray(numbers[start : start + batch_size], np.int64)


def caption_words(split: ImageSplit, caption: int, words: int, seed: int) -> np.ndarray:
    """Ids of at most ``words`` words of a caption; the choice depends only on seed and caption."""
    return subsample_words(split.caption_tokens(caption), words, np.random.default_rng([seed, caption]))


def caption_tokens(split: ImageSplit, captions: Numbers, words: int, seed: int) -> tuple[Tensor, Tensor]:
    """Padded captions like those of :class:`t2igan.data.datasets.EvaluationItems`, without reading images.

    Args:
        split: split of the captions.
        captions: caption ids.
        words: the most words of a caption.
        seed: seed of the choice of words.

    Returns:
        int64 (B, T), 0 = padding, and int64 (B,) lengths.
    """
    rows = [torch.from_numpy(caption_words(split, int(caption), words, seed)) for caption in captions]
    return pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])


def planned_noise(captions: np.ndarray, draws: np.ndarray, dim: int, seed: int) -> Tensor:
    """Noise (B, dim) of images, a function of caption and draw only."""
    noise = torch.empty(len(captions), dim)
    for draw in np.unique(draws):
        rows = torch.from_numpy(np.flatnonzero(draws == draw))
        noise[rows] = caption_noise(torch.from_numpy(captions)[rows], dim, seed, int(draw))
    return noise


def truncate_normal(noise: Tensor, bound: float) -> Tensor:
    """Map normal noise to the normal distribution truncated at -bound and bound, by quantiles.

    Args:
        noise: any shape, standard normal.
        bound: in standard deviations, positive.

    Returns:
        The same shape and dtype; a monotone function of ``noise``, so that it stays tied to its caption.
    """
    edge = torch.special.ndtr(torch.tensor(float(bound), dtype=torch.float64))
    quantile = (1 - edge) + torch.special.ndtr(noise.double()) * (2 * edge - 1)
    return torch.special.ndtri(quantile).clamp(-bound, bound).to(noise.dtype)


def protocol_noise(
    captions: np.ndarray, draws: np.ndarray, noise_dim: int, eps_dim: int, protocol: Protocol
) -> Tensor:
    """Noise of a protocol's images, (B, noise_dim + eps_dim): generator noise and conditioning augmentation.

    Truncation and scale apply to the generator noise, not to the conditioning augmentation.

    Args:
        captions: int64 (B,).
        draws: int64 (B,).
        noise_dim: width of the noise.
        eps_dim: width of the conditioning augmentation's noise, 0 without one.
        protocol: protocol with seed, truncation, scale and conditioning.
    """
    generated = planned_noise(captions, draws, noise_dim + eps_dim, protocol.noise_seed)
    noise, eps = generated.split([noise_dim, eps_dim], dim=1)
    if protocol.truncation:
        noise = truncate_normal(noise, protocol.truncation)
    if protocol.conditioning == "zero":
        eps = torch.zeros_like(eps)
    return torch.cat([noise * protocol.noise_scale, eps], dim=1)


@torch.no_grad()
def generate_images(
    module: DrawingModule,
    split: ImageSplit,
    plan: ImagePlan,
    protocol: Protocol,
    numbers: Numbers,
    batch_size: int,
    device: torch.device,
    window: int | None = None,
) -> Iterator[NumberedImages]:
    """Generate images of a plan.

    Args:
        module: module that generates; on ``device``.
        split: split of the captions.
        plan: all images of the evaluation.
        protocol: protocol with word limit, noise, weights and quantisation.
        numbers: numbers of the images in the plan.
        batch_size: images at a time, rounded up to a multiple of 16; does not change the images.
        device: device to generate on.
        window: side of the stored images' crop, for modules that require layouts.

    Yields:
        The images, sorted by caption length, then in the order of ``numbers``.
    """
    generator = module.generator
    for batch in _of_equal_length(split, plan, np.asarray(numbers, np.int64), protocol.words, batch_size):
        whole = whole_rows(batch)
        captions, lengths = caption_tokens(split, plan.captions[whole], protocol.words, protocol.words_seed)
        noise = protocol_noise(
            plan.captions[whole], plan.draws[whole], generator.noise_dim, generator.eps_dim, protocol
        )
        inputs = noise.to(device), captions.to(device), lengths
        layouts = layouts_of(module, split, protocol, plan.captions[whole], window, device)
        generated = module.synthesise(*inputs, protocol.weights, layouts)
        images = generated.images[-1][: len(batch)]
        yield NumberedImages(
            torch.from_numpy(batch), generated_uint8(images, protocol.quantisation), images.float()
        )


def layouts_of(
    module: DrawingModule,
    split: ImageSplit,
    protocol: Protocol,
    captions: np.ndarray,
    window: int | None,
    device: torch.device,
) -> Layouts | None:
    """The layouts of captions' images at the generator's size, for a module that requires them.

    Args:
        module: module that generates.
        split: split of the captions.
        protocol: protocol that selects whole layouts or some of their segments.
        captions: int64 (B,).
        window: side of the stored images' crop.
        device: device of the result.
    """
    if window is None or not module.requires & {"layouts", "segments"}:
        return None
    layouts = layouts_to_draw(split, window, protocol, captions)
    return layouts.resized(module.generator.image_sizes[-1]).to(device)


def _of_equal_length(
    split: ImageSplit, plan: ImagePlan, numbers: np.ndarray, words: int, batch_size: int
) -> Iterator[np.ndarray]:
    """Batches of equally long captions: recurrent layers then have equally many rows at every word."""
    lengths = np.array([min(len(split.caption_tokens(int(caption))), words) for caption in plan.captions[numbers]])
    for length in np.unique(lengths):
        yield from batches(numbers[lengths == length], batch_size)


def whole_rows(batch: np.ndarray) -> np.ndarray:
    """Pad the batch with its last image: matrix products round all rows alike only in full blocks of rows."""
    return np.pad(batch, (0, -len(batch) % ROWS), mode="edge")
