"""Whether what was read of a file is a checkpoint of the suite, as far as plain values and finite weights say."""

from pathlib import Path
from typing import Any

import torch

from t2igan import earlier
from t2igan.data.vocabulary import END, is_word
from t2igan.errors import UserError
from t2igan.models.digest import OWN
from t2igan.nn.finite import first_non_finite
from t2igan.typed import fits

SELECTED = "selected"
"""Under this key the best checkpoint of a run says what chose it."""

# Types of a checkpoint's entries; some are copied into records, which are read strictly.
_TYPES = {"global_step": int, SELECTED: dict[str, str | float] | None}
_OWN_TYPES = {
    "version": str,
    "dataset": dict[str, str],
    "images_seen": int | None,
    "global_batch": int | None,
    "inputs": dict[str, str],
    "history": dict[str, Any] | None,
    "imported": dict[str, dict[str, str]],
}


def check_form(path: Path, checkpoint: Any) -> None:
    """Look at what a checkpoint says of itself, of whatever version, before anything is built of it.

    Args:
        path: path of the file, for errors.
        checkpoint: as it was read.

    Raises:
        UserError: it is none of the suite, or says what no checkpoint says.
    """
    own = checkpoint.get(OWN) if isinstance(checkpoint, dict) else None
    if not isinstance(own, dict) or not isinstance(own.get("config", own.get(earlier.CONFIG)), dict):
        raise UserError(f"{path} was not written by this suite (it holds no config)")
    weights, words = checkpoint.get("state_dict"), own.get("vocabulary")
    tensors = isinstance(weights, dict) and all(isinstance(each, torch.Tensor) for each in weights.values())
    if not tensors or not _are_words(words) or not isinstance(own.get("dataset"), dict):
        raise UserError(f"{path} is not a complete checkpoint: its weights, vocabulary or data set are missing")
    told = {key: own[key] for key in _OWN_TYPES.keys() & own.keys()}
    told |= {key: checkpoint[key] for key in _TYPES.keys() & checkpoint.keys()}
    for key, value in told.items():
        if not fits(value, (_OWN_TYPES | _TYPES)[key]) or (isinstance(value, int) and value < 0):
            raise UserError(f"{path} is not a complete checkpoint: {key} is {value!r:.60}")


def _are_words(words: Any) -> bool:
    """Whether this is a vocabulary: different words, ``<end>`` first."""
    texts = isinstance(words, list) and all(map(is_word, words))
    return texts and len(set(words)) == len(words) and words[:1] in ([], [END])


def require_finite(path: str | Path, weights: dict[str, torch.Tensor]) -> None:
    """Refuse non-finite weights.

    Raises:
        UserError: some weights are not finite, because the training that saved them had failed.
    """
    name = first_non_finite(weights)
    if name is not None:
        raise UserError(f"{path}: {name} is not finite, its training had failed; take an earlier checkpoint")
