"""SpaText's denoising networks (hosts), on pixels and on latents as in the paper (CVPR 2023, sec. 3.3).

A small one on pixels, trained from scratch, and a latent one around the user's Stable Diffusion, whose first
convolution is widened. The spatio-textual map is concatenated to the noisy input.
"""

from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2igan.errors import UserError
from t2igan.layout.segments import SpatioTextualMap
from t2igan.models.conditioner import Conditioner
from t2igan.nn.bounded import unbounded
from t2igan.nn.config import Configured
from t2igan.optional import library, reading
from t2igan.ranges import Count, Side, Whole

WHO, EXTRA = "hosts of spatext-diffusion", "t2igan[diffusion]"


def diffusers() -> Any:
    """Import the ``diffusers`` package.

    Raises:
        UserError: the package is not installed.
    """
    return library("diffusers", WHO, EXTRA)


class DiffusionHost(Configured, nn.Module):
    """Base class of denoising networks.

    Attributes:
        image_size: side of the images.
        shape: (C, s, s), shape of the denoised pixels or latents.
        segment_dim: width D of the maps it takes.
        lent: names of frozen parts whose weights have their own files.
    """

    lent: ClassVar[tuple[str, ...]] = ()
    image_size: int
    shape: tuple[int, int, int]
    segment_dim: int

    def encode(self, images: Tensor) -> Tensor:
        """Images (B, 3, S, S) in [-1, 1] -> pixels or latents (B, C, s, s)."""
        raise NotImplementedError

    def decode(self, clean: Tensor) -> Tensor:
        """The inverse of :meth:`encode`."""
        raise NotImplementedError

    def tell(self, captions: list[str], conditioner: Conditioner) -> Tensor:
        """Embed captions, (B, ...); an empty caption is the null condition."""
        raise NotImplementedError

    def predict(self, noisy: Tensor, times: Tensor, text: Tensor, st_map: SpatioTextualMap) -> Tensor:
        """Predict the noise (B, C, s, s) in ``noisy`` at ``times`` (B,)."""
        raise NotImplementedError


class PixelHost(DiffusionHost):
    """A UNet on pixels, conditioned on a caption vector and on map planes concatenated to the pixels.

    The map is projected from D to a few planes, without bias; with ``planes: null`` all D are used.

    Args:
        image_size: side of the images.
        segment_dim: width D of the map, and of the caption's vector.
        planes: number of planes that the map is projected to, None for all D.
        widths: channels at each resolution, from the image's down.
        layers: residual blocks at each resolution.
        attention: number of resolutions with attention, from the smallest up.
    """

    def __init__(
        self,
        image_size: Side = 64,
        segment_dim: Count = 64,
        planes: Count | None = 24,
        widths: tuple[Count, ...] = (32, 64, 96, 128),
        layers: Count = 1,
        attention: Whole = 1,
    ) -> None:
        super().__init__()
        sides, with_attention = len(widths), range(len(widths) - attention, len(widths))
        self.image_size, self.segment_dim, self.shape = image_size, segment_dim, (3, image_size, image_size)
        self.project = nn.Linear(segment_dim, planes, bias=False) if planes else nn.Identity()
        self.unet = diffusers().UNet2DModel(
            sample_size=image_size,
            in_channels=3 + (planes or segment_dim),
            out_channels=3,
            block_out_channels=tuple(widths),
            layers_per_block=layers,
            down_block_types=["AttnDownBlock2D" if k in with_attention else "DownBlock2D" for k in range(sides)],
            up_block_types=[
                "AttnUpBlock2D" if k in with_attention else "UpBlock2D" for k in reversed(range(sides))
            ],
            norm_num_groups=8,
            class_embed_type="identity",
        )
        self.caption = nn.Linear(segment_dim, 4 * widths[0])

    def encode(self, images: Tensor) -> Tensor:
        """Return the pixels unchanged."""
        return images

    def decode(self, clean: Tensor) -> Tensor:
        """Clamp the pixels to [-1, 1]."""
        return clean.clamp(-1, 1)

    def tell(self, captions: list[str], conditioner: Conditioner) -> Tensor:
        """The joint encoder's vectors (B, D) of captions; zeros for an empty one."""
        if conditioner.encoder is None:
            return torch.zeros(len(captions), self.segment_dim, device=self.caption.weight.device)
        said = torch.tensor([bool(each) for each in captions]).to(self.caption.weight.device, non_blocking=True)
        return conditioner.encoder.caption_vectors(captions) * said[:, None]

    def predict(self, noisy: Tensor, times: Tensor, text: Tensor, st_map: SpatioTextualMap) -> Tensor:
        """The noise."""
        planes = st_map.resized(self.image_size).planes(self.project)
        return self.unet(torch.cat([noisy, planes], dim=1), times, class_labels=self.caption(text)).sample


