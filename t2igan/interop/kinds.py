"""All kinds of released networks, and recognition of a state dict's kind."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from t2igan.errors import UserError
from t2igan.interop.forms import CONTAINER, PREFIX, is_container, without_prefix
from t2igan.interop.kind import Kind, Rules
from t2igan.interop.papers import attngan, damsm, dfgan, dmgan, mirrorgan, ssagan, stream

# Of kinds that share tensors the more specific one is first: all descendants of AttnGAN contain its tensors.
_PAPERS = (damsm, stream, mirrorgan, dmgan, attngan, ssagan, dfgan)
KINDS: dict[str, Kind] = {name: kind for paper in _PAPERS for name, kind in paper.KINDS.items()}
NAMES: dict[str, Rules] = {name: rules for paper in _PAPERS for name, rules in paper.NAMES.items()}


def official_name(network: str, own_name: str) -> str:
    """The released name of a tensor.

    Args:
        network: which released network, a key of ``NAMES``.
        own_name: the tensor's name in the suite's module.
    """
    for pattern, replacement in NAMES[network]:
        own_name = re.sub(pattern, replacement, own_name)
    return own_name


def kind_of(state_dict: Mapping[str, Any]) -> str:
    """Recognise the released network of a state dict.

    Args:
        state_dict: as it was saved, with or without prefix; DF-GAN's container.

    Raises:
        UserError: it is not recognised.
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
        raise UserError(f"no released network is recognised: {hint}; choose one of {', '.join(KINDS)}")
    return kind


def likely_kind(names: Iterable[str]) -> str | None:
    """The kind whose fingerprint is among names without prefix."""
    present = set(names)
    return next((kind for kind, spec in KINDS.items() if spec.fingerprint in present), None)


def twice_stripped(names: Iterable[str]) -> str | None:
    """Message for names that lost their first letters because a prefix was stripped twice."""
    present = set(names)
    for kind, spec in KINDS.items():
        if spec.prefix and spec.fingerprint[len(PREFIX) :] in present and spec.fingerprint not in present:
            return (
                f"the prefix {PREFIX!r} was stripped twice from a {kind}: strip it once, or give the file as it is"
            )
    return None
