"""The command that scores what was just made, whole, as it can be typed."""

import shlex
from pathlib import Path

from t2igan.data.store import open_store
from t2igan.evaluation.protocol import load_protocol, protocol_names
from t2igan.identity import read_config


def scoring(checkpoint: str, image_size: int) -> str:
    """How a checkpoint is scored on the store that it was trained on; where that is gone, where to read how.

    Args:
        checkpoint: path.
        image_size: of its images.
    """
    config = read_config(checkpoint) or {}
    data, model = ((config.get(key) or {}).get("init_args") or {} for key in ("data", "model"))
    store, damsm = data.get("store"), model.get("damsm")
    if store and Path(store).is_file():
        name = open_store(store).name
        pinned = map(load_protocol, protocol_names())
        fitting = [each.name for each in pinned if (each.dataset, each.image_size) == (name, image_size)]
        if fitting:
            words = ["--checkpoint", checkpoint, "--protocol", fitting[0], "--store", store]
            words += ["--damsm", damsm] if damsm and Path(damsm).is_file() else []
            return f"t2igan evaluate {shlex.join(words)} --skip_missing true"
    return "t2igan evaluate --help says how it is scored"
