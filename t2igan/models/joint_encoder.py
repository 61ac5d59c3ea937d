"""Joint encoders of images and texts for SpaText's conditions and metrics: CLIP, and a small stand-in.

The stand-in is trained by ``t2igan fit`` on a data set's own segments in half a minute, if no CLIP is available.
Like CLIP's, its image and text vectors are separated by a gap, but on another scale: distances of different
encoders are not comparable.
"""

import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2igan.data.batch import CaptionedImages
from t2igan.data.datasets import resize_images
from t2igan.data.vocabulary import tokenize
from t2igan.errors import UserError
from t2igan.layout.layout import required
from t2igan.layout.segments import choose_segments, crop_segments
from t2igan.metrics.clip import Clip
from t2igan.metrics.open_clip import load_clip
from t2igan.models.suite_module import SuiteModule, content_sha256, load_module
from t2igan.nn.images import to_signed
from t2igan.nn.randomness import Purpose, StepRandom
from t2igan.nn.sequences import pack
from t2igan.ranges import Count, Positive, Rate, Share, Side, Whole

BUCKETS = 2**14
# Maximum segments per image in a training batch of the stand-in; more would be alike.
MOST_SEGMENTS = 6


class ImageTower(nn.Sequential):
    """Images (B, 3, S, S) in [-1, 1] -> (B, D): three halvings, then a linear layer over what is left."""

    def __init__(self, size: int, channels: int, dim: int) -> None:
        widths = [3, channels, 2 * channels, 4 * channels]
        layers: list[nn.Module] = []
        for width, out in pairwise(widths):
            layers += [nn.Conv2d(width, out, 4, stride=2, padding=1), nn.GroupNorm(4, out), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Flatten(), nn.Linear(4 * channels * (size // 8) ** 2, dim))


class TextTower(nn.Module):
    """Texts -> (N, D): hashed words, a bi-directional GRU, a linear layer.

    Words are hashed instead of looked up in a vocabulary, so that any text can be encoded with any store. A word
    that never occurred in training has a zero vector.
    """

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(BUCKETS, width, padding_idx=0)
        nn.init.zeros_(self.embedding.weight)
        self.start = nn.Parameter(torch.randn(width) * 0.1)
        self.gru = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, dim)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Vectors (N, D) of texts; all texts without words have the same vector."""
        rows = [word_numbers(text) for text in texts]
        lengths = torch.tensor([max(len(row), 1) for row in rows])
        ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = torch.tensor(row)
        words = self.embedding(ids.to(self.start.device, non_blocking=True)) + self.start
        return self.head(self.gru(pack(words, lengths))[1].transpose(0, 1).flatten(1))


def word_numbers(text: str) -> list[int]:
    """Hash a text's words to 1..:data:`BUCKETS` - 1, the same on every machine."""
    return [1 + zlib.crc32(word.encode()) % (BUCKETS - 1) for word in tokenize(text)]


def contrastive_loss(images: Tensor, texts: Tensor, names: Sequence[str], temperature: float) -> Tensor:
    """InfoNCE in both directions; all pairs with the same text are positives.

    Args:
        images: (N, D), unit vectors.
        texts: (N, D), unit vectors.
        names: the texts themselves.
        temperature: divisor of the cosines.
    """
    numbers: dict[str, int] = {}
    same = torch.tensor([numbers.setdefault(name, len(numbers)) for name in names])
    same = same.to(images.device, non_blocking=True)
    logits = images @ texts.T / temperature
    own = logits.masked_fill(same[:, None] != same[None, :], -torch.inf)
    captions, crops = ((logits.logsumexp(side) - own.logsumexp(side)).mean() for side in (0, 1))
    return (captions + crops) / 2


class SegmentEncoder(SuiteModule):
    """The stand-in for CLIP: trained on segments with their texts and on whole images with their captions.

    Args:
        dim: width of the vectors.
        channels: channels of the image tower's first layer.
        width: width of the text tower.
        crop_size: side to which crops and images are resized, a multiple of 8.
        smallest: minimum area of a training segment as a share of the image.
        temperature: temperature of the contrastive loss.
        lr: learning rate of Adam.
        seed: seed of the choice of segments.
    """

    requires = frozenset({"captions", "segments"})
    of_each_device = "the contrastive loss compares each device's segments alone"

    def __init__(
        self,
        dim: Count = 64,
        channels: Count = 24,
        width: Count = 64,
        crop_size: Side = 32,
        smallest: Share = 0.02,
        temperature: Positive = 0.1,
        lr: Rate = 2e-3,
        seed: Whole = 0,
    ) -> None:
        super().__init__()
        self.dim, self.side, self.smallest = dim, crop_size, smallest
        self.temperature, self.lr, self.seed = temperature, lr, seed
        self.images, self.texts = ImageTower(crop_size, channels, dim), TextTower(width, dim)
        self.sha256 = ""

    def _image_vectors(self, images: Tensor) -> Tensor:
        return F.normalize(self.images(to_signed(resize_images(images, self.side))), dim=1)

    @torch.no_grad()
    def image_vectors(self, images: Tensor) -> Tensor:
        """Unit vectors (B, D) of square images, uint8 (B, 3, H, H)."""
        if not len(images):
            return torch.zeros(0, self.dim, device=images.device)
        return self._image_vectors(images)

    @torch.no_grad()
    def caption_vectors(self, captions: Sequence[str]) -> Tensor:
        """Unit vectors (N, D) of texts; equal texts have bit-identical vectors."""
        if not captions:
            return torch.zeros(0, self.dim, device=self.device)
        places = {text: place for place, text in enumerate(dict.fromkeys(captions))}
        vectors = F.normalize(self.texts(list(places)), dim=1)
        order = torch.tensor([places[text] for text in captions])
        return vectors[order.to(vectors.device, non_blocking=True)]

    def _pairs(self, batch: CaptionedImages, random: StepRandom) -> tuple[Tensor, list[str]]:
        """uint8 (N, 3, S, S) and texts: segments of a batch, then its whole images."""
        layouts = required(batch.layouts)
        instances = layouts.on_host.instances
        uniform = random.uniform(len(batch), 1 + int(instances.max()), Purpose.SEGMENTS)
        segments = choose_segments(instances, layouts.texts, uniform, MOST_SEGMENTS, MOST_SEGMENTS, self.smallest)
        crops = crop_segments(batch.images, segments, self.side)
        whole = resize_images(batch.images, self.side)
        return torch.cat([crops, whole]), [*segments.flat_texts, *captions_of(batch, self.vocabulary)]

    def training_step(self, batch: CaptionedImages, batch_idx: int) -> Tensor:
        """Contrastive loss of a batch's pairs."""
        images, names = self._pairs(batch, self.step_random(len(batch)))
        vectors = self._image_vectors(images), F.normalize(self.texts(names), dim=1)
        loss = contrastive_loss(*vectors, names, self.temperature)
        self.log_step({"train/loss": loss}, len(batch))
        return loss

    def validation_step(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Log the accuracy of matching segments to texts within the batch, their cosine, and the modality gap."""
        images, names = self._pairs(batch, StepRandom(self.seed, batch_idx))
        segments = len(names) - len(batch)
        found, told = self.image_vectors(images)[:segments], self.caption_vectors(names[:segments])
        choices = list(dict.fromkeys(names[:segments]))
        best = (found @ self.caption_vectors(choices).T).argmax(1)
        hits = torch.tensor([choices[place] == name for place, name in zip(best.tolist(), names)])
        values = {
            "val/segment_accuracy": hits.float().mean(),
            "val/cosine": (found * told).sum(1).mean(),
            "val/modality_gap": (found.mean(0) - told.mean(0)).norm(),
        }
        self.log_dict(values, prog_bar=True, batch_size=segments, sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.lr)


def captions_of(batch: CaptionedImages, vocabulary: Sequence[str]) -> list[str]:
    """The words of each caption of a batch that the vocabulary has."""
    return [" ".join(str(vocabulary[word]) for word in row if word) for row in batch.captions_on_host.tolist()]


def load_joint_encoder(path: str | Path, key: str = "encoder") -> Clip | SegmentEncoder:
    """Load a joint encoder from the folder of a CLIP or the checkpoint of a :class:`SegmentEncoder`.

    Args:
        path: path of folder or file.
        key: configuration key for error messages.

    Raises:
        UserError: the path does not exist, or holds something else.
    """
    if Path(path).is_dir():
        return load_clip(path)
    module = load_module(path)
    if not isinstance(module, SegmentEncoder):
        raise UserError(f"{key}: {path} holds {type(module).__name__}, not a SegmentEncoder; a CLIP is a folder")
    module.sha256 = content_sha256(module)
    return module
