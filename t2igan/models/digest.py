"""Checksum within a checkpoint, to detect corruption before anything is built from it."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from xxhash import xxh3_128

OWN = "t2igan"
DIGEST = "digest"
_MOST_VALUES = 2**20
_MOST_VIEWS = 16
"""How often tensors may share what is saved of them, in the mean of a file."""
_ROOM = 2**26
"""Bytes that they may have beyond that."""


def seal(checkpoint: dict[str, Any]) -> None:
    """Add the digest of all content to a checkpoint; call it after everything else was added."""
    checkpoint[OWN][DIGEST] = content_digest(checkpoint)


def is_sealed(checkpoint: Mapping[str, Any]) -> bool:
    """Whether a checkpoint has a digest; checkpoints of earlier versions have none."""
    return DIGEST in checkpoint[OWN]


def is_whole(checkpoint: Mapping[str, Any]) -> bool:
    """Whether the content of a sealed checkpoint matches its digest."""
    return checkpoint[OWN][DIGEST] == content_digest(checkpoint)


def content_digest(checkpoint: Mapping[str, Any]) -> str:
    """XXH3 (128 bits, hex) of all values of a checkpoint except for the digest."""
    digest = xxh3_128()
    own = {key: value for key, value in checkpoint[OWN].items() if key != DIGEST}
    _feed({**checkpoint, OWN: own}, digest.update)
    return digest.hexdigest()


def archive_problem(path: Path) -> str | None:
    """The problem that a checkpoint archive's CRC-32 checks find, or None.

    PyTorch's formats before version 1.6 are no archives and have no such check.

    Raises:
        ValueError: the archive is compressed, unlike any checkpoint: a small file could fill the memory.
    """
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise ValueError("its archive is compressed, which no checkpoint is")
        try:
            part = archive.testzip()
        except Exception as error:  # the offset of a part may itself be damaged
            return str(error)
    return None if part is None else f"in {part}"


def refuse_inflated(content: Any) -> None:
    """Refuse what a small file makes large: values that stand in many places, tensors that share what is saved.

    Args:
        content: as it was read.

    Raises:
        ValueError: gone through, it would take hours or fill the memory.
    """
    saved: dict[int, int] = {}
    values, claimed, waiting = 0, 0, [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            storage = value.untyped_storage()
            saved[storage.data_ptr()] = storage.nbytes()
            claimed += value.nbytes
        elif isinstance(value, (Mapping, list, tuple)):
            values += len(value)
            if values > _MOST_VALUES:
                raise ValueError(f"it stands for more than {_MOST_VALUES:,} values")
            waiting += [*value, *value.values()] if isinstance(value, Mapping) else value
    if claimed > _ROOM + _MOST_VIEWS * sum(saved.values()):
        raise ValueError("its tensors say that they are larger than what is saved of them")


def _feed(value: Any, update: Callable[[Any], None]) -> None:
    """Feed a value to the digest, in a form that is the same before saving and after loading."""
    if isinstance(value, Tensor):
        update(f"tensor {value.dtype} {tuple(value.shape)}\n".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        update(flat.view(torch.uint8).numpy())
    elif isinstance(value, Mapping):
        update(f"mapping {len(value)}\n".encode())
        for key, item in value.items():
            _feed(key, update)
            _feed(item, update)
    elif isinstance(value, (list, tuple)):
        update(f"{'list' if isinstance(value, list) else 'tuple'} {len(value)}\n".encode())
        for item in value:
            _feed(item, update)
    else:
        update(f"{type(value).__name__} {value!r}\n".encode("utf-8", "surrogatepass"))
