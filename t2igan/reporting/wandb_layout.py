"""Layout of wandb dashboards, as a file and, online, as a saved view of the project."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from t2igan.files import write_whole
from t2igan.optional import library
from t2igan.reporting.report_runs import IMAGES_SEEN

LAYOUT_FILE = "wandb-layout.json"
NAME = "t2igan"
BY_STEP = "trainer/global_step"
IMAGE_KEYS = ("samples", "images", "masks", "attention")


@dataclass(frozen=True)
class Panel:
    """One panel of a wandb dashboard.

    Attributes:
        title: heading of the panel.
        kind: curve or images.
        keys: names of the logged values that it shows.
        x: logged value on the horizontal axis of a curve.
    """

    title: str
    kind: Literal["line", "media"]
    keys: list[str]
    x: str = BY_STEP


@dataclass(frozen=True)
class Section:
    """A group of panels.

    Attributes:
        name: name of the group.
        panels: panels in display order.
    """

    name: str
    panels: list[Panel]


def layout_of(logged: Iterable[str], scores: Iterable[str], sheets: Iterable[str] = ()) -> list[Section]:
    """Arrange the logged values of a project in sections: quality, losses, margins, gradients, speed, images.

    Args:
        logged: names of the curves.
        scores: names of quality scores among them.
        sheets: names of images that a report logs.
    """
    columns, scores = sorted(set(logged)), list(dict.fromkeys(scores))
    quality = [Panel(key, "line", [key]) for key in scores]
    quality += [Panel(f"{key} by images seen", "line", [key], IMAGES_SEEN) for key in scores]

    def curves(*starts: str) -> list[Panel]:
        keys = [key for key in columns if key.startswith(starts) and key not in {*scores, IMAGES_SEEN}]
        return [Panel(key, "line", [key]) for key in keys]

    sections = [
        Section("quality", quality),
        Section("images", [Panel(key, "media", [key]) for key in (*IMAGE_KEYS, *sheets)]),
        Section("losses", curves("train/loss", "train/penalty")),
        Section("margins", curves("train/logits", "train/margin")),
        Section("validation", curves("val/", "best/")),
        Section("gradients and rates", curves("gradients/", "lr/")),
        Section("speed", curves("speed/")),
    ]
    return [section for section in sections if section.panels]


def write_layout(sections: list[Section], folder: Path) -> Path:
    """Write the layout as JSON and return the file."""
    path = folder / LAYOUT_FILE
    write_whole(path, f"{json.dumps([asdict(section) for section in sections], indent=1)}\n".encode())
    return path


def workspace_of(sections: list[Section], entity: str, project: str) -> Any:
    """The layout as a view of a project, not saved yet.

    Raises:
        UserError: the package ``wandb-workspaces`` is not installed.
    """
    panels, workspaces = (
        library(f"wandb_workspaces.{part}", "layouts at wandb", "t2igan[wandb-layout]")
        for part in ("reports.v2", "workspaces")
    )

    def panel(one: Panel) -> Any:
        if one.kind == "media":
            return panels.MediaBrowser(title=one.title, media_keys=one.keys)
        return panels.LinePlot(title=one.title, x=one.x, y=list(one.keys))

    made = [
        workspaces.Section(name=one.name, panels=[panel(each) for each in one.panels], is_open=place < 3)
        for place, one in enumerate(sections)
    ]
    return workspaces.Workspace(entity=entity, project=project, name=NAME, sections=made)
