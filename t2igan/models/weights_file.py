"""Checkpoints as safetensors files, which cannot contain code."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from t2igan.errors import UserError
from t2igan.files import write_whole
from t2igan.models.digest import OWN, is_sealed, seal
from t2igan.plain_files import parse_json

SUFFIX = ".safetensors"
STATE = "state_dict"


def halved(weights: dict[str, Tensor], kept: frozenset[str] = frozenset()) -> dict[str, Tensor]:
    """Convert weights to half precision, except for integers and those named in ``kept``.

    Raises:
        UserError: a weight is too large for half precision.
    """
    made = {}
    for name, tensor in weights.items():
        half = tensor.half() if tensor.is_floating_point() and name not in kept else tensor
        if half.is_floating_point() and tensor.isfinite().all() and not half.isfinite().all():
            raise UserError(f"{name} holds {tensor.abs().max():.3g}, too large for half precision")
        made[name] = half.detach().cpu().contiguous()
    return made


def write_weights(path: Path, checkpoint: dict[str, Any]) -> None:
    """Write a checkpoint's weights and metadata, sealed with a digest of both.

    Args:
        path: path of the file, ``*.safetensors``, written atomically.
        checkpoint: ``state_dict``, ``t2igan`` and other entries, all but the first plain values.
    """
    # As JSON reads it back: tuples become lists.
    header = json.loads(json.dumps({key: value for key, value in checkpoint.items() if key != STATE}))
    # The file sorts its tensors, and the digest depends on their order.
    sealed = {STATE: dict(sorted(checkpoint[STATE].items())), **header}
    seal(sealed)
    told = json.dumps({key: value for key, value in sealed.items() if key != STATE}, allow_nan=False)
    write_whole(path, save(sealed[STATE], {OWN: told}))


def read_weights(path: Path) -> dict[str, Any]:
    """Read a file of :func:`write_weights`; the caller verifies the digest.

    Raises:
        UserError: the file has another format, or no digest.
    """
    header = read_header(path)
    with _opened(path) as file:
        return {STATE: {name: file.get_tensor(name) for name in sorted(file.keys())}, **header}


def read_header(path: Path) -> dict[str, Any]:
    """All entries of a file of :func:`write_weights` but the weights.

    Raises:
        UserError: the file has another format, or no digest.
    """
    with _opened(path) as file:
        told = (file.metadata() or {}).get(OWN)
    header = parse_json(told, str(path)) if told else None
    if not isinstance(header, dict) or not isinstance(header.get(OWN), dict) or not is_sealed(header):
        raise UserError(f"{path} was not written by this suite (its header says nothing of it)")
    return header


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, "pt", device="cpu") as file:
            yield file
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as safetensors ({error})") from error
