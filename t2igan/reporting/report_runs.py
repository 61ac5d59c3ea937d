"""Content of a run's folder for the report: curves, sample sheets, masks and attention."""

import base64
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from t2igan.plotting.curves import Rows
from t2igan.plotting.vector import curve_svg
from t2igan.reporting.names import curve_name, system_name
from t2igan.reporting.sheets import film, png_bytes
from t2igan.reporting.tracking import page_of, sync_command

# Curves that are shown first, if a run has them.
FIRST_CURVES = (
    *("train/loss_d", "train/loss_g_adversarial", "train/loss_g_damsm", "train/logits_real", "train/logits_fake"),
    *("train/margin", "gradients/generator", "gradients/discriminator"),
    *("val/damsm", "val/top1_of_batch", "best/val/top1_of_batch"),
    *("train/loss", "val/loss", "best/val/loss", "val/accuracy", "best/val/accuracy"),
)
# Logged beside every score of a training.
IMAGES_SEEN = "val/images_seen"
# Curves that are shown last.
LAST_CURVES = ("lr/", "speed/")
MOST_CURVES = 12
MOST_EARLIER = 3
MOST_OVERLAYS = 6


@dataclass(frozen=True)
class PageImage:
    """A PNG embedded in the page.

    Attributes:
        caption: caption beneath the image.
        uri: bytes of the PNG as a data URI.
        width: width in pixels.
        height: height in pixels.
    """

    caption: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class RunPage:
    """Content of a run's folder.

    Attributes:
        name: name of the folder.
        folder: the run's folder.
        quality: ``<svg>`` elements of scores during training, over steps and over images seen.
        curves: ``<svg>`` elements of all other quantities.
        samples: the last sample sheet, and sheets of the user's captions.
        film: one sheet with the samples of all steps.
        earlier: sheets of single steps, of runs of earlier versions.
        overlays: images with masks or attention.
        notes: notes about unreadable images.
        page: https address of its wandb page, or None.
        sync: command that uploads an offline wandb run, or None.
    """

    name: str
    folder: Path
    quality: list[tuple[str, str]]
    curves: list[str]
    samples: list[PageImage]
    film: PageImage | None
    earlier: list[PageImage]
    overlays: list[PageImage]
    notes: list[str] = field(default_factory=list)
    page: str | None = None
    sync: str | None = None


def read_run(folder: Path, rows: Rows) -> RunPage:
    """Collect the content of a run's folder.

    Args:
        folder: folder of the run.
        rows: rows of its curves.
    """
    notes: list[str] = []
    sheets = sorted((folder / "samples").glob("step_*.png"))
    name = system_name(folder.name)
    last = [(path, f"{name} after {_steps(path)} steps, averaged weights") for path in sheets[-1:]]
    grids = sorted(path for path in folder.rglob("grid.png"))
    own = [(path, f"{name}, captions of one's own ({path.parent.name})") for path in grids]
    between = [(path, f"after {_steps(path)} steps") for path in _spread(sheets[:-1], MOST_EARLIER)]
    steps = film(folder)
    overlays = sorted(path for kind in ("masks", "attention") for path in folder.rglob(f"*_{kind}.png"))
    return RunPage(
        name,
        folder,
        quality_of(rows),
        curves_of(rows),
        read_images([*last, *own], notes),
        None if steps is None else as_page_image(steps, "step by step"),
        read_images(between, notes) if steps is None else [],
        read_images([(path, _overlay_caption(path)) for path in _spread(overlays, MOST_OVERLAYS)], notes),
        notes,
        page_of(folder),
        sync_command(folder),
    )


def as_page_image(sheet: Image.Image, caption: str) -> PageImage:
    """Convert a sheet to an embedded image."""
    uri = f"data:image/png;base64,{base64.b64encode(png_bytes(sheet)).decode()}"
    return PageImage(caption, uri, *sheet.size)


def quality_curves(rows: Rows) -> list[str]:
    """Names of the scores that a training logged, in display order."""
    scored = [row for row in rows if row.get(IMAGES_SEEN) is not None]
    keys = dict.fromkeys(key for row in scored for key, value in row.items() if value is not None)
    return [key for key in keys if key.startswith("val/") and key != IMAGES_SEEN]


def quality_of(rows: Rows) -> list[tuple[str, str]]:
    """Panels of each score, over steps and over images seen."""
    found = []
    for key in quality_curves(rows):
        title = curve_name(key)
        by_step = curve_svg(rows, key, title=f"{title}, by step")
        by_images = curve_svg(rows, key, IMAGES_SEEN, title=f"{title}, by images seen")
        if by_step is not None and by_images is not None:
            found.append((by_step, by_images))
    return found


def curves_of(rows: Rows) -> list[str]:
    """Panels of the most important quantities."""
    shown = {"step", "epoch", IMAGES_SEEN, *quality_curves(rows)}
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in shown))
    chosen = first_curves(columns)
    chosen += sorted((key for key in columns if key not in chosen), key=lambda key: key.startswith(LAST_CURVES))
    panels = (curve_svg(rows, key) for key in chosen[:MOST_CURVES])
    return [panel for panel in panels if panel is not None]


def first_curves(columns: Collection[str]) -> list[str]:
    """Those of ``FIRST_CURVES`` that a run has; of several image sizes (``..._64``) the largest."""
    chosen = []
    for key in FIRST_CURVES:
        sizes = [int(name.removeprefix(f"{key}_")) for name in columns if re.fullmatch(f"{key}_[0-9]+", name)]
        if key in columns:
            chosen.append(key)
        elif sizes:
            chosen.append(f"{key}_{max(sizes)}")
    return chosen


def read_images(entries: Sequence[tuple[Path, str]], notes: list[str]) -> list[PageImage]:
    """Read PNG files as embedded images; unreadable ones are noted and left out."""
    found = []
    for path, caption in entries:
        content, size = b"", (0, 0)
        with suppress(OSError, SyntaxError), Image.open(path, formats=["PNG"]) as image:
            image.verify()
            size, content = image.size, path.read_bytes()
        if not content:
            notes.append(f"{path}: not a readable PNG, left out")
            continue
        uri = f"data:image/png;base64,{base64.b64encode(content).decode()}"
        found.append(PageImage(caption, uri, *size))
    return found


def _steps(path: Path) -> str:
    number = path.stem.removeprefix("step_")
    return f"{int(number):,}" if number.isdigit() else number


def _spread(paths: Sequence[Path], most: int) -> list[Path]:
    """At most ``count`` evenly spaced items, including the first."""
    if len(paths) <= most:
        return list(paths)
    return [paths[position * len(paths) // most] for position in range(most)]


def _overlay_caption(path: Path) -> str:
    stem, _, kind = path.stem.rpartition("_")
    return f"{path.parent.name}, {stem}: {kind}"
