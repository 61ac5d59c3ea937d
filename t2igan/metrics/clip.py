"""CLIP (Radford et al. 2021) loaded from a local folder, and the CLIP score."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from t2igan.errors import UserError
from t2igan.metrics.bootstrap import mean_estimate
from t2igan.metrics.estimate import Estimate
from t2igan.metrics.indexed import IndexedMetric
from t2igan.metrics.weights import file_sha256
from t2igan.optional import library, reading

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
# Those of OpenAI's CLIP; a folder's preprocessor_config.json overrides them.
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)
TOKENIZER_FILES = ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "added_tokens.json")
CAPTIONS_AT_A_TIME = 256


class Clip(nn.Module):
    """Base class of frozen CLIPs; subclasses load the networks.

    Args:
        side: side of the network's input images.
        mean: mean for normalising pixels.
        std: standard deviation for normalising pixels.
        interpolation: interpolation mode of the resize.

    Attributes:
        dim: width D of the vectors.
        side: see above.
        sha256: sha256 of everything that the embeddings depend on.
    """

    dim: int
    sha256: str

    def __init__(
        self,
        side: int,
        mean: Sequence[float],
        std: Sequence[float],
        interpolation: InterpolationMode = InterpolationMode.BICUBIC,
    ) -> None:
        super().__init__()
        self.side, self._mean, self._std, self._interpolation = side, list(mean), list(std), interpolation

    def train(self, mode: bool = True) -> "Clip":
        """Stay in eval mode."""
        return super().train(False)

    def _of_pixels(self, pixels: Tensor) -> Tensor:
        """Embed normalised pixels, float (B, 3, side, side) -> (B, D)."""
        raise NotImplementedError

    def _of_texts(self, texts: list[str]) -> Tensor:
        """Embed texts -> (N, D)."""
        raise NotImplementedError

    @torch.no_grad()
    def image_vectors(self, images: Tensor) -> Tensor:
        """Unit vectors (B, D) of uint8 images (B, 3, H, W), after resize of the short side and centre crop."""
        resized = transforms.resize(images, [self.side], self._interpolation, antialias=True)
        pixels = transforms.center_crop(resized, [self.side, self.side]).float() / 255
        return nn.functional.normalize(self._of_pixels(transforms.normalize(pixels, self._mean, self._std)), dim=1)

    @torch.no_grad()
    def caption_vectors(self, captions: Sequence[str]) -> Tensor:
        """Unit vectors (N, D) of captions, truncated to CLIP's context."""
        # Equal captions get bit-identical vectors at any position in a batch.
        places = {text: place for place, text in enumerate(dict.fromkeys(captions))}
        texts = list(places)
        starts = range(0, len(texts), CAPTIONS_AT_A_TIME)
        found = torch.cat([self._of_texts(texts[start : start + CAPTIONS_AT_A_TIME]) for start in starts])
        order = torch.tensor([places[text] for text in captions])
        return nn.functional.normalize(found, dim=1)[order.to(found.device, non_blocking=True)]


class ClipEncoder(Clip):
    """A CLIP in the format of ``transformers``; never downloads.

    Args:
        folder: folder with config.json, the weights and the tokenizer.

    Raises:
        UserError: ``transformers`` is not installed, or the folder holds no CLIP.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        transformers = library("transformers", "CLIP metrics", "t2igan[clip]")
        weights = next((folder / name for name in WEIGHT_FILES if (folder / name).is_file()), None)
        if weights is None or not (folder / "config.json").is_file():
            raise UserError(f"{folder}: no CLIP here; put config.json, the weights and the tokenizer's files there")
        with reading(folder, "CLIP"):
            model = transformers.CLIPModel.from_pretrained(folder, local_files_only=True)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        config: Any = model.config
        mean, std = _pixel_statistics(folder / "preprocessor_config.json")
        super().__init__(config.vision_config.image_size, mean, std)
        self._model, self._tokenizer = model, tokenizer
        self.sha256 = identity([weights, *(folder / name for name in ("config.json", *TOKENIZER_FILES))], mean, std)
        self.dim = config.projection_dim
        self._words: int = config.text_config.max_position_embeddings
        self.requires_grad_(False).eval()

    def _of_pixels(self, pixels: Tensor) -> Tensor:
        return self._model.visual_projection(self._model.vision_model(pixel_values=pixels).pooler_output)

    def _of_texts(self, texts: list[str]) -> Tensor:
        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._words, return_tensors="pt"
        ).to(self._model.device)
        pooled = self._model.text_model(
            input_ids=tokens.input_ids, attention_mask=tokens.attention_mask
        ).pooler_output
        return self._model.text_projection(pooled)


def identity(files: Sequence[Path], *pixels: Any) -> str:
    """sha256 of everything that the embeddings depend on: weights, sizes, tokenizer and normalisation."""
    digest = hashlib.sha256(json.dumps(pixels).encode())
    for path in files:
        digest.update(file_sha256(path).encode() if path.is_file() else b"none")
    return digest.hexdigest()


def _pixel_statistics(path: Path) -> tuple[list[float], list[float]]:
    if not path.is_file():
        return list(PIXEL_MEAN), list(PIXEL_STD)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return list(content["image_mean"]), list(content["image_std"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: has no image_mean and image_std; get the file again") from error


class ClipScore(IndexedMetric):
    """100 max(cosine, 0) of each image with its caption, mean over images (Hessel et al. 2021, section 3)."""

    higher_is_better = True

    def update(self, images: Tensor, captions: Tensor, index: Tensor) -> None:
        """Add images.

        Args:
            images: (B, D), unit vectors of images.
            captions: (B, D), unit vectors of their captions.
            index: int64 (B,), the number of each image; no number may come twice.
        """
        cosines = (images.float() * captions.float()).sum(1, keepdim=True)
        self._record(index, 100 * cosines.clamp(min=0))

    def compute(self) -> Tensor:
        """The score of every image, float32 (N,), in the order of their numbers; their mean is the CLIP score."""
        return self._ordered_rows()[:, 0]

    def estimates(self, replicates: int = 0, seed: int = 0) -> dict[str, Estimate]:
        """The CLIP score, see :class:`IndexedMetric`; its spread is over images."""
        return {"": mean_estimate(self._ordered_rows()[:, 0], "images", replicates, seed)}
