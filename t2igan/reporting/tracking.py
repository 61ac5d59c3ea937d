"""Address of a run's wandb page, as stored in the run's folder by ``t2igan fit``."""

import json
import shlex
from pathlib import Path

WANDB_FILE = "wandb.json"
PROJECT = "t2igan"


def read_address(run_folder: Path) -> dict[str, str]:
    """Read the stored address, {} if there is none.

    Returns:
        ``id``, ``project``, ``url`` of a run that is online, and ``folder`` of wandb's files, seen from the run's.
    """
    try:
        content = json.loads((run_folder / WANDB_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: value for key, value in content.items() if isinstance(value, str)}


def page_of(run_folder: Path) -> str | None:
    """URL of the run's page, None for an offline run."""
    url = read_address(run_folder).get("url", "")
    return url if url.startswith(("https://", "http://")) else None


def sync_command(run_folder: Path) -> str | None:
    """The command that uploads an offline run with its resumed parts, None if there is none."""
    address = read_address(run_folder)
    if "url" in address or "folder" not in address:
        return None
    folder = (run_folder / address["folder"]).parent
    return f"wandb sync {shlex.quote(str(folder))}/offline-run-*-{address.get('id', '')}"
