"""The networks that pictures are shown to: each turns a picture into a few rows of numbers, once."""

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from t2igan.errors import UserError
from t2igan.evaluation.generate import Pictures
from t2igan.metrics.backbones import Backbone
from t2igan.metrics.clip import ClipEncoder
from t2igan.models.damsm import DAMSM, InceptionImageEncoder
from t2igan.nn.images import to_signed

Rows = tuple[Tensor, ...]


class Embedder(ABC):
    """A network in one of its uses.

    Attributes:
        name: for the records.
        sha256: of the weights.
        source: whether it sees pictures as stored (8 bits) or as drawn, where they were drawn.
    """

    name: str
    sha256: str
    source: Literal["uint8", "float"]

    @property
    def identity(self) -> list[str]:
        """What its rows depend on beside the picture."""
        return [type(self).__name__, self.name, self.sha256, self.source]

    @torch.no_grad()
    def __call__(self, pictures: Pictures) -> Rows:
        """Rows (B, ...) of some pictures."""
        drawn = pictures.drawn if self.source == "float" else None
        return self._embed(pictures.images if drawn is None else drawn)

    @abstractmethod
    def _embed(self, images: Tensor) -> Rows:
        """Rows of pictures, uint8 or float in [-1, 1]."""


class BackboneEmbedder(Embedder):
    """Features and class logits.

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
        """With the backbone's way to see pictures."""
        return [*super().identity, *self.backbone.identity]

    def _embed(self, images: Tensor) -> Rows:
        return self.backbone(images)


@dataclass(frozen=True)
class Judge:
    """A DAMSM that scores.

    Attributes:
        label: for the names of metrics.
        sha256: of its recipe, vocabulary and weights.
        module: the DAMSM.
        origin: released files that it was imported from, empty for one that was trained here.
    """

    label: str
    sha256: str
    module: DAMSM
    origin: str = ""


class DamsmEmbedder(Embedder):
    """Image vectors of a DAMSM.

    Args:
        judge: whose image encoder is moved to ``device``.
        source: see :class:`Embedder`.
        device: where to compute.
        resize: how its Inception gets its pixels; ``damsm``: as its checkpoint says.

    Raises:
        UserError: a resize is wanted of an image encoder that has another one.
    """

    def __init__(
        self,
        judge: Judge,
        source: Literal["uint8", "float"],
        device: torch.device,
        resize: Literal["damsm", "align-corners", "half-pixel"] = "damsm",
    ) -> None:
        encoder = judge.module.image_encoder.to(device)
        if resize != "damsm":
            if not isinstance(encoder, InceptionImageEncoder):
                raise UserError(
                    f"the protocol wants {resize} pictures for Inception, the DAMSM {judge.label} has a "
                    f"{type(encoder).__name__}: give another --damsm or take a protocol without `resize`"
                )
            # A copy that shares the weights: training and other protocols keep the checkpoint's way.
            encoder = copy.copy(encoder)
            encoder.align_corners = resize == "align-corners"
        self._encoder, self.resize = encoder, resize
        self.name, self.sha256, self.source = "damsm", judge.sha256, source

    @property
    def identity(self) -> list[str]:
        """With the resize."""
        return [*super().identity, self.resize]

    def _embed(self, images: Tensor) -> Rows:
        signed = images if images.is_floating_point() else to_signed(images)
        return (self._encoder(signed)[1],)


class ClipEmbedder(Embedder):
    """Image vectors of a CLIP.

    Args:
        encoder: moved to ``device``.
        device: where to compute.
    """

    name, source = "clip", "uint8"

    def __init__(self, encoder: ClipEncoder, device: torch.device) -> None:
        self._encoder = encoder.to(device)
        self.sha256 = encoder.sha256

    def _embed(self, images: Tensor) -> Rows:
        return (self._encoder.image_vectors(images),)