class LatentHost(DiffusionHost):
    """A Stable Diffusion in the format of diffusers, with the UNet's first convolution widened for the map.

    Autoencoder and text encoder are frozen; nothing is downloaded. The new weights start at zero, so that the
    network initially ignores the map.

    Args:
        folder: folder with ``unet``, ``vae``, ``text_encoder`` and ``tokenizer``.
        segment_dim: width D of the map.

    Raises:
        UserError: the folder lacks one of them.
    """

    lent = ("vae", "words")

    def __init__(self, folder: str, segment_dim: Count = 768) -> None:
        super().__init__()
        images = diffusers()
        self.segment_dim = segment_dim
        parts = {name: Path(folder) / name for name in ("unet", "vae", "text_encoder", "tokenizer")}
        if lacking := [str(path) for path in parts.values() if not path.is_dir()]:
            raise UserError(f"no Stable Diffusion in {folder}: {', '.join(lacking)} missing")
        texts = library("transformers", WHO, EXTRA)
        with reading(folder, "Stable Diffusion"), unbounded():
            self.unet = images.UNet2DConditionModel.from_pretrained(parts["unet"], local_files_only=True)
            self.vae = images.AutoencoderKL.from_pretrained(parts["vae"], local_files_only=True)
            self.words = texts.CLIPTextModel.from_pretrained(parts["text_encoder"], local_files_only=True)
            self._tokenizer = texts.CLIPTokenizerFast.from_pretrained(parts["tokenizer"], local_files_only=True)
        self.vae.requires_grad_(False)
        self.words.requires_grad_(False)
        side = self.unet.config.sample_size
        self.shape = (self.unet.config.in_channels, side, side)
        self.image_size = side * 2 ** (len(self.vae.config.block_out_channels) - 1)
        widen_first_convolution(self.unet, segment_dim)

    def encode(self, images: Tensor) -> Tensor:
        """Encode images to the autoencoder's scaled means."""
        with torch.no_grad():
            return self.vae.encode(images).latent_dist.mean * self.vae.config.scaling_factor

    def decode(self, clean: Tensor) -> Tensor:
        """Decode latents to images, clamped to [-1, 1]."""
        return self.vae.decode(clean / self.vae.config.scaling_factor).sample.clamp(-1, 1)

    @torch.no_grad()
    def tell(self, captions: list[str], conditioner: Conditioner) -> Tensor:
        """Embed captions to states (B, T, C), truncated to the text encoder's length."""
        tokens = self._tokenizer(
            captions,
            padding="max_length",
            truncation=True,
            max_length=self.words.config.max_position_embeddings,
            return_tensors="pt",
        )
        return self.words(tokens.input_ids.to(self.words.device, non_blocking=True)).last_hidden_state

    def predict(self, noisy: Tensor, times: Tensor, text: Tensor, st_map: SpatioTextualMap) -> Tensor:
        """The noise."""
        planes = st_map.resized(self.shape[1]).dense()
        return self.unet(torch.cat([noisy, planes], dim=1), times, encoder_hidden_states=text).sample


def widen_first_convolution(unet: Any, channels: int) -> None:
    """Add input channels with zero weights to a UNet's first convolution, in place.

    Args:
        unet: UNet of diffusers.
        channels: number of channels to add.
    """
    old = unet.conv_in
    new = nn.Conv2d(
        old.in_channels + channels, old.out_channels, old.kernel_size, old.stride, old.padding, bias=True
    )
    new.load_state_dict({"weight": F.pad(old.weight, (0, 0, 0, 0, 0, channels)), "bias": old.bias})
    unet.conv_in = new
    unet.register_to_config(in_channels=new.in_channels)
