"""Export weights of the suite's checkpoints for the original code."""

import io
from pathlib import Path
from typing import Literal, cast

import torch
from torch import nn

from t2igan.errors import UserError
from t2igan.files import write_whole
from t2igan.interop.forms import OfficialForm, remember_form
from t2igan.interop.networks import DFGANNetworks, LoneNetwork
from t2igan.interop.official import to_official
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.damsm import DAMSM
from t2igan.models.stream import STREAM
from t2igan.models.suite_module import SuiteModule, load_module, read_checkpoint
from t2igan.networks.dfgan import DFGANGenerator, OneWayDiscriminator


def network_in(path: str | Path, part: str | None = None, weights: Literal["ema", "raw"] = "ema") -> nn.Module:
    """Load a network of a checkpoint; an imported one keeps the form of its original file.

    Args:
        path: path of a checkpoint of the suite.
        part: ``generator``, ``text_encoder``, ``discriminators.0`` and so on; None is the generator of a GAN and
            the network of an import that has but one.
        weights: averaged weights, as the AttnGAN family's generators are released, or those that training moved;
            the same where there is no average.

    Raises:
        UserError: the checkpoint cannot be read, or has no such part.
    """
    module = load_module(path)
    parts = _parts(module, weights)
    if part is None:
        part = next((name for name in ("generator", "network") if name in parts), None)
    if part not in parts:
        asked = "--part is missing" if part is None else f"no part {part!r}"
        raise UserError(f"{path}: {asked}; {type(module).__name__} has {', '.join(parts)}")
    form = read_checkpoint(path)["t2igan"].get("official", {}).get(part)
    if form is not None:
        remember_form(parts[part], OfficialForm(**form))
    return parts[part]


def _parts(module: SuiteModule, weights: Literal["ema", "raw"]) -> dict[str, nn.Module]:
    """Networks by their place in a module."""
    if isinstance(module, LoneNetwork):
        return {"network": module.network}
    if isinstance(module, DAMSM):
        return {"text_encoder": module.text_encoder, "image_encoder": module.image_encoder}
    if isinstance(module, STREAM):
        return {"encoder": module.encoder, "decoder": module.decoder}
    if not isinstance(module, AdversarialModule):
        return {}
    parts: dict[str, nn.Module] = {"generator": module.generator, "text_encoder": module.text_encoder}
    if weights == "ema":
        parts |= {name: average.module for name, average in module.averages.items()}
    generator, discriminators = parts["generator"], list(module.discriminators)
    if isinstance(generator, DFGANGenerator) and len(discriminators) == 1:
        parts["generator"] = DFGANNetworks(generator, cast(OneWayDiscriminator, discriminators[0]))
        return parts
    return parts | {
        f"discriminators.{place}": discriminator for place, discriminator in enumerate(module.discriminators)
    }


def write_official(network: nn.Module, out: str | Path) -> int:
    """Write a network's weights as the original code reads them.

    The file has PyTorch's old format, the only one that the original code's PyTorch can read.

    Args:
        network: see :func:`t2igan.interop.to_official`.
        out: file to write, replaced atomically.

    Returns:
        Number of tensors written.

    Raises:
        UserError: there is no corresponding released network.
    """
    content = to_official(network)
    written = io.BytesIO()
    torch.save(content, written, _use_new_zipfile_serialization=False)
    write_whole(Path(out), written.getbuffer())
    nets = content.get("model", content)
    return sum(len(entry) if isinstance(entry, dict) else 1 for entry in nets.values())
