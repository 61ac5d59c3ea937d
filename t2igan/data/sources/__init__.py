"""Readers of raw data sets, one module each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

from t2igan.data.sources.base import Listing, RawImage, Source
from t2igan.data.sources.coco import COCOSource
from t2igan.data.sources.cub import CUBSource, SplitScheme
from t2igan.data.sources.drawn_birds.source import DrawnBirdsConfig, write_drawn_birds
from t2igan.data.sources.folder import FolderSource
from t2igan.data.sources.scenes.source import FACTS, ScenesConfig, ScenesSource, write_scenes
from t2igan.errors import UserError

__all__ = [
    "KINDS",
    "COCOSource",
    "CUBSource",
    "FolderSource",
    "Kind",
    "Listing",
    "RawImage",
    "ScenesSource",
    "Source",
    "SplitScheme",
    "make_source",
]

Kind = Literal["cub", "drawn-birds", "coco", "scenes", "folder"]
KINDS: tuple[str, ...] = get_args(Kind)

# For each drawn data set: its function, default options, and the last file that it writes.
_DRAWN: dict[str, tuple[Callable[..., None], Callable[[], Any], str]] = {
    "drawn-birds": (write_drawn_birds, DrawnBirdsConfig, "attributes.json"),
    "scenes": (write_scenes, ScenesConfig, FACTS),
}


def make_source(kind: Kind, root: str | Path, split: str | None = None, **options: Any) -> Source:
    """Make the reader of a raw data set; drawn birds and scenes are drawn first.

    Args:
        kind: kind of data set, one of ``KINDS``.
        root: the folder of the data set; of ``"folder"``: of its images.
        split: see the reader; default: the reader's.
        **options: options of the reader, :class:`CUBSource`, :class:`COCOSource`, :class:`ScenesSource` or
            :class:`FolderSource`. Drawn birds are read as CUB; ``config``, ``workers`` and ``progress`` of
            :func:`~t2igan.data.sources.drawn_birds.source.write_drawn_birds` and
            :func:`~t2igan.data.sources.scenes.source.write_scenes` tell how birds and scenes are drawn, where they
            do not exist already.

    Raises:
        UserError: unknown kind or split, files that describe the data set are missing, or ``root`` holds what
            was drawn with another config.
    """
    if kind not in KINDS:
        raise UserError(f"unknown data set {kind!r}; choose one of {', '.join(KINDS)}")
    if split is not None:
        options["split_scheme" if kind in ("cub", "drawn-birds") else "split"] = split
    if kind == "folder":
        return FolderSource(root, **options)
    if kind == "coco":
        return COCOSource(root, **options)
    if kind == "scenes" and split is not None:
        raise UserError(f"drawn scenes have one split, not {split!r}; remove split")
    if kind in _DRAWN:
        write, config, last = _DRAWN[kind]
        drawing = {name: options.pop(name) for name in ("config", "workers", "progress") if name in options}
        if "config" in drawing or not (Path(root) / last).is_file():
            write(Path(root), **{"config": config(), **drawing})
    return ScenesSource(root, **options) if kind == "scenes" else CUBSource(root, name=kind, **options)
