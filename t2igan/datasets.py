"""Python interface of data sets: ``t2igan.datasets.prepare`` writes a store, ``open_store`` reads one."""

from pathlib import Path
from typing import Any

from t2igan.data.prepare import prepare as _prepare
from t2igan.data.sources import Kind, make_source
from t2igan.data.store import Store, StoreSplit, open_store

__all__ = ["Store", "StoreSplit", "open_store", "prepare"]


def prepare(
    kind: Kind, root: str | Path, out: str | Path, image_size: int = 64, workers: int | None = None, **options: Any
) -> Store:
    """Write the store of a raw data set, as `t2igan prepare` does, and open it.

    Args:
        kind: cub, coco, folder, drawn-birds ...; drawn birds are drawn if they do not exist yet.
        root: folder of the raw data.
        out: path of the store.
        image_size: side of the images to train at.
        workers: processes that decode and resize; default: one a core.
        **options: options of the kind, such as the split.

    Raises:
        UserError: something is missing, or cannot be written.
    """
    _prepare(make_source(kind, root, **options), out, image_size, workers=workers)
    return open_store(out)
