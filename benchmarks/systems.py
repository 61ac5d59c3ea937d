"""What is measured: each system of the suite, and the released code's way to the same step."""

from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from torch import Tensor

from benchmarks.originals import steps
from benchmarks.originals.matching import VOCABULARY, WORDS
from t2igan.data.batch import CaptionedImages
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.attngan import AttnGAN
from t2igan.models.damsm import DAMSM, InceptionImageEncoder
from t2igan.models.dfgan import DFGAN
from t2igan.models.dmgan import DMGAN
from t2igan.models.mirrorgan import MirrorGAN
from t2igan.models.redescription import RedescriptionLoss
from t2igan.models.ssagan import SSAGAN
from t2igan.models.stream import STREAM, ResNetCaptionEncoder

FAMILY = {"ssagan": "ssa", "dfgan": "df", "dfgan-legacy": "df-legacy"}
CASCADES = {"attngan": "attn", "mirrorgan": "mirror", "dmgan": "dm"}
# Base widths of generator and discriminators in the released settings; the benchmark may narrow them.
WIDTHS = {
    "ssagan": (32, 32),
    "dfgan": (32, 32),
    "dfgan-legacy": (32, 32),
    "attngan": (32, 64),
    "mirrorgan": (32, 64),
    "dmgan": (64, 32),
    "damsm": (0, 0),
    "stream": (0, 0),
}
# What each lever concerns beyond ``allocator`` and ``fused_adam``, which concern all.
LEVERS = {
    "ssagan": ("pointwise", "by_matrix", "folding", "channels_last", "joint_pass", "second_order"),
    "dfgan": ("doubling", "by_matrix", "channels_last", "shared_penalty", "second_order"),
    "dfgan-legacy": ("doubling", "by_matrix", "channels_last", "joint_pass", "second_order"),
    "attngan": ("doubling", "pointwise", "by_matrix", "folding", "channels_last", "joint_pass"),
    "mirrorgan": ("doubling", "pointwise", "by_matrix", "folding", "channels_last", "joint_pass"),
    "dmgan": ("doubling", "repeated", "pointwise", "folding", "channels_last"),
    "damsm": ("pointwise", "channels_last"),
    "stream": ("pointwise", "channels_last"),
}


@dataclass(frozen=True)
class Case:
    """One system at one size.

    Args:
        system: a key of ``WIDTHS``.
        batch: images a step.
        size: side of the images.
        narrower: divides the released widths.
    """

    system: str
    batch: int = 4
    size: int = 256
    narrower: int = 1

    @property
    def widths(self) -> tuple[int, int]:
        """Of generator and discriminators."""
        generator, discriminator = WIDTHS[self.system]
        return generator // self.narrower, discriminator // self.narrower


def batch_of(case: Case) -> CaptionedImages:
    """Random images and captions, always the same."""
    random = torch.Generator().manual_seed(0)
    shape = (case.batch, 3, case.size, case.size)
    lengths = torch.full((case.batch,), WORDS)
    return CaptionedImages(
        torch.randint(256, shape, dtype=torch.uint8, generator=random),
        torch.randint(1, VOCABULARY, (case.batch, WORDS), generator=random),
        lengths,
        torch.arange(case.batch),
        [str(k) for k in range(case.batch)],
        torch.arange(case.batch),
    )


def original(case: Case) -> steps.Step:
    """The released code's way."""
    generator, discriminator = case.widths
    if case.system in FAMILY:
        return steps.one_way_step(FAMILY[case.system], generator, case.size)
    if case.system in CASCADES:
        return steps.cascade_step(CASCADES[case.system], generator, discriminator, case.size)
    return {"damsm": steps.damsm_step, "stream": steps.stream_step}[case.system]()


def original_inputs(case: Case) -> steps.Inputs:
    """The batch as the released loaders give it."""
    batch = batch_of(case)
    images = [_signed(batch.images, case.size // k) for k in (4, 2, 1)]
    return steps.Inputs(images, batch.captions, batch.lengths)


def _signed(images: Tensor, size: int) -> Tensor:
    step = images.shape[-1] // size
    return (images[..., ::step, ::step].float() / 127.5 - 1).contiguous()


class _Given:
    """Puts networks with random weights in place of those that checkpoints hold."""

    def _load_scorer(self) -> DAMSM:
        damsm = DAMSM(InceptionImageEncoder(weights="random"), VOCABULARY)
        damsm.configure_model()
        return damsm.eval().requires_grad_(False)


class _GivenCaptioner(RedescriptionLoss):
    def prepare(self, vocabulary: list[str]) -> None:
        """Instead of reading a checkpoint."""
        self.stream = STREAM(ResNetCaptionEncoder(weights="random"), VOCABULARY)
        self.stream.configure_model()
        self.stream.requires_grad_(False)
        self.eval()


def suite(case: Case) -> pl.LightningModule:
    """The suite's module, with the settings of ``experiments/cub`` that equal the released code's."""
    torch.manual_seed(0)
    generator, discriminator = case.widths
    if case.system == "damsm":
        return DAMSM(InceptionImageEncoder(weights="random"), VOCABULARY)
    if case.system == "stream":
        return STREAM(ResNetCaptionEncoder(weights="random"), VOCABULARY)
    options = {"damsm": "given", "image_size": case.size, "channels": generator, "text_mode": "frozen"}
    if case.system in CASCADES:
        options["discriminator_channels"] = discriminator
    else:
        options["ema_decay"] = None
    if case.system == "dfgan-legacy":
        options["legacy"] = True
    module = _kind(case.system)(**options, **_captioner(case.system))
    if case.system == "mirrorgan":
        module.generator_losses[0] = _GivenCaptioner("given")
    return module


def _captioner(system: str) -> dict[str, str]:
    return {"captioner": "given"} if system == "mirrorgan" else {}


def _kind(system: str) -> type[AdversarialModule]:
    kinds = {"attngan": AttnGAN, "mirrorgan": MirrorGAN, "dmgan": DMGAN, "ssagan": SSAGAN}
    kind = kinds.get(system, DFGAN)
    return type(f"Given{kind.__name__}", (_Given, kind), {})
