"""CLIPs in the format of ``open_clip`` (Ilharco et al.)."""

import json
from pathlib import Path

from torch import Tensor
from torchvision.transforms import InterpolationMode

from t2igan.errors import UserError
from t2igan.metrics.clip import PIXEL_MEAN, PIXEL_STD, TOKENIZER_FILES, Clip, ClipEncoder, identity
from t2igan.optional import library, reading

CONFIG = "open_clip_config.json"
# In the order in which the library looks for them.
WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")


class OpenClipEncoder(Clip):
    """A CLIP in the folder format of ``open_clip``; never downloads.

    Args:
        folder: folder with open_clip_config.json, the weights and, if the configuration names one, the tokenizer.

    Raises:
        UserError: ``open_clip`` is not installed, or the folder holds no CLIP.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        open_clip = library("open_clip", "CLIPs of open_clip", "t2igan[clip]")
        weights = next((folder / name for name in WEIGHT_FILES if (folder / name).is_file()), None)
        if weights is None:
            raise UserError(f"{folder}: {CONFIG} without weights; put one of {', '.join(WEIGHT_FILES)} there")
        with reading(folder, "CLIP"):
            content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            text, pixels = content["model_cfg"]["text_cfg"], content.get("preprocess_cfg", {})
            if "hf_model_name" in text:
                raise ValueError(f"its text encoder {text['hf_model_name']} lies on a hub, which is never asked")
            model = open_clip.create_model(f"local-dir:{folder}", require_pretrained=True)
            tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
            interpolation = InterpolationMode(pixels.get("interpolation", "bicubic"))
        mean, std = list(pixels.get("mean", PIXEL_MEAN)), list(pixels.get("std", PIXEL_STD))
        side = model.visual.image_size
        super().__init__(side if isinstance(side, int) else side[0], mean, std, interpolation)
        self._model, self._tokenizer = model, tokenizer
        self.dim = content["model_cfg"]["embed_dim"]
        self.sha256 = identity([weights, *(folder / name for name in (CONFIG, *TOKENIZER_FILES))], mean, std)
        self.requires_grad_(False).eval()

    def _of_pixels(self, pixels: Tensor) -> Tensor:
        return self._model.encode_image(pixels)

    def _of_texts(self, texts: list[str]) -> Tensor:
        return self._model.encode_text(self._tokenizer(texts).to(next(self._model.parameters()).device))


def load_clip(folder: str | Path) -> Clip:
    """Load the CLIP in a folder; uses the format of ``open_clip`` only if ``transformers``' is missing.

    Raises:
        UserError: the folder holds no CLIP, or its library is not installed.
    """
    folder = Path(folder)
    alone = (folder / CONFIG).is_file() and not (folder / "config.json").is_file()
    return OpenClipEncoder(folder) if alone else ClipEncoder(folder)
