"""Embedders: networks that compute a row of features for each image."""

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from t2igan.data.store import StoreSplit
from t2igan.errors import UserError
from t2igan.evaluation.images.generate import NumberedImages, batches, caption_tokens, caption_words
from t2igan.evaluation.protocol import Protocol
from t2igan.evaluation.timing import NETWORK, part
from t2igan.metrics.backbones import Backbone
from t2igan.metrics.clip import Clip
from t2igan.metrics.lpips import LpipsNetwork
from t2igan.models.damsm import DAMSM, InceptionImageEncoder
from t2igan.models.joint_encoder import SegmentEncoder
from t2igan.models.segmenter import Segmenter, TransformersSegmenter
from t2igan.nn.images import to_signed
from t2igan.user_modules import code_of

CAPTIONS_AT_A_TIME = 512

Rows = tuple[Tensor, ...]
Network = TypeVar("Network", Clip | SegmentEncoder, Segmenter | TransformersSegmenter, LpipsNetwork)


class Embedder(ABC):
    """Base class: a network with its preprocessing and the identity of its features.

    Attributes:
        name: name of the network in records.
        sha256: sha256 of the weights.
        source: whether it gets generated images as stored (8 bits) or as floats before quantisation.
    """

    name: str
    sha256: str
    source: Literal["uint8", "float"]

    @property
    def identity(self) -> list[str]:
        """All values that the rows depend on besides the image, including the code of user-defined classes."""
        return [type(self).__name__, self.name, self.sha256, self.source, *code_of(type(self)).values()]

    @torch.no_grad()
    def __call__(self, images: NumberedImages) -> Rows:
        """Compute the rows (B, ...) of numbered images."""
        generated = images.generated if self.source == "float" else None
        return self._embed(images.images if generated is None else generated)

    @abstractmethod
    def _embed(self, images: Tensor) -> Rows:
        """Compute the rows of images, uint8 or float in [-1, 1]."""


class BackboneEmbedder(Embedder):
    """Features and class logits of a backbone.

    Args:
        backbone: moved to ``device``.
        source: see :class:`Embedder`.
        device: where to compute.
    """

    def __init__(self, backbone: Backbone, source: Literal["uint8", "float"], device: torch.device) -> None:
        self.backbone, self.source = backbone.to(device), source
        self.name, self.sha256 = backbone.name, backbone.sha256

    @property
    def identity(self) -> list[str]:
        """Includes the backbone's preprocessing."""
        return [*super().identity, *self.backbone.identity]

    def _embed(self, images: Tensor) -> Rows:
        return self.backbone(images)


class CaptionEmbedder(Embedder):
    """An embedder that also embeds captions.

    Attributes:
        label: distinguishes several networks of a kind in value names; empty for a single one.
    """

    label = ""
    _sentences: Tensor | None = None

    def captions(self, split: StoreSplit, protocol: Protocol) -> Tensor:
        """Sentence vectors (M, D) of all captions of the protocol's split; equal captions have equal vectors."""
        if self._sentences is None:
            with part(f"{NETWORK} {self.name}, captions"):
                self._sentences = self._encode(split, protocol)
        return self._sentences

    @abstractmethod
    def _encode(self, split: StoreSplit, protocol: Protocol) -> Tensor:
        """Compute the sentence vectors (M, D) of all captions of a split."""


@dataclass(frozen=True)
class ScoringDamsm:
    """A DAMSM used for scoring, with its label and digest.

    Attributes:
        label: suffix of the names of its values.
        sha256: sha256 of its config, vocabulary and weights.
        module: the DAMSM.
        origin: released files that it was imported from, empty for one trained with this suite.
    """

    label: str
    sha256: str
    module: DAMSM
    origin: str = ""


class DamsmEmbedder(CaptionEmbedder):
    """Image vectors of a DAMSM.

    Args:
        damsm: whose encoders are moved to ``device``.
        source: see :class:`Embedder`.
        device: where to compute.
        resize: how images are resized for its Inception; ``damsm``: as configured in its checkpoint.

    Raises:
        UserError: another resize is requested than the image encoder supports.
    """

    def __init__(
        self,
        damsm: ScoringDamsm,
        source: Literal["uint8", "float"],
        device: torch.device,
        resize: Literal["damsm", "align-corners", "half-pixel"] = "damsm",
    ) -> None:
        encoder = damsm.module.image_encoder.to(device)
        if resize != "damsm":
            if not isinstance(encoder, InceptionImageEncoder):
                raise UserError(
                    f"the protocol wants {resize} images for Inception, the DAMSM {damsm.label} has a "
                    f"{type(encoder).__name__}: give another --damsm or take a protocol without `resize`"
                )
            # A copy that shares the weights: training and other protocols keep the checkpoint's setting.
            encoder = copy.copy(encoder)
            encoder.align_corners = resize == "align-corners"
        self._encoder, self.resize = encoder, resize
        self.name, self.sha256, self.source = "damsm", damsm.sha256, source
        self.label, self._text_encoder, self._device = damsm.label, damsm.module.text_encoder, device

    @property
    def identity(self) -> list[str]:
        """Includes the resize."""
        return [*super().identity, self.resize]

    def _embed(self, images: Tensor) -> Rows:
        signed = images if images.is_floating_point() else to_signed(images)
        return (self._encoder(signed)[1],)

    @torch.no_grad()
    def _encode(self, split: StoreSplit, protocol: Protocol) -> Tensor:
        encoder, device = self._text_encoder.to(self._device), self._device
        words, seed = protocol.words, protocol.words_seed
        # Captions with equal words get bit-identical vectors at any position in a batch, so that they tie.
        first: dict[bytes, int] = {}
        every = (caption_words(split, caption, words, seed) for caption in range(split.n_captions))
        places = [first.setdefault(own.tobytes(), len(first)) for own in every]
        sentences, different = [], np.unique(places, return_index=True)[1]
        for batch in batches(different, CAPTIONS_AT_A_TIME):
            captions, lengths = caption_tokens(split, batch, words, seed)
            sentences.append(encoder(captions.to(device), lengths.to(device)).sentence)
        return torch.cat(sentences)[torch.tensor(places, device=device)]


class WholeEmbedder(Embedder, Generic[Network]):
    """A network that gets 8-bit images and is identified by a single digest.

    Args:
        network: moved to ``device``.
        device: where to compute.
    """

    source = "uint8"

    def __init__(self, network: Network, device: torch.device) -> None:
        self.network: Network = network.to(device)
        self.sha256 = network.sha256


class JointEmbedder(WholeEmbedder[Clip | SegmentEncoder], CaptionEmbedder):
    """Image vectors of a joint encoder of images and texts."""

    name = "joint encoder"

    def _embed(self, images: Tensor) -> Rows:
        return (self.network.image_vectors(images),)

    def _encode(self, split: StoreSplit, protocol: Protocol) -> Tensor:
        return self.network.caption_vectors([split.caption_text(caption) for caption in range(split.n_captions)])


class ClipEmbedder(JointEmbedder):
    """Image vectors of a CLIP."""

    name = "clip"


class SegmenterEmbedder(WholeEmbedder[Segmenter | TransformersSegmenter]):
    """The label of each pixel, uint8 (B, H, W)."""

    name = "segmenter"

    def _embed(self, images: Tensor) -> Rows:
        return (self.network.label_maps(images),)


class PairEmbedder(WholeEmbedder[LpipsNetwork]):
    """Mean LPIPS distance between the samples of each caption, (B, K, 3, S, S) -> (B,)."""

    name = "lpips"

    def _embed(self, images: Tensor) -> Rows:
        return (self.network.diversity(to_signed(images)),)
