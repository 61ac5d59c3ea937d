"""Where the page of a run at wandb is, as ``t2igan fit`` noted it in the run's folder."""

import json
import shlex
from pathlib import Path

WANDB_FILE = "wandb.json"
PROJECT = "t2igan"


def read_address(run_folder: Path) -> dict[str, str]:
    """What is known of it, {} where there is nothing.

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
    """Address of the run's page, None for one that is not online."""
    url = read_address(run_folder).get("url", "")
    return url if url.startswith(("https://", "http://")) else None


def sync_command(run_folder: Path) -> str | None:
    """The command that sends a run recorded offline, with its continuations; None where there is none."""
    address = read_address(run_folder)
    if "url" in address or "folder" not in address:
        return None
    folder = (run_folder / address["folder"]).parent
    return f"wandb sync {shlex.quote(str(folder))}/offline-run-*-{address.get('id', '')}"
