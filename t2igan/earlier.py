"""Renamed things of earlier versions, in checkpoints, configurations and on the command line."""

from typing import Any

CONFIG = "recipe"
"""The key that ``config`` had, in checkpoints and in what content digests are made of."""
ARGUMENTS = {"critic_channels": "discriminator_channels"}
SCORER = "judge."
OPTIONS = {"timings": "timing_folder", "costs": "timing"}
"""Of the command line; their old names are answered with the new ones."""
HOME, WRITTEN = "t2igan.networks.", "t2igan.models."
"""Where networks live, and where they did: the old place still has each, and is what is written down."""


def rename_checkpoint(checkpoint: dict[str, Any]) -> None:
    """Update the names in a checkpoint of an earlier version, in place."""
    own = checkpoint["t2igan"]
    if CONFIG in own:
        own["config"] = own.pop(CONFIG)
    own["config"] = renamed(own["config"])
    weights = checkpoint["state_dict"]
    for key in [key for key in weights if key.startswith(SCORER)]:
        weights[f"scorer.{key.removeprefix(SCORER)}"] = weights.pop(key)


def renamed(config: Any) -> Any:
    """A configuration with current argument names, and class paths in their :func:`written` form."""
    if isinstance(config, list):
        return [renamed(item) for item in config]
    if isinstance(config, dict):
        return {ARGUMENTS.get(key, key): renamed(item) for key, item in config.items()}
    return written(config) if isinstance(config, str) else config


def written(class_path: str) -> str:
    """The class path that checkpoints, digests, records and identities store for a class."""
    return f"{WRITTEN}{class_path.removeprefix(HOME)}" if class_path.startswith(HOME) else class_path
