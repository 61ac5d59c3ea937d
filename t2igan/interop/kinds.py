"""The released networks: how each is told, and how its widths and depth are read from its tensors."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from t2igan.errors import UserError
from t2igan.interop.forms import CONTAINER, PREFIX, is_container, without_prefix
from t2igan.interop.networks import DFGANNetworks
from t2igan.models.attngan import AttnDCGANGenerator, AttnGANDiscriminator, AttnGANGenerator
from t2igan.models.damsm import InceptionImageEncoder
from t2igan.models.dfgan import DFGANGenerator, DFGANLegacyGenerator, OneWayDiscriminator
from t2igan.models.dmgan import DMGANDiscriminator, DMGANGenerator
from t2igan.models.mirrorgan import MirrorGANGenerator
from t2igan.models.ssagan import SSAGANGenerator
from t2igan.models.stream import CaptionDecoder, ResNetCaptionEncoder
from t2igan.text import TextEncoder


class Shapes(dict[str, tuple[int, ...]]):
    """Shapes of released tensors by name.

    A name that is not there reads as the released network's: what is missing is then listed against a whole
    network, rather than one tensor at a time.
    """

    def size(self, name: str, axis: int, released: int) -> int:
        """A tensor's extent along an axis."""
        shape = self.get(name, ())
        return shape[axis] if len(shape) > axis else released

    def count(self, pattern: str) -> int:
        """How many different things the first group of a pattern, which begins names, stands for."""
        found = (re.match(pattern, name) for name in self)
        return len({match[1] for match in found if match})


Arguments = dict[str, Any]


def _text_encoder(shapes: Shapes) -> Arguments:
    hidden = shapes.size("rnn.weight_hh_l0", 1, 128)
    gates = shapes.size("rnn.weight_hh_l0", 0, 4 * hidden)
    return {
        "vocabulary_size": shapes.size("encoder.weight", 0, 5450),
        "dim": 2 * hidden,
        "embedding_dim": shapes.size("encoder.weight", 1, 300),
        "cell": "gru" if gates == 3 * hidden else "lstm",
    }


def _image_encoder(shapes: Shapes) -> Arguments:
    return {"dim": shapes.size("emb_features.weight", 0, 256)}


def _caption_encoder(shapes: Shapes) -> Arguments:
    return {"dim": shapes.size("linear.weight", 0, 256)}


def _caption_decoder(shapes: Shapes) -> Arguments:
    return {
        "vocabulary_size": shapes.size("embed.weight", 0, 5450),
        "embedding_dim": shapes.size("embed.weight", 1, 256),
        "hidden_dim": shapes.size("lstm.weight_hh_l0", 1, 512),
    }


def _cascade(shapes: Shapes) -> Arguments:
    doublings = shapes.count(r"h_net1\.upsample(\d+)\.") or 4
    stages = 1 + shapes.count(r"h_net([2-9])\.")
    eps_dim = shapes.size("ca_net.fc.weight", 0, 400) // 4
    arguments = {
        "image_size": 4 * 2 ** (doublings + stages - 1),
        "stages": stages,
        "channels": shapes.size(f"h_net1.upsample{doublings}.1.weight", 0, 64) // 2,
        "noise_dim": shapes.size("h_net1.fc.0.weight", 1, eps_dim + 100) - eps_dim,
        "sentence_dim": shapes.size("ca_net.fc.weight", 1, 256),
        "eps_dim": eps_dim,
    }
    if stages > 1:
        arguments["residual_blocks"] = shapes.count(r"h_net2\.residual\.(\d+)\.")
    return arguments


