"""Dual encoders for text-to-image retrieval: DAMSM and CLIP."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from t2igan.errors import UserError
from t2igan.metrics.open_clip import load_clip
from t2igan.models.damsm import DAMSM
from t2igan.models.suite_module import content_sha256, load_module
from t2igan.nn.images import to_signed

TEXTS_AT_A_TIME = 256


class DualEncoder(ABC):
    """Base class of encoders of texts and images to unit vectors, whose inner product is the similarity.

    Attributes:
        name: name in tables.
        sha256: sha256 of everything that the vectors depend on.
    """

    name: str
    sha256: str

    @abstractmethod
    def image_vectors(self, images: Tensor) -> Tensor:
        """Unit vectors (B, D) of uint8 images (B, 3, H, W)."""

    @abstractmethod
    def text_vectors(self, texts: Sequence[Sequence[str]]) -> Tensor:
        """Unit vectors (B, D) of texts, given as lower-case words; 0 for a text without known words."""


class DamsmDualEncoder(DualEncoder):
    """Sentence vectors and image codes of a DAMSM, which is trained on captions, shorter than narratives.

    Args:
        damsm: the DAMSM, in eval mode.
    """

    def __init__(self, damsm: DAMSM) -> None:
        self.name, self.sha256 = "DAMSM", content_sha256(damsm)
        if damsm.text_encoder is None:
            raise ValueError("the DAMSM has no text encoder yet: configure_model() makes it")
        self._images, self._text = damsm.image_encoder, damsm.text_encoder
        # Id 0 ends captions, and is padding.
        self._ids = {word: place for place, word in enumerate(damsm.vocabulary) if place}

    @torch.no_grad()
    def image_vectors(self, images: Tensor) -> Tensor:
        """Unit image codes."""
        return functional.normalize(self._images(to_signed(images))[1], dim=1)

    @torch.no_grad()
    def text_vectors(self, texts: Sequence[Sequence[str]]) -> Tensor:
        """Unit sentence vectors of the words that the vocabulary has."""
        rows = [torch.tensor([self._ids[word] for word in text if word in self._ids] or [0]) for text in texts]
        found = []
        for start in range(0, len(rows), TEXTS_AT_A_TIME):
            batch = rows[start : start + TEXTS_AT_A_TIME]
            lengths = torch.tensor([len(row) for row in batch])
            sentence = self._text(pad_sequence(batch, batch_first=True), lengths).sentence
            known = torch.tensor([bool(row.any()) for row in batch])
            found.append(functional.normalize(sentence, dim=1) * known[:, None])
        return torch.cat(found)


class ClipDualEncoder(DualEncoder):
    """CLIP; texts are truncated to its context.

    Args:
        folder: folder in the format of ``transformers`` or ``open_clip``.
    """

    def __init__(self, folder: str | Path) -> None:
        self._clip = load_clip(folder)
        self.name, self.sha256 = "CLIP", self._clip.sha256

    def image_vectors(self, images: Tensor) -> Tensor:
        """CLIP's unit vectors."""
        return self._clip.image_vectors(images)

    def text_vectors(self, texts: Sequence[Sequence[str]]) -> Tensor:
        """CLIP's unit vectors."""
        return self._clip.caption_vectors([" ".join(text) for text in texts])


def load_dual_encoder(path: str | Path) -> DualEncoder:
    """Load a dual encoder from a checkpoint of a DAMSM or the folder of a CLIP.

    Raises:
        UserError: the path is neither.
    """
    if Path(path).is_dir():
        return ClipDualEncoder(path)
    module = load_module(path)
    if not isinstance(module, DAMSM):
        raise UserError(f"{path} holds a {type(module).__name__}: retrieval takes a DAMSM, or the folder of a CLIP")
    return DamsmDualEncoder(module)


class EncodedImages:
    """Embedded images to search with texts.

    Args:
        encoder: encoder of images and texts.
        batches: uint8 (B, 3, H, W) each, in the order of the images.
    """

    def __init__(self, encoder: DualEncoder, batches: Iterable[Tensor]) -> None:
        self._encoder = encoder
        self._vectors = torch.cat([encoder.image_vectors(images) for images in batches])

    def scores(self, queries: Sequence[Sequence[str]]) -> np.ndarray:
        """Cosines, float32 (queries, images).

        Args:
            queries: lower-case words of each query.
        """
        return (self._encoder.text_vectors(queries) @ self._vectors.T).numpy()
