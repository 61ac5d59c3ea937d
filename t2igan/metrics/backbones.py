"""Networks that turn images into features and class logits for the metrics."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from t2igan.errors import UserError
from t2igan.metrics.inception import FEATURE_DIM, inception_v3, pooled_features, tf1_resize
from t2igan.metrics.pil_resize import pil_resize
from t2igan.metrics.weights import PUBLISHED, resolve_weights
from t2igan.user_modules import code_of

Flavour = Literal["tf-2015", "torchvision-affine", "torchvision", "dfgan", "slim-birds"]
Resize = Literal["pil", "pil-128", "tensor", "tf1", "clean"]

INPUT_SIZE = 299
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_CLASSES = {"tf-2015": 1008, "slim-birds": 51}
_OWN_RESIZE: dict[str, Resize] = {
    "tf-2015": "tf1",
    "torchvision-affine": "pil",
    "torchvision": "pil",
    "dfgan": "tensor",
    "slim-birds": "pil",
}


class Backbone(nn.Module, ABC):
    """Base class of frozen evaluation networks: always in eval mode, without gradients.

    Attributes:
        name: name of the network in records.
        sha256: sha256 of its weights, hexadecimal.
        feature_dim: width F of the features.
    """

    name: str
    sha256: str
    feature_dim: int

    @property
    def identity(self) -> list[str]:
        """All values that the features depend on besides the image."""
        return [type(self).__qualname__, self.name, self.sha256, *code_of(type(self)).values()]

    @abstractmethod
    def _embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, F) and logits (B, C) of images (B, 3, H, W) as :meth:`forward` takes them."""

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Embed images.

        Args:
            images: (B, 3, H, W), RGB, uint8 or as generated (float in [-1, 1]); each backbone resizes its own way.

        Returns:
            Features (B, F) and class logits (B, C), float32.
        """
        known = images.dtype == torch.uint8 or images.is_floating_point()
        if not known or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(
                f"a backbone wants uint8 or float images (B, 3, H, W), got {images.dtype} {tuple(images.shape)}"
            )
        with torch.autocast(images.device.type, enabled=False):
            features, logits = self._embed(images)
        return features.float(), logits.float()

    def freeze(self) -> "Backbone":
        """Switch to eval mode permanently and disable gradients."""
        return self.train(False).requires_grad_(False)

    def train(self, mode: bool = True) -> "Backbone":
        """Stay in eval mode regardless of ``mode``."""
        return super().train(False)


class InceptionBackbone(Backbone):
    """Inception-v3, features after the global average pooling.

    The flavours give values that must not be compared with each other:

    * ``tf-2015``: TensorFlow's graph of 2015-12-05. TensorFlow's resize to 299, (x - 128) / 128, 1,008 logits
      without the bias, as the inception scores of the literature are computed.
    * ``torchvision-affine``: torchvision's ImageNet network as the scorers of DM-GAN, DF-GAN and TISE use it:
      PIL's bilinear resize of the 8-bit image, then the affine map from ImageNet-normalised to [-1, 1] values,
      applied to values in [0, 1] that never were normalised, so that the network sees about -0.03 to 0.43.
    * ``dfgan``: as ``torchvision-affine``, but resized as a float tensor without antialiasing, as the current code
      of DF-GAN does with images that were never rounded to 8 bits.
    * ``torchvision``: the same weights with the input in [-1, 1] that they were trained on.
    * ``slim-birds``: TF-slim's network, fine-tuned on the test birds of CUB, for the inception scores of the
      literature on CUB: 50 classes; the background's logit is dropped. The file has to be converted.

    Args:
        flavour: see above.
        weights: file of weights; None searches like :func:`t2igan.metrics.weights.resolve_weights`.
        folder: folder that is searched and downloaded to.
        download: whether a missing file may be downloaded.
        verify: False accepts weights other than the published ones, which the name then shows.
        resize: resize to 299 pixels instead of the flavour's: ``pil`` (Pillow's 8-bit bilinear, exactly),
            ``pil-128`` (that to 128 pixels, then TensorFlow's to 299), ``tensor`` (bilinear without antialiasing),
            ``tf1`` (TensorFlow 1) or ``clean`` (bicubic with antialiasing, as clean-fid).

    Raises:
        UserError: file missing, not the published one, or not weights of this network.
    """

    feature_dim = FEATURE_DIM

    def __init__(
        self,
        flavour: Flavour,
        weights: Path | None = None,
        folder: Path = Path("checkpoints"),
        download: bool = True,
        verify: bool = True,
        resize: Resize | None = None,
    ) -> None:
        super().__init__()
        if flavour not in get_args(Flavour):
            raise UserError(f"inception flavour: {flavour!r} is not one of {', '.join(get_args(Flavour))}")
        self.flavour = flavour
        self.resize: Resize = resize or _OWN_RESIZE[flavour]
        published = _release(flavour, weights, folder)
        path, self.sha256 = resolve_weights(published, Path(folder), weights, download, verify)
        self.name = f"inception-{flavour}" + (f"-{resize}" if resize else "")
        if not self.sha256.startswith(PUBLISHED[published].sha256_prefix):
            self.name += " (not the published weights)"
        from_tf = flavour in ("tf-2015", "slim-birds")
        self.network = inception_v3(_CLASSES.get(flavour, 1000), from_tf, last_by_maximum=flavour == "tf-2015")
        load_weights(self.network, path, ignore=("AuxLogits.",))
        self.freeze()

    @property
    def identity(self) -> list[str]:
        """Includes flavour and resize."""
        # Cached features of the earlier, inexact PIL resize must not be reused.
        resize = f"{self.resize}, exact" if self.resize.startswith("pil") else self.resize
        return [*super().identity, self.flavour, resize]

    def preprocess(self, images: Tensor) -> Tensor:
        """Resize and scale images as the flavour requires.

        Args:
            images: (B, 3, H, W), uint8 or float in [-1, 1].

        Returns:
            float32 (B, 3, 299, 299).
        """
        levels = _resized(images, self.resize)
        if self.flavour == "tf-2015":
            return (levels - 128) / 128
        if self.flavour in ("torchvision", "slim-birds"):
            return levels / 127.5 - 1
        mean, std = (torch.tensor(x, device=images.device)[:, None, None] for x in (IMAGENET_MEAN, IMAGENET_STD))
        return levels / 255 * (std / 0.5) + (mean - 0.5) / 0.5

    def _embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = pooled_features(self.network, self.preprocess(images))
        classifier = self.network.fc
        bias = None if self.flavour == "tf-2015" else classifier.bias
        logits = nn.functional.linear(features, classifier.weight, bias)
        return features, logits[:, 1:] if self.flavour == "slim-birds" else logits


def _resized(images: Tensor, how: Resize) -> Tensor:
    """Images (uint8 or float in [-1, 1]) at 299 pixels, as float levels of 0 to 255."""
    size = [INPUT_SIZE, INPUT_SIZE]
    pixels = images if images.dtype == torch.uint8 else (images.float() + 1) * 127.5
    if how == "pil":
        return _as_pil(pixels, INPUT_SIZE)
    if how == "pil-128":
        return tf1_resize(_as_pil(pixels, 128), INPUT_SIZE)
    levels = pixels.float()
    if how == "tf1":
        return tf1_resize(levels, INPUT_SIZE)
    mode = "bicubic" if how == "clean" else "bilinear"
    resized = nn.functional.interpolate(levels, size, mode=mode, align_corners=False, antialias=how != "tensor")
    return resized.clamp(0, 255)


def _as_pil(pixels: Tensor, size: int) -> Tensor:
    """PIL's exact resize for 8-bit images; for float images the same filter without rounding."""
    if pixels.dtype == torch.uint8:
        return pil_resize(pixels, size).float()
    return nn.functional.interpolate(pixels, (size, size), mode="bilinear", align_corners=False, antialias=True)


def _release(flavour: Flavour, weights: Path | None, folder: Path) -> str:
    """Key of a flavour's published weights."""
    if flavour in ("tf-2015", "slim-birds"):
        return f"inception-{flavour}"
    return _torchvision_release(weights, folder)


def _torchvision_release(weights: Path | None, folder: Path) -> str:
    """Prefer the older release if only that is available."""
    old, new = "inception-torchvision-2017", "inception-torchvision"
    if weights is not None:
        return old if Path(weights).name in PUBLISHED[old].files else new
    places = [Path(folder), Path(torch.hub.get_dir()) / "checkpoints"]
    has = {name: any((place / PUBLISHED[name].files[0]).is_file() for place in places) for name in (old, new)}
    return old if has[old] and not has[new] else new


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the state dict in a file without executing code in it.

    Raises:
        UserError: the file is damaged, or holds something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds of errors for a damaged file
        raise UserError(
            f"{path}: not a readable file of weights ({type(error).__name__}): fetch it again"
        ) from error
    if not isinstance(state, Mapping):
        raise UserError(f"{path}: holds a {type(state).__name__}, not a state dict: give a file of weights")
    return dict(state)


def load_weights(network: nn.Module, path: Path, ignore: tuple[str, ...] = ()) -> None:
    """Load a state dict from a file, strictly.

    Args:
        network: network to load into.
        path: file written by ``torch.save``.
        ignore: prefixes of entries to skip.

    Raises:
        UserError: the file is not a state dict, or not of this network.
    """
    state = {key: value for key, value in read_state(path).items() if not key.startswith(ignore)}
    own = network.state_dict()
    # Files from before 2018 lack these counters, which eval mode does not use.
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    foreign = [key for key in state if key not in own]
    wrong = [key for key, value in state.items() if key in own and value.shape != own[key].shape]
    for what, keys in (("lacks", missing), ("has the unknown", foreign), ("has another shape of", wrong)):
        if keys:
            raise UserError(f"{path}: {what} {keys[0]} ({len(keys)} entries in all): weights of another network?")
    network.load_state_dict(state, strict=False)