def _cascade_discriminator(shapes: Shapes, spectral: str = "", weight: str = "weight") -> Arguments:
    image_size = 64
    for deeper, size in (("img_code_s32.", 128), ("img_code_s64.", 256)):
        if any(name.startswith(deeper) for name in shapes):
            image_size = size
    channels = shapes.size(f"img_code_s16.0.{spectral}{weight}", 0, 64)
    joint = shapes.size(f"COND_DNET.jointConv.0.{spectral}{weight}", 1, 8 * channels + 256)
    return {
        "image_size": image_size,
        "channels": channels,
        "sentence_dim": joint - 8 * channels,
        "conditional_only": not any(name.startswith("UNCOND_DNET.") for name in shapes),
    }


def _spectral_discriminator(shapes: Shapes) -> Arguments:
    return _cascade_discriminator(shapes, "module.", "weight_bar")


def _ssagan_generator(shapes: Shapes) -> Arguments:
    return _seven_blocks(shapes) | {"mask_channels": shapes.size("conv_mask.0.weight", 0, 100)}


def _seven_blocks(shapes: Shapes) -> Arguments:
    """Of SSA-GAN and the first DF-GAN: a block for each resolution, 4x4 included."""
    return {
        "image_size": 2 * 2 ** (shapes.count(r"block(\d+)\.") or 7),
        "channels": shapes.size("fc.weight", 0, 8192) // (8 * 4 * 4),
        "noise_dim": shapes.size("fc.weight", 1, 100),
        "sentence_dim": shapes.size("block0.affine0.fc_gamma.linear1.weight", 1, 256),
    }


