"""One reader per raw data set."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from t2igan.data.sources.base import RawImage, Source
from t2igan.data.sources.cub import CUBSource, SplitScheme
from t2igan.errors import UserError

if TYPE_CHECKING:
    from t2igan.data.sources.drawn_birds import DrawnBirdsRecipe

__all__ = ["KINDS", "CUBSource", "Kind", "RawImage", "Source", "SplitScheme", "make_source"]

Kind = Literal["cub", "drawn-birds"]
KINDS: tuple[str, ...] = get_args(Kind)


def make_source(
    kind: Kind,
    root: str | Path,
    split: SplitScheme = "zero-shot",
    captions_pickle: str | Path | None = None,
    captions_per_image: int = 10,
    crop_by_box: bool = True,
    recipe: "DrawnBirdsRecipe | None" = None,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Source:
    """The reader of a raw data set; drawn birds are drawn first.

    Args:
        kind: ``"cub"`` or ``"drawn-birds"``.
        root: the folder of the data set.
        split: see :class:`CUBSource`.
        captions_pickle: see :class:`CUBSource`.
        captions_per_image: captions used of each image, the first ones.
        crop_by_box: see :class:`CUBSource`.
        recipe: what to draw; None: what is there already, else the default recipe (drawn-birds only).
        workers: processes to draw with; 0: one per core (drawn-birds only).
        progress: called with (pictures drawn, pictures in all) (drawn-birds only).

    Raises:
        UserError: unknown kind or split, files that describe the data set are missing, or ``root`` holds birds of
            another recipe.
    """
    if kind not in KINDS:
        raise UserError(f"unknown data set {kind!r}; choose one of {', '.join(KINDS)}")
    if split not in get_args(SplitScheme):
        raise UserError(f"unknown split {split!r}; choose one of {', '.join(get_args(SplitScheme))}")
    if kind == "drawn-birds":
        _draw_unless_complete(Path(root), recipe, workers, progress)
    return CUBSource(root, split, captions_pickle, captions_per_image, crop_by_box, name=kind)


def _draw_unless_complete(
    root: Path,
    recipe: "DrawnBirdsRecipe | None",
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    from t2igan.data.sources.drawn_birds import DrawnBirdsRecipe, write_drawn_birds

    # The attributes are the last file to be written.
    if recipe is None and (root / "attributes.json").is_file():
        return
    write_drawn_birds(root, recipe or DrawnBirdsRecipe(), workers, progress)