def _one_way(
    shapes: Shapes, image: str = "", block: str = "block", joint: str = "COND_DNET.joint_conv"
) -> Arguments:
    blocks = shapes.count(rf"{block}(\d+)\.") or 6
    channels = shapes.size(f"{image}conv_img.weight", 0, 64)
    widest = shapes.size(f"{block}{blocks - 1}.conv_r.0.weight", 0, 16 * channels)
    return {
        "image_size": 4 * 2**blocks,
        "channels": channels,
        "sentence_dim": shapes.size(f"{joint}.0.weight", 1, widest + 256) - widest,
        "widest": max(widest // max(channels, 1), 1),
    }


def _dfgan(shapes: Shapes) -> Arguments:
    noise_dim = shapes.size("netG.fc.weight", 1, 100)
    condition = shapes.size("netG.GBlocks.0.fuse1.affine0.fc_gamma.linear1.weight", 1, noise_dim + 256)
    return {
        "generator": {
            "image_size": 4 * 2 ** (shapes.count(r"netG\.GBlocks\.(\d+)\.") or 6),
            "channels": shapes.size("netG.to_rgb.1.weight", 1, 32),
            "noise_dim": noise_dim,
            "sentence_dim": condition - noise_dim,
        },
        "discriminator": _one_way(shapes, "netD.", "netD.DBlocks.", "netC.joint_conv"),
    }


@dataclass(frozen=True)
class Kind:
    """A released network.

    Attributes:
        network: its class in the suite.
        read: its arguments, from the shapes of the released tensors.
        fingerprint: a tensor that tells it from the kinds after it in ``KINDS``.
        released: arguments that make it do as the released network does, where the suite's default does otherwise.
        prefix: what the original code saves before every key.
        parts: classes of the networks that it is made of, where there are several; ``read`` gives arguments of
            each.
    """

    network: type[nn.Module]
    read: Callable[[Shapes], Arguments]
    fingerprint: str
    released: Arguments = field(default_factory=dict)
    prefix: str = ""
    parts: dict[str, type[nn.Module]] = field(default_factory=dict)

    @property
    def options(self) -> list[str]:
        """Names of its arguments."""
        networks = self.parts.values() or [self.network]
        return list(dict.fromkeys(name for network in networks for name in _parameters(network)))

    def build(self, read: Arguments, config: Arguments) -> nn.Module:
        """The network.

        Args:
            read: from its shapes.
            config: some of ``options``, which overrule what was read and released.
        """
        if not self.parts:
            return self.network(**{**self.released, **read, **config})
        parts = {}
        for name, network in self.parts.items():
            own = {key: value for key, value in config.items() if key in _parameters(network)}
            parts[name] = network(**{**read[name], **own})
        return self.network(**parts)


def _parameters(network: type[nn.Module]) -> list[str]:
    return list(inspect.signature(network).parameters)


# Among kinds that share tensors the more telling one stands first.
KINDS: dict[str, Kind] = {
    "damsm-text-encoder": Kind(TextEncoder, _text_encoder, "rnn.weight_ih_l0"),
    "damsm-image-encoder": Kind(InceptionImageEncoder, _image_encoder, "emb_features.weight"),
    "stream-cnn": Kind(ResNetCaptionEncoder, _caption_encoder, "resnet.0.weight"),
    "stream-rnn": Kind(CaptionDecoder, _caption_decoder, "lstm.weight_ih_l0"),
    "mirrorgan-generator": Kind(MirrorGANGenerator, _cascade, "h_net2.att.conv_sentence_vis.weight"),
    "dmgan-generator": Kind(DMGANGenerator, _cascade, "h_net2.A.weight"),
    "attndcgan-generator": Kind(AttnDCGANGenerator, _cascade, "img_net.img.0.weight"),
    "attngan-generator": Kind(AttnGANGenerator, _cascade, "ca_net.fc.weight"),
    "ssagan-generator": Kind(
        SSAGANGenerator, _ssagan_generator, "block0.affine0.batch_norm2d.running_mean", prefix=PREFIX
    ),
    "ssagan-discriminator": Kind(OneWayDiscriminator, _one_way, "COND_DNET.joint_conv.0.weight", prefix=PREFIX),
    "dfgan": Kind(
        DFGANNetworks,
        _dfgan,
        "netG.fc.weight",
        prefix=PREFIX,
        parts={"generator": DFGANGenerator, "discriminator": OneWayDiscriminator},
    ),
    "dfgan-legacy-generator": Kind(DFGANLegacyGenerator, _seven_blocks, "block0.affine1.fc_gamma.linear1.weight"),
    "attngan-discriminator": Kind(
        AttnGANDiscriminator, _cascade_discriminator, "img_code_s16.0.weight", {"probabilities": True}
    ),
    "dmgan-discriminator": Kind(
        DMGANDiscriminator,
        _spectral_discriminator,
        "img_code_s16.0.module.weight_bar",
        {"probabilities": True, "legacy_power_iteration": True},
    ),
}


def kind_of(state_dict: Mapping[str, Any]) -> str:
    """Which released network a state dict is of.

    Args:
        state_dict: as it was saved, with or without prefix; DF-GAN's container.

    Raises:
        UserError: it is of none.
    """
    if is_container(state_dict):
        return CONTAINER
    names = without_prefix(state_dict)[0]
    kind = likely_kind(names)
    if kind == "attngan-generator" and any(".spatial_attn" in name for name in names):
        raise UserError("these are weights of AttnGAN++, which the suite does not have")
    if kind is None:
        hint = twice_stripped(names) or (
            "it is netG of DF-GAN; dfgan takes the whole container, {'model': {netG, netD, netC}}"
            if "GBlocks.0.c1.weight" in names
            else f"it holds {', '.join(map(str, list(names)[:3])) or 'nothing'} ..."
        )
        raise UserError(f"no released network is recognised: {hint}; there are {', '.join(KINDS)}")
    return kind


def likely_kind(names: Iterable[str]) -> str | None:
    """The kind whose fingerprint is among names without prefix."""
    present = set(names)
    return next((kind for kind, spec in KINDS.items() if spec.fingerprint in present), None)


def twice_stripped(names: Iterable[str]) -> str | None:
    """What to say of names that lost as many letters as the prefix has, from a file that had the prefix."""
    present = set(names)
    for kind, spec in KINDS.items():
        if spec.prefix and spec.fingerprint[len(PREFIX) :] in present and spec.fingerprint not in present:
            return (
                f"the prefix {PREFIX!r} was stripped twice from a {kind}: strip it once, or give the file as it is"
            )
    return None
